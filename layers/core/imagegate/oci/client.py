"""The client for the OCI distribution API (opencontainers/distribution-spec 1.1): exact bytes, few requests.

If a registry has no referrers API, the list under the fallback tag is read and updated. The specification has no lock
for that list: if two clients write it at once, one entry may be lost; pushing that manifest again restores it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

from imagegate.clock import Clock, utc_now
from imagegate.errors import (
    ImageNotFoundError,
    RegistryUnavailableError,
    RejectedInputError,
    TagConflictError,
)
from imagegate.oci import referrers as referrers_tag
from imagegate.oci.copy import BlobCopy
from imagegate.oci.http import Connection
from imagegate.oci.image import MANIFEST_MEDIA_TYPES, OCI_INDEX, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.oci.repository import NOT_FOUND, LayerCheck, RepositoryClient
from imagegate.oci.response import RegistryResponse, resolve_url

if TYPE_CHECKING:
    from imagegate.oci.login import Login
    from imagegate.oci.wire import Guard

_ACCEPTED = ", ".join(MANIFEST_MEDIA_TYPES)
_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next"?')
_NONE: Mapping[Digest, str] = MappingProxyType({})
_MAX_PAGES = 200  # of 50 referrers each; a registry with more is broken
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
        """Prepare a client.

        `layers`: given if the registry reports on many layers at once. `guard`: for a registry that is not ours.
        """
        self._connection = Connection(log_in, clock, guard)
        self._source = source or self
        self._layers = layers
        self._lists_referrers = False  # as far as we know

    def push_blob(self, repository: str, content: bytes) -> Descriptor:
        return self._repository(repository).push(content)

    def blob_states(self, repository: str, blobs: Sequence[Descriptor]) -> Mapping[Digest, str]:
        """Return the state of each blob, or nothing if the registry does not report states."""
        return self._repository(repository).states(blobs)

    def copy_blobs(
        self,
        blobs: Iterable[Descriptor],
        source: str,
        target: str,
        has_time: Callable[[], bool] = lambda: True,
        begun: Mapping[Digest, str] = _NONE,
    ) -> dict[Digest, str]:
        """Copy blobs. Return those that are left when time is up, each with the URL of its upload, or "".

        `begun`: the result of an earlier call.
        """
        source_client, target_client = self._source._repository(source), self._repository(target)
        return BlobCopy(source_client, target_client, has_time).run(blobs, begun)

    def blob(self, repository: str, blob: Descriptor) -> bytes:
        """Return a blob of at most 40 MiB, checked against its digest."""
        return self._repository(repository).read(blob)

    def has_blob(self, repository: str, blob: Descriptor) -> bool:
        return self._repository(repository).has(blob)

    def manifest(self, repository: str, reference: Digest | str) -> Manifest:
        """Return a manifest with its exact bytes, checked if its digest is known. Raises `ImageNotFoundError`."""
        is_digest = isinstance(reference, Digest)
        name = f"{repository}{'@' if is_digest else ':'}{reference}"
        path = f"/v2/{repository}/manifests/{quote(str(reference), safe=':')}"
        response = self._connection.call("GET", path, name, headers={"Accept": _ACCEPTED})
        header = response.headers.get("Docker-Content-Digest")
        expected = reference if isinstance(reference, Digest) else header and Digest.parse(header)
        content = expected.check(response.content, name) if expected else response.content
        return _parse(content, response.headers.get("Content-Type", ""), name)

    def push_manifest(self, repository: str, manifest: Manifest, tag: str | None = None) -> None:
        """Push by digest, or under `tag`. Raises `TagConflictError` if another image has that immutable tag."""
        image = ImageRef(repository, manifest.digest)
        self._put_manifest(image, manifest, tag)
        if manifest.subject and not self._has_referrers_api(ImageRef(repository, manifest.subject.digest)):
            self._list_under_tag(repository, manifest.subject.digest, manifest)

    def referrers(self, image: ImageRef) -> list[Descriptor]:
        """Return what refers to the image, from the referrers API or, if there is none, from the tag schema."""
        path = f"/v2/{image.repository}/referrers/{image.digest}"
        response = self._connection.call("GET", path, str(image), accept=NOT_FOUND)
        if response.status == 404:
            index = self._tagged_index(image.repository, image.digest)
            return list(index.children) if index else []
        referrers = {entry.digest: entry for page in self._pages(response, image) for entry in page.children}
        return list(referrers.values())

    def _pages(self, response: RegistryResponse, image: ImageRef) -> Iterator[Manifest]:
        for _ in range(_MAX_PAGES):
            yield _parse(response.content, OCI_INDEX, f"{image} referrers")
            link = _NEXT.search(response.headers.get("Link", "")[:_LONGEST_LINK])
            if not link:
                return
            url = resolve_url(response.url, link[1], str(image))
            response = self._connection.call("GET", url, str(image))
        raise RegistryUnavailableError(f"{image}: more than {_MAX_PAGES} pages of referrers")

    def _has_referrers_api(self, subject: ImageRef) -> bool:
        """Return True unless the referrers API answers 404. Any other status proves that it exists."""
        if not self._lists_referrers:
            path = f"/v2/{subject.repository}/referrers/{subject.digest}"
            response = self._connection.call("GET", path, str(subject), accept=_UNLISTED)
            self._lists_referrers = response.status != 404
        return self._lists_referrers

    def _tagged_index(self, repository: str, subject: Digest) -> Manifest | None:
        try:
            return self.manifest(repository, referrers_tag.tag_of(subject))
        except ImageNotFoundError:
            return None

    def _list_under_tag(self, repository: str, subject: Digest, referrer: Manifest) -> None:
        index = referrers_tag.with_referrer(self._tagged_index(repository, subject), referrer)
        if index:
            self._put_manifest(ImageRef(repository, index.digest), index, referrers_tag.tag_of(subject))

    def _put_manifest(self, image: ImageRef, manifest: Manifest, tag: str | None) -> None:
        response = self._connection.call(
            "PUT",
            f"/v2/{image.repository}/manifests/{quote(tag or str(image.digest), safe=':')}",
            str(image),
            headers={"Content-Type": manifest.media_type},
            body=manifest.content,
            accept=_EXPLAINED,
        )
        # Only a registry with a referrers API sends it (distribution specification, "Pushing Manifests with Subject").
        self._lists_referrers |= "OCI-Subject" in response.headers
        if not response.is_success:
            self._explain_refused_push(response, image, tag)

    def _explain_refused_push(self, response: RegistryResponse, image: ImageRef, tag: str | None) -> None:
        """Raise the error for a refused push. Return if the tag is on this image already."""
        is_unknown = response.status == 404 and response.code != "NAME_UNKNOWN"
        if is_unknown or response.code == "MANIFEST_BLOB_UNKNOWN":
            raise RegistryUnavailableError(f"{image}: something it names is not in the repository (any more)")
        if tag is None or not (response.status == 409 or response.code == "TAG_INVALID"):
            raise response.refusal(str(image))
        try:
            owner = self.manifest(image.repository, tag).digest
        except ImageNotFoundError:
            raise response.refusal(f"{image} as {tag}") from None
        if owner != image.digest:
            raise TagConflictError(f"{image}: the immutable tag {tag} is taken by {owner}")

    def _repository(self, repository: str) -> RepositoryClient:
        return RepositoryClient(self._connection, repository, self._layers)


def _parse(content: bytes, content_type: str, name: str) -> Manifest:
    try:
        return Manifest.parse(content, content_type.partition(";")[0].strip())
    except RejectedInputError as error:
        raise RejectedInputError(f"{name}: {error}") from error
