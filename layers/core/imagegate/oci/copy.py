"""The copy of blobs between two repositories: several at once, none twice, in bounded memory.

A blob that can be mounted costs one request (distribution specification, "Mounting a blob from another repository").
Any other costs three: read it, begin an upload, and send it while it is read. Its digest is checked before its last
bytes are sent, and the registry checks it once more. Blobs that the target has already are found by the caller, for all
blobs at once if the registry reports on many layers, else by the mount itself.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from imagegate.errors import (
    ArchivedContentError,
    CorruptContentError,
    ImageNotFoundError,
    MissingLayerError,
    RejectedInputError,
    RetryableError,
    ThrottledError,
)
from imagegate.oci.http import MOST_AT_ONCE, THROTTLED_ATTEMPTS
from imagegate.oci.repository import RepositoryClient, upload_location

if TYPE_CHECKING:
    from imagegate.oci.image import Descriptor, Digest

# Larger blobs are sent by PATCH, which costs one request more: such an upload can be interrupted and continued later.
_LONG = 256 * 1024 * 1024
_FAULTS = 3  # of one blob


class _NoTimeError(Exception):
    """Time ran out in the middle of a blob whose upload cannot be continued later."""


@dataclass(slots=True)
class BlobCopy:
    """One copy of many blobs. `has_time` is called again and again, also in the middle of a blob."""

    source: RepositoryClient
    target: RepositoryClient
    has_time: Callable[[], bool]
    _failed: threading.Event = field(default_factory=threading.Event)

    def run(self, blobs: Iterable[Descriptor], uploads: Mapping[Digest, str]) -> dict[Digest, str]:
        """Copy the blobs. Return those that are left when time is up, each with the URL of its upload, or "".

        `uploads`: the result of an earlier copy.
        """
        with ThreadPoolExecutor(MOST_AT_ONCE) as threads:
            copies = {
                threads.submit(self._copy, blob, uploads.get(blob.digest, "")): blob
                for blob in sorted(blobs, key=lambda blob: -blob.size)
            }
            return self._collect(copies)

    def _collect(self, copies: Mapping[Future[str | None], Descriptor]) -> dict[Digest, str]:
        """Wait for all copies. The first failure stops the others, and is raised when they have stopped."""
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

    def _may_continue(self) -> bool:
        return not self._failed.is_set() and self.has_time()

    def _copy(self, blob: Descriptor, location: str) -> str | None:
        """Return None if the target has the blob, else the URL of its unfinished upload, or ""."""
        faults = 0
        for attempt in range(THROTTLED_ATTEMPTS):
            with self._turn():
                if not self._may_continue():
                    break
                # After a failure it is unknown whether the last request was carried out.
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
            location = ""  # the state of the upload is unknown now
        return location

    def _turn(self) -> ExitStack:
        turns = ExitStack()
        for connection in dict.fromkeys((self.source.connection, self.target.connection)):
            turns.enter_context(connection.pace.turn())
        return turns

    def _copy_once(self, blob: Descriptor, left_at: str) -> str | None:
        stored = self.target.stored_bytes(left_at, blob) if left_at else 0
        if stored:
            try:
                return self._send(blob, left_at, stored)
            except RejectedInputError:
                pass  # the registry stored other bytes than were sent: begin again, and check all of them
        location = self._begin(blob)
        if not location:
            return None
        upload = self._send(blob, location)
        if upload and left_at:
            raise RejectedInputError(
                f"{self.target.name(blob)}: {blob.size} bytes are too many for one call, and this registry does not"
                " keep unfinished uploads: copy the image by hand, then start the release again"
            )
        return upload

    def _begin(self, blob: Descriptor) -> str:
        """Return the URL for the upload, or "" if the target has the blob, perhaps by a mount."""
        is_one_registry = self.source.connection is self.target.connection
        reports_layers = self.target.check is not None
        # A mount from the target itself succeeds if the target has the blob already.
        other = "" if reports_layers else self.target.repository
        response = self.target.begin_upload(blob, self.source.repository if is_one_registry else other)
        if response.status == 201 or (is_one_registry and not reports_layers and self.target.has(blob)):
            return ""
        return upload_location(response, self.target.name(blob))

    def _send(self, blob: Descriptor, location: str, first: int = 0) -> str | None:
        """Send the blob from byte `first` on. Return None if it is complete, else the URL of the unfinished upload."""
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
        content = part.take(self._checked(chunks, blob, first), self._may_continue)
        location = self.target.append(location, blob, content)
        if part.end < blob.size:
            return location
        self.target.finish_upload(location, blob, b"")
        return None

    def _explain_missing(self, blob: Descriptor, error: ImageNotFoundError) -> NoReturn:
        name = self.source.name(blob)
        if self.source.states([blob]).get(blob.digest) == "ARCHIVED":
            raise ArchivedContentError(
                f"{name}: the layer is archived; restore its image, then start the release again"
            ) from error
        raise MissingLayerError(f"{name}: the repository does not have it; push the image again") from error

    def _checked(self, chunks: Iterator[bytes], blob: Descriptor, first: int = 0) -> Iterator[bytes]:
        """Yield the chunks. Raise before the last one would complete a blob with another digest or size.

        Only the registry can check the digest of an upload that is continued (`first` > 0).
        """
        name, digest, size = self.source.name(blob), hashlib.sha256(), first
        for chunk in chunks:
            if blob.size <= _LONG and not self._may_continue():
                raise _NoTimeError
            digest.update(chunk)
            size += len(chunk)
            if size > blob.size:
                raise CorruptContentError(f"{name}: has more than {blob.size} bytes")
            if size == blob.size and not first:
                _check_digest(blob, digest.hexdigest(), name)
            yield chunk
        if size < blob.size:
            raise CorruptContentError(f"{name}: has {size} bytes, not {blob.size}")
        if not blob.size:
            _check_digest(blob, digest.hexdigest(), name)


def _check_digest(blob: Descriptor, actual: str, name: str) -> None:
    if actual != blob.digest.hex:
        raise CorruptContentError(f"{name}: the bytes have the digest sha256:{actual}")


@dataclass(slots=True)
class _Part:
    """A part of a blob that ends when time is up. `end`: the position after its last byte."""

    end: int

    def take(self, content: Iterator[bytes], may_continue: Callable[[], bool]) -> Iterator[bytes]:
        for chunk in content:
            yield chunk
            self.end += len(chunk)
            if not may_continue():
                return
