"""Read a whole image: its platforms, and the evidence in its indexes. Each digest is read once, within bounds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagegate.errors import AmbiguousDocumentError
from imagegate.oci.artifact import NO_PLATFORM, Child, find_form, is_attestation, prove_cannot_run
from imagegate.oci.image import MANIFEST_MEDIA_TYPES, Descriptor, Digest, ImageRef
from imagegate.strict_json import shown
from imagegate.workflow.examination.signatures import content_of

if TYPE_CHECKING:
    from imagegate.oci.manifest import Manifest
    from imagegate.ports.images import Images
    from imagegate.ports.registry import Registry

# No image that people build comes near these bounds.
DEPTH = 4
ENTRIES = 1000  # of all its indexes together
MANIFESTS = 250
PLATFORMS = 100
EVIDENCE_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Contents:
    """An image with everything that its indexes name.

    `leaves`: the manifests that can run, and so are scanned and judged, each once. `platforms`: the platforms for which
    each leaf is listed. `children`: the manifests that declare that they cannot run.
    """

    image: ImageRef
    manifest: Manifest
    leaves: tuple[Descriptor, ...]
    platforms: Mapping[Digest, Collection[str | None]]
    children: tuple[Child, ...]
    manifests: Mapping[Digest, Manifest]

    @property
    def is_artifact(self) -> bool:
        """True if nothing in it runs, as it declares itself."""
        return bool(self.children) and not self.leaves

    def check_evidence(self, registry: Callable[[], Registry]) -> None:
        """Raise `AmbiguousDocumentError` if something that could run declares itself as evidence."""
        claimed = {child.manifest.digest: child.manifest for child in self.children}.values()
        if sum(blob.size for manifest in claimed for blob in manifest.blobs) > EVIDENCE_BYTES:
            raise AmbiguousDocumentError(f"its evidence is larger than {EVIDENCE_BYTES >> 20} MiB")
        for manifest in claimed:
            prove_cannot_run(manifest, lambda blob: content_of(registry(), self.image.repository, blob))


def read_contents(images: Images, image: ImageRef) -> Contents:
    """Read the image. Raises `ImageNotFoundError`, or `AmbiguousDocumentError` if clients could read it differently."""
    walk = _Walk(images, image.repository)
    manifest = walk.read(image.digest)
    if manifest.is_index:
        walk.enter(manifest, DEPTH)
    elif find_form(manifest) is not None:
        walk.children.append(Child(manifest.descriptor, manifest, frozenset()))
    else:
        walk.add_leaf(manifest.descriptor)
    leaves = tuple(walk.leaves.values())
    return Contents(image, manifest, leaves, walk.platforms, tuple(walk.children), walk.manifests)


def is_artifact(images: Images, registry: Callable[[], Registry], image: ImageRef) -> bool:
    """Say whether nothing in it can run, as its content proves. In doubt it is an image.

    Raises `ImageNotFoundError`.
    """
    try:
        if not may_be_artifact(images.manifest(image)):
            return False
        contents = read_contents(images, image)
        if contents.is_artifact:
            contents.check_evidence(registry)
        return contents.is_artifact
    except AmbiguousDocumentError:
        return False


def may_be_artifact(manifest: Manifest) -> bool:
    """Say whether nothing in it runs, as it declares itself; `is_artifact` proves it.

    An index lists the platforms of its images, so its entries need not be read.
    """
    if manifest.is_index:
        return all(entry.platform in (None, NO_PLATFORM) for entry in manifest.children)
    return find_form(manifest) is not None


@dataclass(slots=True)
class _Walk:
    images: Images
    repository: str
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    leaves: dict[Digest, Descriptor] = field(default_factory=dict)
    platforms: dict[Digest, set[str | None]] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    entries: int = 0
    _ahead: dict[Digest, Manifest] = field(default_factory=dict)  # read, and not visited yet

    def read(self, digest: Digest) -> Manifest:
        if digest not in self.manifests:
            if len(self.manifests) == MANIFESTS:
                raise AmbiguousDocumentError(f"an index of more than {MANIFESTS} manifests")
            ahead = self._ahead.pop(digest, None)
            self.manifests[digest] = ahead or self.images.manifest(ImageRef(self.repository, digest))
        return self.manifests[digest]

    def _read_ahead(self, index: Manifest) -> None:
        """Read the entries of an index, a hundred in a request. `read` says why one is not there or cannot be read."""
        wanted = dict.fromkeys(entry.digest for entry in index.children if entry.digest not in self.manifests)
        most = MANIFESTS - len(self.manifests)
        self._ahead |= self.images.read_manifests(self.repository, list(wanted)[:most])

    def enter(self, index: Manifest, depth: int) -> None:
        if depth == 0:
            raise AmbiguousDocumentError(f"{index.digest.short}: an index nested more than {DEPTH} deep")
        self.entries += len(index.children)
        if self.entries > ENTRIES:
            raise AmbiguousDocumentError(f"its indexes have more than {ENTRIES} entries")
        self._read_ahead(index)
        runs: set[Digest] = set()
        for entry in index.children:
            self._visit(entry, depth, runs)

    def _visit(self, entry: Descriptor, depth: int, runs: set[Digest]) -> None:
        """Read one entry of an index. `runs` has the manifests of this index so far that can run."""
        if entry.media_type not in MANIFEST_MEDIA_TYPES:
            raise AmbiguousDocumentError(f"{entry.digest.short} is listed as {shown(entry.media_type)}")
        is_new = entry.digest not in self.manifests
        manifest = self.read(entry.digest)
        manifest.check_fits(entry)
        if manifest.is_index:
            if is_new:
                self.enter(manifest, depth - 1)
        elif find_form(manifest) is not None:
            child = Child(entry, manifest, frozenset(runs))
            child.check_place()
            self.children.append(child)
        else:
            runs.add(entry.digest)
            self.add_leaf(entry)

    def add_leaf(self, entry: Descriptor) -> None:
        if is_attestation(entry):
            raise AmbiguousDocumentError(
                f"{entry.digest.short} calls itself an attestation ({entry.platform or 'no platform'}), and could run"
            )
        self.leaves.setdefault(entry.digest, entry)
        self.platforms.setdefault(entry.digest, set()).add(entry.platform)
        if len(self.leaves) > PLATFORMS:
            raise AmbiguousDocumentError(f"an index of more than {PLATFORMS} platforms")
