"""The OCI distribution API (opencontainers/distribution-spec 1.1): byte-exact, with as few requests as it takes.

Where a registry has no referrers API, the list under the fallback tag is read and kept. The specification has no lock
for it: of two that write it at once, one entry may be lost; pushing that manifest again brings it back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlencode, urljoin

from imagegate.adapters import referrers_tag
from imagegate.adapters.aws import client, translated
from imagegate.adapters.registry_connection import LIMIT, Answer, Connection, Login
from imagegate.domain.errors import (
    AccessRefusedError,
    CorruptContentError,
    ImageNotFoundError,
    RegistryUnavailableError,
    RejectedInputError,
    TagConflictError,
)
from imagegate.domain.image import MANIFEST_MEDIA_TYPES, OCI_INDEX, Descriptor, Digest, ImageRef, Manifest

_OCTETS = "application/octet-stream"
_ACCEPTED = ", ".join(MANIFEST_MEDIA_TYPES)
_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next"?')
_MAX_PAGES = 200  # of 50 referrers each; a registry that never ends is broken
_MISSING = frozenset({404})
_UNLISTED = frozenset({403, 404})
_EXPLAINED = frozenset({400, 404, 405, 409, 412})


def ecr_login() -> Login:
    """Ask ECR (GetAuthorizationToken); the answer is good for 12 hours."""
    with translated({"AccessDeniedException": AccessRefusedError}, "a token for the registry"):
        granted = client("ecr").get_authorization_token()["authorizationData"][0]
    return Login(granted["proxyEndpoint"], granted["authorizationToken"], granted["expiresAt"])


class HttpRegistry:
    """One registry; ECR's own, unless told otherwise. Blobs are copied within it, or from the registry `source`."""

    def __init__(
        self, log_in: Callable[[], Login] = ecr_login, *, source: HttpRegistry | None = None
    ) -> None:
        self._connection = Connection(log_in)
        self._source = source
        self._lists_referrers = False  # as far as is known

    def push_blob(self, repository: str, content: bytes) -> Descriptor:
        blob = Descriptor(_OCTETS, Digest.of(content), len(content))
        answer = self._call("POST", f"/v2/{repository}/blobs/uploads/", _name(repository, blob))
        self._finish_upload(answer, repository, blob, content)
        return blob

    def copy_blob(self, blob: Descriptor, source: str, target: str) -> None:
        """Mount where the registry can, else stream with bounded memory and check the digest."""
        mount = "" if self._source else "?" + urlencode({"mount": str(blob.digest), "from": source})
        answer = self._call("POST", f"/v2/{target}/blobs/uploads/{mount}", _name(target, blob))
        if answer.status == 201:
            return
        # Where nothing is mounted, a copy that ran out of time must not begin from zero again.
        if not self.has_blob(target, blob):
            self._stream_blob(answer, blob, source, target)

    def blob(self, repository: str, blob: Descriptor) -> bytes:
        """A small blob, checked against its digest."""
        name = _name(repository, blob)
        if blob.size > LIMIT:
            raise RejectedInputError(f"{name}: has {blob.size} bytes; at most {LIMIT} are read into memory")
        content = self._call("GET", f"/v2/{repository}/blobs/{blob.digest}", name).content
        if len(content) != blob.size:
            raise CorruptContentError(f"{name}: has {len(content)} bytes, not {blob.size}")
        return blob.digest.check(content, name)

    def has_blob(self, repository: str, blob: Descriptor) -> bool:
        path = f"/v2/{repository}/blobs/{blob.digest}"
        return self._call("HEAD", path, _name(repository, blob), also=_MISSING).is_success

    def manifest(self, repository: str, reference: Digest | str) -> Manifest:
        """The exact bytes, checked when asked for by digest. Raises `ImageNotFoundError`."""
        is_digest = isinstance(reference, Digest)
        name = f"{repository}{'@' if is_digest else ':'}{reference}"
        answer = self._manifest_call("GET", repository, str(reference), name)
        given = answer.headers.get("Docker-Content-Digest")
        expected = reference if isinstance(reference, Digest) else given and Digest.parse(given)
        content = expected.check(answer.content, name) if expected else answer.content
        return _parsed(content, answer.headers.get("Content-Type", ""), name)

    def has_manifest(self, image: ImageRef) -> bool:
        answer = self._manifest_call("HEAD", image.repository, str(image.digest), str(image), _MISSING)
        return answer.is_success

    def push_manifest(self, repository: str, manifest: Manifest, tag: str | None = None) -> None:
        """By digest, or under `tag`. Raises `TagConflictError` when an immutable tag is taken by another digest."""
        image = ImageRef(repository, manifest.digest)
        if tag is not None or not self.has_manifest(image):
            self._put_manifest(image, manifest, tag)
        if manifest.subject and not self._has_referrers_api(ImageRef(repository, manifest.subject.digest)):
            self._list_under_tag(repository, manifest.subject.digest, manifest)

    def referrers(self, image: ImageRef) -> list[Descriptor]:
        """What refers to the image, by the referrers API or, where there is none, by the tag scheme."""
        path = f"/v2/{image.repository}/referrers/{image.digest}"
        answer = self._call("GET", path, str(image), also=_MISSING)
        if answer.status == 404:
            listed = self._tagged_list(image.repository, image.digest)
            return list(listed.children) if listed else []
        found = {blob.digest: blob for page in self._pages(answer, image) for blob in page.children}
        return list(found.values())

    def _pages(self, answer: Answer, image: ImageRef) -> Iterator[Manifest]:
        for _ in range(_MAX_PAGES):
            yield _parsed(answer.content, OCI_INDEX, f"{image} referrers")
            following = _NEXT.search(answer.headers.get("Link", ""))
            if not following:
                return
            answer = self._call("GET", urljoin(answer.url, following[1]), str(image))
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

    def _stream_blob(self, upload: Answer, blob: Descriptor, source: str, target: str) -> None:
        name = _name(target, blob)
        origin = self._source or self
        with origin._connection.stream(f"/v2/{source}/blobs/{blob.digest}", _name(source, blob)) as chunks:
            answer = self._call(
                "PATCH",
                _upload_of(upload, name),
                name,
                headers={"Content-Type": _OCTETS},
                body=_checked(chunks, blob, _name(source, blob)),
                also=_MISSING,
            )
        if answer.status == 404:
            raise _lost(name)
        self._finish_upload(answer, target, blob, b"")

    def _finish_upload(self, upload: Answer, repository: str, blob: Descriptor, content: bytes) -> None:
        name = _name(repository, blob)
        location = _upload_of(upload, name)
        digest = urlencode({"digest": str(blob.digest)})
        answer = self._call(
            "PUT",
            f"{location}{'&' if '?' in location else '?'}{digest}",
            name,
            headers={"Content-Type": _OCTETS},
            body=content,
            also=_MISSING,
        )
        # A retried request finds no upload when the first one was carried out and only its answer was lost.
        if answer.status == 404 and not self.has_blob(repository, blob):
            raise _lost(name)

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

    def _explain_refused_push(self, answer: Answer, image: ImageRef, tag: str | None) -> None:
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
    ) -> Answer:
        path = f"/v2/{repository}/manifests/{quote(reference, safe=':')}"
        return self._call(method, path, name, headers={"Accept": _ACCEPTED}, also=also)

    def _call(
        self,
        method: str,
        target: str,
        asked: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | Iterator[bytes] | None = None,
        also: frozenset[int] = frozenset(),
    ) -> Answer:
        return self._connection.call(method, target, asked, headers=headers, body=body, also=also)


def _name(repository: str, blob: Descriptor) -> str:
    return f"{repository}@{blob.digest}"


def _upload_of(answer: Answer, name: str) -> str:
    location = answer.headers.get("Location")
    if not location:
        raise RegistryUnavailableError(f"{name}: the registry does not say where to upload to")
    return urljoin(answer.url, location)


def _lost(name: str) -> RegistryUnavailableError:
    return RegistryUnavailableError(f"{name}: the registry has lost the upload")


def _parsed(content: bytes, content_type: str, name: str) -> Manifest:
    try:
        return Manifest.parse(content, content_type.partition(";")[0].strip())
    except RejectedInputError as error:
        raise RejectedInputError(f"{name}: {error}") from error


def _checked(chunks: Iterator[bytes], blob: Descriptor, name: str) -> Iterator[bytes]:
    """Pass the chunks on; raise before the last one would complete a blob with another digest or size."""
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        if size > blob.size:
            raise CorruptContentError(f"{name}: has more than {blob.size} bytes")
        yield chunk
    if digest.hexdigest() != blob.digest.hex:
        raise CorruptContentError(f"{name}: the bytes have the digest sha256:{digest.hexdigest()}")
