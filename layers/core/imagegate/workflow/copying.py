"""Copy an image exactly, with its evidence: find the manifests, copy their blobs, push the manifests in order.

All manifests are found first, so that all blobs are copied together. Then the manifests are pushed: children before
their index, and the image itself last, by its tag, which its caller sets: when it is there, all its evidence is. A
registry accepts a manifest only if it has everything that the manifest names, so an image that exists is complete; its
evidence may not be. Registries have to accept evidence before its subject (distribution specification, "Pushing
Manifests with Subject"); from one that refuses, the image is pushed by its digest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagegate.errors import (
    AmbiguousDocumentError,
    ImageNotFoundError,
    MissingLayerError,
    MissingRepositoryError,
    RegistryUnavailableError,
    RejectedInputError,
)
from imagegate.oci.artifact import prove_cannot_run
from imagegate.oci.image import Descriptor, Digest, ImageRef
from imagegate.workflow.examination.contents import DEPTH, EVIDENCE_BYTES, MANIFESTS
from imagegate.workflow.examination.signatures import content_of

if TYPE_CHECKING:
    from imagegate.oci.manifest import Manifest
    from imagegate.ports.registry import Registry

# Evidence (an attestation), and evidence about it (its signature); nothing deeper is copied.
_REFERRER_LEVELS = 2
# The most pieces of evidence that are read; no image has so many, and each takes time.
EVIDENCE = 500
_MOST_NAMED = 20


class OutOfTimeError(Exception):
    """This call has no time left. `uploads` has the state of each blob that was copied in part."""

    def __init__(self, uploads: Mapping[Digest, str]) -> None:
        super().__init__("the copy goes on with the next call")
        self.uploads = dict(uploads)


@dataclass(slots=True, kw_only=True)
class Copy:
    """The copy of `image` into the repository `target` of `registry`, which may be the same registry as `origin`."""

    origin: Registry
    registry: Registry
    image: ImageRef
    target: str
    has_time: Callable[[], bool]
    read: MutableMapping[Digest, Manifest] = field(default_factory=dict)  # of the source, a moment ago
    left_behind: list[str] = field(default_factory=list)
    tagged: str | None = None  # the tag that the image already has in the target
    # Known after `run`.
    manifest: Manifest = field(init=False)
    is_new: bool = True  # the target does not have the image
    _last: Manifest | None = None  # the image, if it is still to be pushed
    _is_tagged_next: bool = False
    _push: dict[Digest, Manifest] = field(default_factory=dict)  # in this order
    _seen: set[Digest] = field(default_factory=set)
    _states: dict[Digest, str] = field(default_factory=dict)  # of blobs in the target, if it reports them
    _bytes: int = 0  # of evidence that was read, to prove it

    def find(self, tag: str | None = None) -> Manifest | None:
        """Return the image's manifest in the target, or None. With `tag`, one request finds image and tag.

        An image is whole, so it is not there if the target lacks one of its blobs. The copy needs to know that anyway.
        """
        found = self._find(tag) if tag else None
        if found and found.digest == self.image.digest:
            self.tagged = tag
            return found
        return None if self._lacks_a_blob() else self._find(self.image.digest)

    def _find(self, reference: Digest | str) -> Manifest | None:
        try:
            return self.registry.manifest(self.target, reference)
        except ImageNotFoundError:
            return None

    def _lacks_a_blob(self) -> bool:
        """Say whether the target reports a blob of the image as missing. Read the states of evidence with them."""
        image = self._tree(self._source_manifest(self.image.digest))
        own = [blob for manifest in image.values() for blob in manifest.blobs if not blob.is_foreign]
        self._read_states([*own, *(blob for manifest in self.read.values() for blob in manifest.blobs)])
        return any(self._states.get(blob.digest) == "UNAVAILABLE" for blob in own)

    def _read_states(self, blobs: Iterable[Descriptor]) -> None:
        """Read the states of the blobs in the target, each once."""
        unknown = {blob.digest: blob for blob in blobs if blob.digest not in self._states}
        self._states |= self.registry.blob_states(self.target, list(unknown.values()))

    def run(
        self,
        there: Manifest | None,
        *,
        known: Iterable[Digest] = (),
        was_complete: bool = False,
        uploads: Mapping[Digest, str] | None = None,
        is_tagged_next: bool = False,
    ) -> Manifest:
        """Copy the image and return its manifest. `there`: the result of `find`.

        `is_tagged_next`: the manifest itself is left to the caller, who pushes it under a tag: one push is saved.

        `known`: evidence to copy even if the registry does not list it yet. The gate made it a moment ago, so nothing
        that refers to it is looked for. `was_complete`: an earlier copy ended, so
        only newer evidence is copied. `uploads`: blobs that an earlier call copied in part. Raises `OutOfTimeError`,
        and `MissingRepositoryError`, after which `send` goes on.
        """
        self.manifest = manifest = there or self._source_manifest(self.image.digest)
        tree = self._tree(manifest) if there is None or not was_complete else {}
        self.is_new, self._is_tagged_next = there is None, is_tagged_next
        if there is None:
            self._push |= tree
        known = () if was_complete else tuple(known)
        for digest in known:  # first: evidence that others attach cannot take its place
            self._add_evidence(digest, _REFERRER_LEVELS)
        self._add_referrers(self.image.digest, 1, only_new=was_complete)
        if not was_complete:
            for child in tree.keys() - {self.image.digest}:
                self._add_referrers(child, 1)
        self.send(uploads or {})
        return manifest

    def send(self, uploads: Mapping[Digest, str]) -> None:
        """Copy the blobs, then push the manifests."""
        self._copy_blobs(uploads)
        self._last = self._push.pop(self.image.digest, self._last)
        self._push_manifests()
        if self._last and not self._is_tagged_next:
            self._check_time()
            self.registry.push_manifest(self.target, self._last)

    def _source_manifest(self, digest: Digest) -> Manifest:
        if digest not in self.read:
            self.read[digest] = self.origin.manifest(self.image.repository, digest)
        return self.read[digest]

    def _tree(self, manifest: Manifest) -> dict[Digest, Manifest]:
        """Return all manifests of the image, each once: children before their index, the image itself last."""
        found: dict[Digest, Manifest] = {}
        self._descend(manifest, DEPTH, found)
        return found

    def _descend(self, manifest: Manifest, depth: int, found: dict[Digest, Manifest]) -> None:
        for entry in manifest.children:
            if entry.digest in found:
                continue
            self._check_bounds(depth, len(found))
            self._descend(self._source_manifest(entry.digest), depth - 1, found)
        found[manifest.digest] = manifest

    def _check_bounds(self, depth: int, number: int) -> None:
        if depth == 0 or number >= MANIFESTS:
            raise AmbiguousDocumentError(
                f"{self.image.digest.short}: an index of more than {DEPTH} levels or {MANIFESTS} manifests"
            )

    def _add_referrers(self, subject: Digest, level: int, *, only_new: bool = False) -> None:
        listed = self.origin.referrers(ImageRef(self.image.repository, subject))
        held = self._held_referrers(subject) if listed else set()
        for referrer in listed:
            if referrer.digest not in held:
                self._add_evidence(referrer.digest, level)
            elif not only_new and level < _REFERRER_LEVELS:
                self._add_referrers(referrer.digest, level + 1)

    def _held_referrers(self, subject: Digest) -> set[Digest]:
        """Return the referrers of `subject` in the target. There are none before the subject itself is pushed."""
        if subject in self._push:
            return set()
        return {found.digest for found in self.registry.referrers(ImageRef(self.target, subject))}

    def _add_evidence(self, digest: Digest, level: int) -> None:
        if digest in self._seen:
            return
        self._seen.add(digest)
        manifest = self._proven(digest) if len(self._seen) <= EVIDENCE else None
        if manifest is None:
            # An image that can run has to pass the gate itself.
            if len(self.left_behind) < _MOST_NAMED:
                self.left_behind.append(digest.short)
            return
        self._push[digest] = manifest
        if level < _REFERRER_LEVELS:
            self._add_referrers(digest, level + 1)

    def _proven(self, digest: Digest) -> Manifest | None:
        """Return what says something about another manifest and cannot run, or None if that is not proven."""
        try:
            manifest = self._source_manifest(digest)
            if manifest.subject is None:
                return None
            prove_cannot_run(manifest, self._read)
        except AmbiguousDocumentError:
            return None
        return manifest

    def _read(self, blob: Descriptor) -> bytes:
        self._bytes += blob.size
        if self._bytes > EVIDENCE_BYTES:
            raise AmbiguousDocumentError(f"its evidence is larger than {EVIDENCE_BYTES >> 20} MiB")
        return content_of(self.origin, self.image.repository, blob)

    def _copy_blobs(self, uploads: Mapping[Digest, str]) -> None:
        source = self.image.repository
        wanted = {blob.digest: blob for manifest in self._push.values() for blob in manifest.blobs}
        self._read_states(wanted.values())
        blobs = [
            blob
            for blob in wanted.values()
            if self._states.get(blob.digest) != "AVAILABLE" and not self._is_stored_elsewhere(blob)
        ]
        if not blobs:
            return
        try:
            left = self.registry.copy_blobs(blobs, source, self.target, self.has_time, uploads)
        except MissingLayerError:
            # Raises an error if the image was deleted meanwhile.
            self.origin.manifest(self.image.repository, self.image.digest)
            raise
        except ImageNotFoundError as error:
            raise self._missing_repository(error) from error
        if left:
            raise OutOfTimeError(left)

    def _is_stored_elsewhere(self, blob: Descriptor) -> bool:
        """Say whether the blob is a foreign layer that is stored at another place, which the manifest names."""
        return blob.is_foreign and not self.origin.has_blob(self.image.repository, blob)

    def _push_manifests(self) -> None:
        for manifest in self._push.values():
            self._check_time()
            try:
                self._push_one(manifest)
            except ImageNotFoundError as error:
                raise self._missing_repository(error) from error

    def _check_time(self) -> None:
        if not self.has_time():
            raise OutOfTimeError({})

    def _push_one(self, manifest: Manifest) -> None:
        try:
            self.registry.push_manifest(self.target, manifest)
        except ImageNotFoundError:
            raise
        except (RejectedInputError, RegistryUnavailableError):
            if self._last is None or manifest.subject is None:
                raise
            last, self._last = self._last, None
            self.registry.push_manifest(self.target, last)
            self.registry.push_manifest(self.target, manifest)

    def _missing_repository(self, error: ImageNotFoundError) -> MissingRepositoryError:
        """Return the error for a target repository that does not exist."""
        return MissingRepositoryError(
            f"{error}; make the repository {self.target} there, or have pushes make it (a repository creation"
            " template with create-on-push), then start the release again"
        )
