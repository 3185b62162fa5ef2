"""A repository in a registry: where blobs are, and the requests that bring one there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from imagegate.errors import RegistryUnavailableError
from imagegate.oci.http import Connection
from imagegate.oci.image import Descriptor, Digest
from imagegate.oci.response import RegistryResponse, resolve_url

OCTETS = {"Content-Type": "application/octet-stream"}
NOT_FOUND = frozenset({404})

# How these layers of a repository are: AVAILABLE, UNAVAILABLE or ARCHIVED (Amazon ECR API reference, Layer).
LayerCheck = Callable[[str, Sequence[Digest]], Mapping[Digest, str]]


@dataclass(frozen=True, slots=True)
class RepositoryClient:
    """`check`: where the registry tells about many layers at once."""

    connection: Connection
    repository: str
    check: LayerCheck | None = None

    def path(self, blob: Descriptor) -> str:
        return f"/v2/{self.repository}/blobs/{blob.digest}"

    def name(self, blob: Descriptor) -> str:
        return f"{self.repository}@{blob.digest}"

    def has(self, blob: Descriptor) -> bool:
        return self.connection.call("HEAD", self.path(blob), self.name(blob), also=NOT_FOUND).is_success

    def states(self, blobs: Sequence[Descriptor]) -> Mapping[Digest, str]:
        """Empty where the registry does not tell."""
        return self.check(self.repository, [blob.digest for blob in blobs]) if self.check and blobs else {}

    def begin_upload(self, blob: Descriptor, mount_from: str = "") -> RegistryResponse:
        """201: it was mounted, there is nothing to send. 202: `Location` says where to send it."""
        mount = "?" + urlencode({"mount": str(blob.digest), "from": mount_from}) if mount_from else ""
        return self.connection.call("POST", f"/v2/{self.repository}/blobs/uploads/{mount}", self.name(blob))

    def finish_upload(self, location: str, blob: Descriptor, content: bytes | Iterator[bytes]) -> None:
        """`content`: all of it, or b"" when it was sent before."""
        length = {} if isinstance(content, bytes) else {"Content-Length": str(blob.size)}
        answer = self.connection.call(
            "PUT",
            f"{location}{'&' if '?' in location else '?'}{urlencode({'digest': str(blob.digest)})}",
            self.name(blob),
            headers=OCTETS | length,
            body=content,
            also=NOT_FOUND,
        )
        # A repeated request finds no upload when the first one was carried out and only its answer was lost.
        if answer.status == 404 and not self.has(blob):
            raise RegistryUnavailableError(f"{self.name(blob)}: the registry has lost the upload")


def upload_location(answer: RegistryResponse, name: str) -> str:
    location = answer.headers.get("Location")
    if not location:
        raise RegistryUnavailableError(f"{name}: the registry does not say where to upload to")
    return resolve_url(answer.url, location, name)
