"""The OCI distribution API (opencontainers/distribution-spec 1.1): byte-exact, with as few requests as it takes.

Where a registry has no referrers API, the list under the fallback tag is read and kept. The specification has no lock
for it: of two that write it at once, one entry may be lost; pushing that manifest again brings it back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from urllib.parse import quote

from imagegate.clock import Clock, utc_now
from imagegate.errors import (
    CorruptContentError,
    ImageNotFoundError,
    RegistryUnavailableError,
    RejectedInputError,
    TagConflictError,
)
from imagegate.oci import referrers as referrers_tag
from imagegate.oci.copy import BlobCopy
from imagegate.oci.http import LIMIT, Connection, Login
from imagegate.oci.image import MANIFEST_MEDIA_TYPES, OCI_INDEX, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.oci.repository import NOT_FOUND, LayerCheck, RepositoryClient, upload_location
from imagegate.oci.response import RegistryResponse, resolve_url
from imagegate.oci.wire import Guard

_OCTETS = "application/octet-stream"
_ACCEPTED = ", ".join(MANIFEST_MEDIA_TYPES)
_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next"?')
_NONE: Mapping[Digest, str] = MappingProxyType({})
LARGEST_BLOB = 40 * 1024 * 1024  # what BuildKit reads of an attestation
_MAX_PAGES = 200  # of 50 referrers each; a registry that never ends is broken
_LONGEST_LINK = 8192
_UNLISTED = frozenset({403, 404})
_EXPLAINED = frozenset({400, 404, 405, 409, 412})


class HttpRegistry:
    """One registry. Blobs are copied within it, or from the registry `source`."""

    def __init__(
        self,
        log_in: Callable[[], Login],
        *,
        source: HttpRegistry | None = None,
        layers: LayerCheck | None = None,
        clock: Clock = utc_now,
        guard: Guard | None = None,
    ) -> None:
        """`layers`: tells about many layers at once, where the registry can. `guard`: of a registry elsewhere."""
        self._connection = Connection(log_in, clock, guard)
        self._source = source or self
        self._layers = layers
        self._lists_referrers = False  # as far as is known

    def push_blob(self, repository: str, content: bytes) -> Descriptor:
        blob = Descriptor(_OCTETS, Digest.of(content), len(content))
        place = self._place(repository)
        place.finish_upload(upload_location(place.begin_upload(blob), place.name(blob)), blob, content)
        return blob

    def copy_blobs(
        self,
        blobs: Iterable[Descriptor],
        source: str,
        target: str,
        has_time: Callable[[], bool] = lambda: True,
        begun: Mapping[Digest, str] = _NONE,
    ) -> dict[Digest, str]:
        copy = BlobCopy(self._source._place(source), self._place(target), has_time)
        return copy.run(blobs, begun)

    def blob(self, repository: str, blob: Descriptor) -> bytes:
        """Return a blob of at most 40 MiB, checked against its digest."""
        place = self._place(repository)
        name = place.name(blob)
        if blob.size > LARGEST_BLOB:
            raise RejectedInputError(
                f"{name}: has {blob.size} bytes; at most {LARGEST_BLOB} are read into memory"
            )
        content = (
            self._call("GET", place.path(blob), name).content
            if blob.size <= LIMIT
            else self._streamed(place, blob)
        )
        if len(content) != blob.size:
            raise CorruptContentError(f"{name}: has {len(content)} bytes, not {blob.size}")
        return blob.digest.check(content, name)

    def _streamed(self, place: RepositoryClient, blob: Descriptor) -> bytes:
        content = bytearray()
        with self._connection.stream(place.path(blob), place.name(blob), blob.size) as chunks:
            for chunk in chunks:
                content += chunk
                if len(content) > blob.size:
                    break
        return bytes(content)

    def has_blob(self, repository: str, blob: Descriptor) -> bool:
        return self._place(repository).has(blob)

    def manifest(self, repository: str, reference: Digest | str) -> Manifest:
        """The exact bytes, checked when asked for by digest. Raises `ImageNotFoundError`."""
        is_digest = isinstance(reference, Digest)
        name = f"{repository}{'@' if is_digest else ':'}{reference}"
        answer = self._manifest_call("GET", repository, str(reference), name)
        given = answer.headers.get("Docker-Content-Digest")
        expected = reference if isinstance(reference, Digest) else given and Digest.parse(given)
        content = expected.check(answer.content, name) if expected else answer.content
        return _parsed(content, answer.headers.get("Content-Type", ""), name)

    def push_manifest(self, repository: str, manifest: Manifest, tag: str | None = None) -> None:
        """By digest, or under `tag`. Raises `TagConflictError` when an immutable tag is taken by another digest."""
        image = ImageRef(repository, manifest.digest)
        self._put_manifest(image, manifest, tag)
        if manifest.subject and not self._has_referrers_api(ImageRef(repository, manifest.subject.digest)):
            self._list_under_tag(repository, manifest.subject.digest, manifest)

    def referrers(self, image: ImageRef) -> list[Descriptor]:
        """What refers to the image, by the referrers API or, where there is none, by the tag scheme."""
        path = f"/v2/{image.repository}/referrers/{image.digest}"
        answer = self._call("GET", path, str(image), also=NOT_FOUND)
        if answer.status == 404:
            listed = self._tagged_list(image.repository, image.digest)
            return list(listed.children) if listed else []
        found = {blob.digest: blob for page in self._pages(answer, image) for blob in page.children}
        return list(found.values())

    def _pages(self, answer: RegistryResponse, image: ImageRef) -> Iterator[Manifest]:
        for _ in range(_MAX_PAGES):
            yield _parsed(answer.content, OCI_INDEX, f"{image} referrers")
            following = _NEXT.search(answer.headers.get("Link", "")[:_LONGEST_LINK])
            if not following:
                return
            answer = self._call("GET", resolve_url(answer.url, following[1], str(image)), str(image))
        raise RegistryUnavailableError(f"{image}: more than {_MAX_PAGES} pages of referrers")

    def _has_referrers_api(self, subject: ImageRef) -> bool:
        """Whatever is not "no such page" comes from a registry that keeps the list itself."""
        if not self._lists_referrers:
            path = f"/v2/{subject.repository}/referrers/{subject.digest}"
            answer = self._call("GET", path, str(subject), also=_UNLISTED)
            self._lists_referrers = answer.status != 404
        return self._lists_referrers

    def _tagged_list(self, repository: str, subject: Digest) -> Manifest | None:
        try:
            return self.manifest(repository, referrers_tag.tag_of(subject))
        except ImageNotFoundError:
            return None

    def _list_under_tag(self, repository: str, subject: Digest, referrer: Manifest) -> None:
        longer = referrers_tag.with_referrer(self._tagged_list(repository, subject), referrer)
        if longer:
            self._put_manifest(ImageRef(repository, longer.digest), longer, referrers_tag.tag_of(subject))

    def _put_manifest(self, image: ImageRef, manifest: Manifest, tag: str | None) -> None:
        answer = self._call(
            "PUT",
            f"/v2/{image.repository}/manifests/{quote(tag or str(image.digest), safe=':')}",
            str(image),
            headers={"Content-Type": manifest.media_type},
            body=manifest.content,
            also=_EXPLAINED,
        )
        # Distribution specification, "Pushing Manifests with Subject": so says a registry that lists referrers.
        self._lists_referrers |= "OCI-Subject" in answer.headers
        if not answer.is_success:
            self._explain_refused_push(answer, image, tag)

    def _explain_refused_push(self, answer: RegistryResponse, image: ImageRef, tag: str | None) -> None:
        """Return when the tag holds this image already; else raise what the refusal means."""
        is_unknown = answer.status == 404 and answer.code != "NAME_UNKNOWN"
        if is_unknown or answer.code == "MANIFEST_BLOB_UNKNOWN":
            raise RegistryUnavailableError(f"{image}: something it names is not in the repository (any more)")
        if tag is None or not (answer.status == 409 or answer.code == "TAG_INVALID"):
            raise answer.refusal(str(image))
        try:
            taken_by = self.manifest(image.repository, tag).digest
        except ImageNotFoundError:
            raise answer.refusal(f"{image} as {tag}") from None
        if taken_by != image.digest:
            raise TagConflictError(f"{image}: the immutable tag {tag} is taken by {taken_by}")

    def _manifest_call(
        self, method: str, repository: str, reference: str, name: str, also: frozenset[int] = frozenset()
    ) -> RegistryResponse:
        path = f"/v2/{repository}/manifests/{quote(reference, safe=':')}"
        return self._call(method, path, name, headers={"Accept": _ACCEPTED}, also=also)

    def _place(self, repository: str) -> RepositoryClient:
        return RepositoryClient(self._connection, repository, self._layers)

    def _call(
        self,
        method: str,
        target: str,
        asked: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | Iterator[bytes] | None = None,
        also: frozenset[int] = frozenset(),
    ) -> RegistryResponse:
        return self._connection.call(method, target, asked, headers=headers, body=body, also=also)


def _parsed(content: bytes, content_type: str, name: str) -> Manifest:
    try:
        return Manifest.parse(content, content_type.partition(";")[0].strip())
    except RejectedInputError as error:
        raise RejectedInputError(f"{name}: {error}") from error
