"""The gate's reading of a push: the images that it judges, and the documents that it takes for evidence."""

from __future__ import annotations

from dataclasses import dataclass, field

from imagegate.errors import ImageNotFoundError
from imagegate.oci.image import Descriptor, Digest, ImageRef
from imagegate.oci.image_config import ImageConfig
from imagegate.oci.manifest import Manifest
from imagegate.release.release import EcrImage, Release, StartReason
from imagegate.workflow.examination import contents as steps
from imagegate.workflow.examination.contents import read_contents
from imagegate.workflow.examination.facts import ReadFacts
from tests.component.disguised_documents import Shelf
from tests.fakes import DEV, NOW, POLICY, FakeLedger, FakeRegistry, FakeSigner


@dataclass(frozen=True)
class Judged:
    """One image that runs, as the gate reads it."""

    manifest: Manifest
    config: ImageConfig


@dataclass(frozen=True)
class GateReading:
    judged: dict[Digest, Judged]
    evidence: frozenset[Digest]
    is_index: bool


@dataclass
class _Registry(FakeRegistry):
    shelf: Shelf = field(default_factory=Shelf)

    def manifest(self, image: ImageRef | str, reference: Digest | str = "") -> Manifest:
        if not isinstance(image, ImageRef) or str(image.digest) not in self.shelf.manifests:
            raise ImageNotFoundError(f"{image}: not found")
        return Manifest.parse(*self.shelf.manifests[str(image.digest)])

    def blob(self, repository: str, blob: Descriptor) -> bytes:
        if str(blob.digest) not in self.shelf.blobs:
            raise ImageNotFoundError(f"{repository}: {blob.digest} not found")
        return self.shelf.blobs[str(blob.digest)]


def read(shelf: Shelf, root: Digest) -> GateReading:
    """Read as the judging step does. Raises `RejectedInputError` for what the gate refuses."""
    registry, image = _Registry(shelf=shelf), ImageRef(DEV, root)
    contents = read_contents(registry, image)
    contents.check_evidence(lambda: registry)
    release = Release(image, 1, "dev", POLICY.digest, frozenset(), StartReason.PUSH, NOW)
    here = EcrImage(image, frozenset(), NOW, contents.manifest.media_type)
    facts = ReadFacts(images=registry, ledger=FakeLedger(), registry=lambda: registry, signer=FakeSigner).run(
        POLICY, POLICY.stages["dev"], release, here, contents, NOW
    )
    judged = {
        platform.digest: Judged(contents.manifests[platform.digest], platform.config)
        for platform in facts.platforms
        if platform.config
    }
    evidence = frozenset(child.manifest.digest for child in contents.children)
    return GateReading(judged, evidence, contents.manifest.is_index)


def is_artifact(shelf: Shelf, root: Digest) -> bool:
    """Say whether the gate starts nothing for it."""
    registry = _Registry(shelf=shelf)
    return steps.is_artifact(registry, lambda: registry, ImageRef(DEV, root))
