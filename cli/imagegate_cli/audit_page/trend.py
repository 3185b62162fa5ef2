"""The trend: how many findings somebody had to act on, report by report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from imagegate.audit.checks import CheckSeverity
from imagegate.audit.report import AuditReport


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """The findings of one report that are neither waived nor resolved, by severity."""

    at: datetime
    counts: Mapping[CheckSeverity, int]

    @classmethod
    def of(cls, report: AuditReport) -> Self:
        """Return the point of a report."""
        return cls(report.taken_at, Counter(one.check.severity for one in report.standing))
