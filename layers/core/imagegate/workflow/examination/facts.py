"""Read the facts about an image, also those that no rule needs now: a later policy is replayed on the recorded facts.

Its configs are always read, as every runtime does. Facts that cost many calls are read only if a rule needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from imagegate.errors import AmbiguousDocumentError, RecordNotFoundError
from imagegate.gate.facts import BaseImage, CameBy, Evidence, ImageFacts, PlatformFacts
from imagegate.oci.artifact import check_image, unread_layers
from imagegate.oci.image import Descriptor, ImageRef
from imagegate.oci.image_config import ImageConfig
from imagegate.policy.rules import is_on
from imagegate.ports.ledger import BaseImages, Releases, TagHolders
from imagegate.release.release import EcrImage, Release, ReleaseId
from imagegate.strict_json import LONGEST
from imagegate.workflow.examination.entry import ReadEntry
from imagegate.workflow.examination.evidence import ReadEvidence, signature_by_ledger
from imagegate.workflow.examination.signatures import content_of

if TYPE_CHECKING:
    from imagegate.oci.manifest import Manifest
    from imagegate.policy.policy import Policy, Stage
    from imagegate.ports.images import Images
    from imagegate.ports.registry import Registry
    from imagegate.ports.signer import Signer
    from imagegate.workflow.examination.contents import Contents

# OCI image-spec, annotations.md: the base image that the builder claims.
_BASE_NAME = "org.opencontainers.image.base.name"
_BASE_DIGEST = "org.opencontainers.image.base.digest"


class FactsLedger(Releases, BaseImages, TagHolders, Protocol):
    """The parts of the ledger that `ReadFacts` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFacts:
    """Reads facts. `registry` and `signer` are made only if a rule needs them."""

    images: Images
    ledger: FactsLedger
    registry: Callable[[], Registry]
    signer: Callable[[], Signer]

    def run(
        self,
        policy: Policy,
        stage: Stage,
        release: Release,
        here: EcrImage,
        contents: Contents,
        now: datetime,
    ) -> ImageFacts:
        """Read the facts. `here` is what ECR knows about the image now.

        Raises `ImageNotFoundError` if it was deleted meanwhile, and `AmbiguousDocumentError` for a config that clients
        could read differently.
        """
        came_by = ReadEntry(self.ledger).run(policy, release, here.tags)
        evidence = ReadEvidence(images=self.images, registry=self.registry, signer=self.signer)
        is_required = is_on(stage.evidence.require_provenance)
        return ImageFacts(
            image=release.image,
            tags=release.tags & here.tags,
            first_pushed_at=min(here.pushed_at, self._first_seen(policy, release)),
            platforms=tuple(self._platform(policy, stage, contents, leaf) for leaf in contents.leaves),
            signature=self._signature(evidence, policy, stage, release.image, came_by, now),
            came_by=came_by,
            provenance=evidence.provenance(contents) if is_required else evidence.cheap_provenance(contents),
        )

    def _signature(
        self,
        evidence: ReadEvidence,
        policy: Policy,
        stage: Stage,
        image: ImageRef,
        came_by: CameBy,
        now: datetime,
    ) -> Evidence | None:
        """Return which gates before signed the image: verified if a rule asks for it, else by the ledger alone."""
        attempts = self._before(policy, image)
        if is_on(stage.evidence.require_signature):
            return evidence.signature(policy, stage, image, now, attempts)
        if not policy.stages_before(stage) or not (attempts or came_by is not CameBy.PROMOTION):
            return None  # no gate before could sign it, or nothing is known of the one that did
        return signature_by_ledger(policy, stage, attempts, came_by)

    def _before(self, policy: Policy, image: ImageRef) -> list[Release]:
        """Return the last attempt at each gate before this one."""
        before = (
            ImageRef(repository, image.digest) for repository in policy.repositories_before(image.repository)
        )
        return [latest for one in before if (latest := self.ledger.latest(one))]

    def _first_seen(self, policy: Policy, release: Release) -> datetime:
        """Return when the first stage first released the image. A later tag does not make the image younger."""
        origin = ImageRef(policy.origin_of(release.image.repository), release.image.digest)
        for image in (origin, release.image):
            if (image, 1) == (release.image, release.attempt):
                break
            try:
                return self.ledger.get(ReleaseId(image, 1)).started_at
            except RecordNotFoundError:
                continue  # it was pushed directly into a later stage
        return release.started_at

    def _platform(self, policy: Policy, stage: Stage, contents: Contents, leaf: Descriptor) -> PlatformFacts:
        manifest = contents.manifests[leaf.digest]
        config = self._config(contents, manifest)
        base = self._base(policy, config)
        return PlatformFacts(
            digest=leaf.digest,
            platform=leaf.platform,
            size=sum(blob.size for blob in manifest.blobs),
            config=config,
            base=base,
            # Without a stage of base images, the ledger keeps no bases to compare with.
            base_is_known=bool(policy.base_stages) or is_on(stage.image.base_images),
            claimed_base=_claimed(manifest),
            base_layers=_base_layers(manifest, config, base),
            unread_layers=unread_layers(manifest),
        )

    def _config(self, contents: Contents, manifest: Manifest) -> ImageConfig:
        """Read the config of a platform, and check it against each entry that lists it."""
        name = manifest.digest.short
        try:
            check_image(manifest)
            config = ImageConfig.parse(self._blob(contents.image.repository, manifest.config))
            for platform in contents.platforms[manifest.digest]:
                config.check_fits(len(manifest.layers), platform)
        except AmbiguousDocumentError as error:
            raise AmbiguousDocumentError(f"{name}: {error}") from error
        return config

    def _blob(self, repository: str, blob: Descriptor | None) -> bytes:
        if blob is None or blob.size > LONGEST:
            raise AmbiguousDocumentError(f"its config has more than {LONGEST} bytes")
        return content_of(self.registry(), repository, blob)

    def _base(self, policy: Policy, config: ImageConfig) -> BaseImage | None:
        """Return the known base image with the most layers, or None. An image is not its own base."""
        if not policy.base_stages:
            return None
        bases = self.ledger.bases(config.chain_ids, policy.base_stages)
        others = [base for base in bases if base.layers < len(config.diff_ids)]
        return max(others, key=lambda base: (base.layers, base.released_at), default=None)


def _claimed(manifest: Manifest) -> str:
    name, digest = manifest.annotations.get(_BASE_NAME, ""), manifest.annotations.get(_BASE_DIGEST, "")
    return f"{name}@{digest[:19]}" if name and digest else name or digest


def _base_layers(manifest: Manifest, config: ImageConfig, base: BaseImage | None) -> frozenset[str]:
    """Return the layers of the base by both digests that scanners use: of the compressed blob, and of its content."""
    if base is None:
        return frozenset()
    blobs = [str(layer.digest) for layer in manifest.layers[: base.layers]]
    return frozenset([*blobs, *config.diff_ids[: base.layers]])
