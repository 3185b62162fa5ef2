"""The blobs of one repository in a registry: the requests that read, find and upload them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from imagegate.errors import CorruptContentError, RegistryUnavailableError, RejectedInputError
from imagegate.oci.http import LIMIT, Connection
from imagegate.oci.image import Descriptor, Digest
from imagegate.oci.response import RegistryResponse, resolve_url

MAX_BLOB = 40 * 1024 * 1024  # in memory; BuildKit reads no larger attestations
_SMALL = 64 * 1024  # bytes that may be sent in vain, to a registry that takes no blob in one request
NOT_FOUND = frozenset({404})

_OCTETS = "application/octet-stream"
_HEADERS = {"Content-Type": _OCTETS}
# The answers to a question about an upload that the registry no longer has.
_NOT_STORED = frozenset({400, 404, 405, 416})
# The answers of a registry that takes no blob in one request; where nothing is there, the next request says so, too.
_NO_SINGLE_POST = frozenset({400, 404, 405, 411, 415})
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")

# Returns the states of a repository's layers: AVAILABLE, UNAVAILABLE or ARCHIVED (Amazon ECR API reference, Layer).
LayerCheck = Callable[[str, Sequence[Digest]], Mapping[Digest, str]]


@dataclass(frozen=True, slots=True)
class RepositoryClient:
    """The client for one repository's blobs. `check`: given if the registry reports on many layers at once."""

    connection: Connection
    repository: str
    check: LayerCheck | None = None

    def path(self, blob: Descriptor) -> str:
        return f"/v2/{self.repository}/blobs/{blob.digest}"

    def name(self, blob: Descriptor) -> str:
        return f"{self.repository}@{blob.digest}"

    def has(self, blob: Descriptor) -> bool:
        return self.connection.call("HEAD", self.path(blob), self.name(blob), accept=NOT_FOUND).is_success

    def states(self, blobs: Sequence[Descriptor]) -> Mapping[Digest, str]:
        """Return the state of each layer, or nothing if the registry does not report states."""
        return self.check(self.repository, [blob.digest for blob in blobs]) if self.check and blobs else {}

    def read(self, blob: Descriptor) -> bytes:
        """Return a blob of at most 40 MiB, checked against its digest."""
        name = self.name(blob)
        if blob.size > MAX_BLOB:
            raise RejectedInputError(
                f"{name}: has {blob.size} bytes; at most {MAX_BLOB} are read into memory"
            )
        is_small = blob.size <= LIMIT
        content = (
            self.connection.call("GET", self.path(blob), name).content if is_small else self._stream(blob)
        )
        if len(content) != blob.size:
            raise CorruptContentError(f"{name}: has {len(content)} bytes, not {blob.size}")
        return blob.digest.check(content, name)

    def _stream(self, blob: Descriptor) -> bytes:
        content = bytearray()
        with self.connection.stream(self.path(blob), self.name(blob), blob.size) as chunks:
            for chunk in chunks:
                content += chunk
                if len(content) > blob.size:
                    break
        return bytes(content)

    def push(self, content: bytes) -> Descriptor:
        """Upload a small blob: in one request if the registry takes that (distribution specification, "Single POST").

        A registry that does not take it begins an upload instead, or refuses the request.
        """
        blob = Descriptor(_OCTETS, Digest.of(content), len(content))
        if self.connection.takes_whole_blobs and blob.size <= _SMALL:
            response = self._post(blob, {"digest": str(blob.digest)}, content)
            if response.status == 201:
                return blob
            self.connection.takes_whole_blobs = False
            if response.status == 202:
                self.finish_upload(upload_location(response, self.name(blob)), blob, content)
                return blob
        self.finish_upload(upload_location(self.begin_upload(blob), self.name(blob)), blob, content)
        return blob

    def begin_upload(self, blob: Descriptor, mount_from: str = "") -> RegistryResponse:
        """Begin an upload. Status 201: the blob was mounted; 202: `Location` is the URL for its content."""
        return self._post(blob, {"mount": str(blob.digest), "from": mount_from} if mount_from else {})

    def _post(
        self, blob: Descriptor, query: Mapping[str, str], content: bytes | None = None
    ) -> RegistryResponse:
        path = f"/v2/{self.repository}/blobs/uploads/{'?' if query else ''}{urlencode(query)}"
        accept = _NO_SINGLE_POST if content is not None else frozenset()
        headers = _HEADERS if content is not None else {}
        return self.connection.call(
            "POST", path, self.name(blob), headers=headers, body=content, accept=accept
        )

    def stored_bytes(self, location: str, blob: Descriptor) -> int:
        """Return how many bytes of an unfinished upload the registry still has."""
        response = self.connection.call("GET", location, self.name(blob), accept=_NOT_STORED)
        match = _RANGE.fullmatch(response.headers.get("Range", ""))
        count = int(match[1]) + 1 if match else 0
        # Registries also answer "0-0" if they have nothing.
        return count if response.is_success and 1 < count < blob.size else 0

    def append(self, location: str, blob: Descriptor, content: Iterator[bytes]) -> str:
        """Append content to an upload. Return the URL for the rest."""
        name = self.name(blob)
        response = self.connection.call(
            "PATCH", location, name, headers=_HEADERS, body=content, accept=NOT_FOUND
        )
        if response.status == 404:
            raise RegistryUnavailableError(f"{name}: the registry has lost the upload")
        return upload_location(response, name)

    def finish_upload(self, location: str, blob: Descriptor, content: bytes | Iterator[bytes]) -> None:
        """Send the content and finish the upload. `content`: the whole blob, or b"" if it was sent before."""
        length = {} if isinstance(content, bytes) else {"Content-Length": str(blob.size)}
        response = self.connection.call(
            "PUT",
            f"{location}{'&' if '?' in location else '?'}{urlencode({'digest': str(blob.digest)})}",
            self.name(blob),
            headers=_HEADERS | length,
            body=content,
            accept=NOT_FOUND,
        )
        # A repeated request finds no upload if the first one succeeded and only its response was lost.
        if response.status == 404 and not self.has(blob):
            raise RegistryUnavailableError(f"{self.name(blob)}: the registry has lost the upload")


def upload_location(response: RegistryResponse, name: str) -> str:
    location = response.headers.get("Location")
    if not location:
        raise RegistryUnavailableError(f"{name}: the registry does not say where to upload to")
    return resolve_url(response.url, location, name)
