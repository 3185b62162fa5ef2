"""Copies blobs between two repositories: several at once, none twice, in bounded memory.

A blob costs one request where it can be mounted (distribution specification, "Mounting a blob from another
repository"), else three: read it, begin an upload, and send it while it is read. Its digest is checked on the way,
before the last bytes are sent; the registry checks it once more. What is there already is found out for all blobs at
once where the registry can tell, else by the mount itself.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NoReturn

from imagegate.errors import (
    ArchivedContentError,
    CorruptContentError,
    ImageNotFoundError,
    MissingLayerError,
    RegistryUnavailableError,
    RejectedInputError,
    RetryableError,
    ThrottledError,
)
from imagegate.oci.http import MOST_AT_ONCE, THROTTLED_ATTEMPTS
from imagegate.oci.image import Descriptor, Digest
from imagegate.oci.repository import NOT_FOUND, OCTETS, RepositoryClient, upload_location

# Larger ones are sent so that an upload can be left half-done and gone on with: by PATCH, which is one request more.
_LONG = 256 * 1024 * 1024
_FAULTS = 3  # of one blob
_NOT_KEPT = frozenset({400, 404, 405, 416})
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")


class _NoTimeError(Exception):
    """In the middle of a blob that cannot be left half-done."""


@dataclass(slots=True)
class BlobCopy:
    """One copy of many blobs. `has_time` is asked all the time, also in the middle of a blob."""

    source: RepositoryClient
    target: RepositoryClient
    has_time: Callable[[], bool]
    _failed: threading.Event = field(default_factory=threading.Event)

    def run(self, blobs: Iterable[Descriptor], begun: Mapping[Digest, str]) -> dict[Digest, str]:
        """What is not there when time is up: the blobs, each with where its upload stands, or ""."""
        missing = sorted(self._missing(list(blobs)), key=lambda blob: -blob.size)
        with ThreadPoolExecutor(MOST_AT_ONCE) as threads:
            copies = {threads.submit(self._copy, blob, begun.get(blob.digest, "")): blob for blob in missing}
            return self._collect(copies)

    def _collect(self, copies: Mapping[Future[str | None], Descriptor]) -> dict[Digest, str]:
        """The first failure ends all the others, and is raised when they have ended."""
        left: dict[Digest, str] = {}
        first: BaseException | None = None
        for copy in as_completed(copies):
            if error := copy.exception():
                first = first or error
                self._failed.set()
            elif (location := copy.result()) is not None:
                left[copies[copy].digest] = location
        if first:
            raise first
        return left

    def _missing(self, blobs: Sequence[Descriptor]) -> Sequence[Descriptor]:
        states = self.target.states(blobs)
        return [blob for blob in blobs if states.get(blob.digest) != "AVAILABLE"]

    def _goes_on(self) -> bool:
        return not self._failed.is_set() and self.has_time()

    def _copy(self, blob: Descriptor, location: str) -> str | None:
        """None: it is there. Else where its upload stands."""
        faults = 0
        for attempt in range(THROTTLED_ATTEMPTS):
            with self._turn():
                if not self._goes_on():
                    break
                # Whoever was cut off does not know whether the last request was carried out.
                if attempt and self.target.has(blob):
                    return None
                try:
                    return self._copy_once(blob, location)
                except _NoTimeError:
                    break
                except RetryableError as error:
                    faults += not isinstance(error, ThrottledError)
                    if faults == _FAULTS or attempt == THROTTLED_ATTEMPTS - 1:
                        raise
            location = ""  # who knows what is there now
        return location

    def _turn(self) -> ExitStack:
        turns = ExitStack()
        for connection in dict.fromkeys((self.source.connection, self.target.connection)):
            turns.enter_context(connection.pace.turn())
        return turns

    def _copy_once(self, blob: Descriptor, left_at: str) -> str | None:
        kept = self._kept(blob, left_at) if left_at else 0
        if kept:
            try:
                return self._send(blob, left_at, kept)
            except RejectedInputError:
                pass  # it was not kept as it was sent: begin again, and check all of it
        location = self._begin(blob)
        if not location:
            return None
        left = self._send(blob, location)
        if left and left_at:
            raise RejectedInputError(
                f"{self.target.name(blob)}: {blob.size} bytes are too many for one call, and this registry does not"
                " keep what was uploaded: copy the image by hand, then start the release again"
            )
        return left

    def _begin(self, blob: Descriptor) -> str:
        """Where to upload it, or "" when it is there: found, or mounted."""
        is_one_registry = self.source.connection is self.target.connection
        tells = self.target.check is not None
        # A mount from the repository itself asks whether the blob is there already.
        candidate = self.source.repository if is_one_registry else "" if tells else self.target.repository
        answer = self.target.begin_upload(blob, candidate)
        if answer.status == 201 or (is_one_registry and not tells and self.target.has(blob)):
            return ""
        return upload_location(answer, self.target.name(blob))

    def _kept(self, blob: Descriptor, location: str) -> int:
        """How many bytes of an upload the registry still has."""
        answer = self.target.connection.call("GET", location, self.target.name(blob), also=_NOT_KEPT)
        found = _RANGE.fullmatch(answer.headers.get("Range", ""))
        kept = int(found[1]) + 1 if found else 0
        return kept if answer.is_success and 1 < kept < blob.size else 0  # "0-0" is also said of none

    def _send(self, blob: Descriptor, location: str, first: int = 0) -> str | None:
        """None: it is there. Else where the upload was left, when time was up."""
        name = self.source.name(blob)
        with ExitStack() as reading:
            try:
                chunks = reading.enter_context(
                    self.source.connection.stream(self.source.path(blob), name, blob.size, first)
                )
            except ImageNotFoundError as error:
                self._explain_missing(blob, error)
            if blob.size <= _LONG:
                self.target.finish_upload(location, blob, self._checked(chunks, blob))
                return None
            return self._send_part(location, blob, chunks, first)

    def _send_part(self, location: str, blob: Descriptor, chunks: Iterator[bytes], first: int) -> str | None:
        part = _Part(first)
        content = part.of(self._checked(chunks, blob, first), self._goes_on)
        name = self.target.name(blob)
        answer = self.target.connection.call(
            "PATCH", location, name, headers=OCTETS, body=content, also=NOT_FOUND
        )
        if answer.status == 404:
            raise RegistryUnavailableError(f"{name}: the registry has lost the upload")
        location = upload_location(answer, name)
        if part.end < blob.size:
            return location
        self.target.finish_upload(location, blob, b"")
        return None

    def _explain_missing(self, blob: Descriptor, error: ImageNotFoundError) -> NoReturn:
        name = self.source.name(blob)
        if self.source.states([blob]).get(blob.digest) == "ARCHIVED":
            raise ArchivedContentError(
                f"{name}: the layer lies in the archive; restore its image, then start the release again"
            ) from error
        raise MissingLayerError(f"{name}: the repository does not have it; push the image again") from error

    def _checked(self, chunks: Iterator[bytes], blob: Descriptor, first: int = 0) -> Iterator[bytes]:
        """Pass the chunks on; raise before the last one would complete a blob with another digest or size.

        Of a blob that is gone on with, only the registry can check the digest.
        """
        name, digest, size = self.source.name(blob), hashlib.sha256(), first
        for chunk in chunks:
            if blob.size <= _LONG and not self._goes_on():
                raise _NoTimeError
            digest.update(chunk)
            size += len(chunk)
            if size > blob.size:
                raise CorruptContentError(f"{name}: has more than {blob.size} bytes")
            if size == blob.size and not first:
                _compare(blob, digest.hexdigest(), name)
            yield chunk
        if size < blob.size:
            raise CorruptContentError(f"{name}: has {size} bytes, not {blob.size}")
        if not blob.size:
            _compare(blob, digest.hexdigest(), name)


def _compare(blob: Descriptor, found: str, name: str) -> None:
    if found != blob.digest.hex:
        raise CorruptContentError(f"{name}: the bytes have the digest sha256:{found}")


@dataclass(slots=True)
class _Part:
    """A part of a blob that ends where time is up. `end`: the byte after its last one."""

    end: int

    def of(self, content: Iterator[bytes], goes_on: Callable[[], bool]) -> Iterator[bytes]:
        for chunk in content:
            yield chunk
            self.end += len(chunk)
            if not goes_on():
                return
