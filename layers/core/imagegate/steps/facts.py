"""The facts about an image that its rules ask for; what no rule asks for is not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from imagegate.domain.errors import RecordNotFoundError
from imagegate.domain.facts import BaseImage, ImageConfig, ImageFacts, PlatformFacts
from imagegate.domain.image import Descriptor, ImageRef, Manifest
from imagegate.domain.policy import Policy, Stage
from imagegate.domain.release import Facts, Release, ReleaseId
from imagegate.domain.rules import is_on
from imagegate.ports import Images, Ledger, Registry, Signer
from imagegate.steps.entry import ReadEntry
from imagegate.steps.evidence import ReadEvidence

# OCI image-spec, annotations.md: what the builder says it was built on.
_BASE_NAME = "org.opencontainers.image.base.name"
_BASE_DIGEST = "org.opencontainers.image.base.digest"


@dataclass(frozen=True, slots=True)
class ReadFacts:
    """`registry` and `signer` are made only where a rule needs them."""

    images: Images
    ledger: Ledger
    registry: Callable[[], Registry]
    signer: Callable[[], Signer]

    def run(
        self,
        policy: Policy,
        stage: Stage,
        release: Release,
        here: Facts,
        leaves: Sequence[Descriptor],
        now: datetime,
    ) -> ImageFacts:
        """`here`: what ECR says about the image now. Raises `ImageNotFoundError` when it is gone meanwhile."""
        evidence = ReadEvidence(self.images, self.registry, self.signer)
        rules = stage.evidence
        return ImageFacts(
            image=release.image,
            tags=release.tags & here.tags,
            first_pushed_at=min(here.pushed_at, self._first_seen(policy, release)),
            platforms=tuple(self._platform(policy, stage, release.image.repository, leaf) for leaf in leaves),
            signature=evidence.signature(policy, stage, release.image, now)
            if is_on(rules.require_signature)
            else None,
            provenance=evidence.provenance(release.image) if is_on(rules.require_provenance) else None,
            came_by=ReadEntry(self.ledger).run(policy, release.image, here.tags),
        )

    def _first_seen(self, policy: Policy, release: Release) -> datetime:
        """When the first stage's gate saw the image first. A tag that is added later makes nothing younger."""
        origin = ImageRef(policy.origin_of(release.image.repository), release.image.digest)
        for image in (origin, release.image):
            try:
                return self.ledger.get(ReleaseId(image, 1)).started_at
            except RecordNotFoundError:
                continue  # it was pushed into a later stage
        return release.started_at

    def _platform(self, policy: Policy, stage: Stage, repository: str, leaf: Descriptor) -> PlatformFacts:
        if not _needs_manifest(policy, stage):
            return PlatformFacts(leaf.digest, leaf.platform)
        manifest = self.images.manifest(ImageRef(repository, leaf.digest))
        config = self._config(repository, manifest) if _needs_config(policy, stage, leaf) else None
        base = self._base(policy, leaf, config)
        return PlatformFacts(
            digest=leaf.digest,
            platform=leaf.platform,
            size=sum(blob.size for blob in manifest.blobs),
            config=config,
            base=base,
            base_is_known=config is not None,
            claimed_base=_claimed(manifest),
            base_layers=_base_layers(manifest, config, base),
        )

    def _config(self, repository: str, manifest: Manifest) -> ImageConfig | None:
        if manifest.config is None:
            return None
        return ImageConfig.parse(self.registry().blob(repository, manifest.config))

    def _base(self, policy: Policy, leaf: Descriptor, config: ImageConfig | None) -> BaseImage | None:
        """The known base with the most layers; an image is not its own base."""
        if config is None or not policy.base_stages:
            return None
        found = self.ledger.bases(config.chain_ids, policy.base_stages)
        others = [base for base in found if base.layers < len(config.diff_ids)]
        return max(others, key=lambda base: (base.layers, base.released_at), default=None)


def _needs_manifest(policy: Policy, stage: Stage) -> bool:
    rules = stage.image
    asked = (rules.max_size, rules.labels, rules.base_images, rules.platforms, rules.non_root)
    return bool(policy.base_stages) or any(is_on(rule) for rule in asked)


def _needs_config(policy: Policy, stage: Stage, leaf: Descriptor) -> bool:
    rules = stage.image
    is_unnamed = leaf.platform is None and is_on(rules.platforms)
    is_asked = is_on(rules.labels) or is_on(rules.base_images) or is_on(rules.non_root)
    return bool(policy.base_stages) or is_unnamed or is_asked


def _claimed(manifest: Manifest) -> str:
    name, digest = manifest.annotations.get(_BASE_NAME, ""), manifest.annotations.get(_BASE_DIGEST, "")
    return f"{name}@{digest[:19]}" if name and digest else name or digest


def _base_layers(manifest: Manifest, config: ImageConfig | None, base: BaseImage | None) -> frozenset[str]:
    """Under both names that scanners use: of the blob as it is kept, and as it is unpacked."""
    if base is None or config is None:
        return frozenset()
    blobs = [str(layer.digest) for layer in manifest.layers[: base.layers]]
    return frozenset([*blobs, *config.diff_ids[: base.layers]])
