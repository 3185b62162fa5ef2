"""Read the findings that a decision is based on from the records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from imagegate.errors import RecordNotFoundError
from imagegate.gate import findings_record
from imagegate.gate.decision_record import Decision
from imagegate.oci.image import Digest

if TYPE_CHECKING:
    from imagegate.findings.finding import Finding, Place
    from imagegate.ports.records import StoredRecords


def findings_of(
    records: StoredRecords, decision: Decision
) -> Iterator[tuple[dict[str, Any], Finding, dict[str, Any]]]:
    """Yield the scan of each finding, the finding, and its whole line."""
    for scan in decision.scans:
        if scan.get("findings"):
            for finding, line in findings_record.read(records.findings(Digest.parse(scan["findings"]))):
                yield scan, finding, line


def places_of(records: StoredRecords, digest: Digest) -> frozenset[Place]:
    """Return the places of the decision's findings. Raises `RecordNotFoundError` if they were not kept."""
    decision = Decision.decode(records.decision(digest))
    if any("findings" not in scan for scan in decision.scans):
        raise RecordNotFoundError(f"{decision.image}: its findings were not kept")
    return frozenset(place for _, finding, _ in findings_of(records, decision) for place in finding.places)
