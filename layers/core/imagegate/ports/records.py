"""Documents in S3: policies, decision records, findings, SBOMs that Inspector exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from imagegate.baseline.section import RegistryBaseline
    from imagegate.oci.image import Digest
    from imagegate.policy.policy import Policy


class StoredRecords(Protocol):
    """Content-addressed documents: policies, decision records and the findings behind them."""

    def decision(self, digest: Digest) -> bytes:
        """Return a decision record.

        Raises `RecordNotFoundError`, or `CorruptContentError` if the bytes have another digest.
        """

    def findings(self, digest: Digest) -> bytes:
        """Return the findings of a decision. Raises the same errors as `decision`."""

    def policy(self, digest: Digest) -> Policy:
        """Return a policy. Raises the same errors as `decision`."""


class Records(StoredRecords, Protocol):
    """The same documents for writers. Each method returns the digest of the content."""

    @property
    def uri(self) -> str:
        """URI prefix of all records: `s3://BUCKET`."""

    def put_decision(self, content: bytes) -> Digest: ...

    def put_findings(self, content: bytes) -> Digest: ...

    def put_waivers(self, content: bytes) -> Digest: ...

    def put_policy(self, content: bytes) -> Digest: ...

    def put_parsed(self, policy: Policy, baseline: RegistryBaseline) -> Digest:
        """Store what a policy file was read as: functions start faster from it than from the file."""


class LaterFindings(StoredRecords, Protocol):
    """Findings of images in use, as they are judged again: evidence of no decision."""

    def put_later_findings(self, content: bytes) -> Digest:
        """Store the findings of one platform and return their digest."""

    def later_findings(self, digest: Digest) -> bytes:
        """Return them. Raises the same errors as `decision`."""


class BoardPages(Protocol):
    """The place of the board."""

    def keep_board(self, page: str, document: Mapping[str, Any]) -> None:
        """Store the page and the same as JSON, in place of the board before."""


class SbomExports(Protocol):
    """The files that Inspector writes when it exports SBOMs."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys of the files under a prefix."""

    def document(self, key: str) -> bytes:
        """Return a file. Raises `SbomRefusedError` if it is larger than an SBOM may be."""
