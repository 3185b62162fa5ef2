"""The latest scan of one image by one scanner."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

DESCRIPTIONS = {
    "ACTIVE": "Continuous scan is selected for image.",
    "COMPLETE": "The scan was completed successfully.",
    "FAILED": "The scan failed.",
    "UNSUPPORTED_IMAGE": "UnsupportedImageError: The operating system and/or package manager "
    "are not supported.",
}


@dataclass(frozen=True, slots=True)
class Scan:
    """The latest scan of one image by one scanner; moto's image carries one of each kind."""

    kind: str  # BASIC or ENHANCED
    status: str
    started: datetime
    completed: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)
    reason: str | None = None
    is_first: bool = True  # the first scan of the image that this scanner finished
    is_early: bool = False  # the answer lists nothing, and has neither counts nor a date
    is_announced: bool = True  # send an event at the end
    coverage: str = "PENDING_INITIAL_SCAN"  # Inspector's reason, for enhanced scans
    looked: datetime | None = None  # lastScannedAt of the coverage
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def image_scan_status(self) -> dict[str, str]:
        description = self.reason or DESCRIPTIONS.get(self.status)
        return {"status": self.status} | ({"description": description} if description else {})

    def findings_summary(self) -> dict[str, Any]:
        return {
            "imageScanCompletedAt": self.completed,
            "vulnerabilitySourceUpdatedAt": self.started,
            "findingSeverityCounts": self.counts,
        }
