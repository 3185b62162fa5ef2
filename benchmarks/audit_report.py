"""The last step of a scheduled audit: the report of all results is put together, and follows the one before."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO, cast

from benchmarks.simulated_cloud import NOW
from imagegate.audit.report import AuditPart, AuditReport
from imagegate.baseline.repository_policy import GateRegistry
from imagegate.policy.policy import Policy
from imagegate.ports.audit_runs import AuditBatch
from imagegate.workflow.audit.scheduled import A_BATCH, REGISTRY_RESULTS, ScheduledAudit
from imagegate.workflow.audit.walk import AuditRepositories


@dataclass
class StoredResults:
    """The results of batches as lines of a file, which takes the place of S3."""

    file: TextIO
    places: list[tuple[AuditBatch, int]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(self, name: str, part: AuditPart) -> None:
        if not self.names:
            self._begins = self.file.tell()
        self.names.append(name)
        self.file.write(json.dumps({"repository": name, "part": part.as_json()}) + "\n")
        if len(self.names) == A_BATCH:
            self.end_batch()

    def end_batch(self) -> None:
        if self.names:
            number = REGISTRY_RESULTS + 1 + len(self.places)
            self.places.append((AuditBatch(number, tuple(self.names)), self._begins))
            self.names = []

    def batches(self, _run: str) -> list[AuditBatch]:
        return [batch for batch, _ in self.places]

    def results(self, _run: str, number: int) -> Iterator[tuple[str, AuditPart]] | None:
        return self._read(number) if number != REGISTRY_RESULTS else None

    def _read(self, number: int) -> Iterator[tuple[str, AuditPart]]:
        batch, begins = self.places[number - REGISTRY_RESULTS - 1]
        self.file.seek(begins)
        for _ in batch.repositories:
            raw = json.loads(self.file.readline())
            yield raw["repository"], AuditPart.from_json(raw["part"])


@dataclass
class LatestReport:
    """The place of reports. It keeps bytes, as S3 does."""

    content: bytes = b""

    def latest(self) -> AuditReport | None:
        return AuditReport.from_document(json.loads(self.content)) if self.content else None

    def keep(self, report: AuditReport) -> str:
        self.content = report.to_bytes()
        return ""


class NoNotifications:
    """A topic without readers."""

    def publish(self, _message: Any) -> None:
        return None


def measure_report(results: StoredResults, walk: AuditRepositories, policy: Policy) -> dict[str, Any]:
    """Return the numbers of two reports after each other; the second follows the first."""
    results.end_batch()
    reports = LatestReport()
    nothing = cast(Any, None)
    step = ScheduledAudit(
        runs=cast(Any, results),
        reports=reports,
        settings=nothing,
        registry=GateRegistry("123456789012", "eu-central-1"),
        policy=policy,
        walk=lambda _running: walk,
        running=nothing,
        waivers=_no_waivers,
        notifications=cast(Any, NoNotifications()),
        account=nothing,
    )
    began = time.monotonic()
    for _ in range(2):
        step.finish("run", NOW)
    return {
        "report_seconds": round((time.monotonic() - began) / 2, 1),
        "report_kib": len(reports.content) // 1024,
        "peak_with_report_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _no_waivers() -> Sequence[Any]:
    return ()
