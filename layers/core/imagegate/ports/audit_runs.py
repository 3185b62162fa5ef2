"""A scheduled audit: the documents by which its steps pass on what they know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from imagegate.audit.report import AuditPart, AuditReport


@dataclass(frozen=True, slots=True)
class AuditBatch:
    """The repositories that one call audits."""

    number: int
    repositories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunningNames:
    """The names of images that run and who runs them, as one run reads them. `fault`: why nobody can tell."""

    named: tuple[tuple[str, str], ...] = ()
    clusters: tuple[str, ...] = ()
    fault: str = ""


class AuditRuns(Protocol):
    """The documents of runs, each by the name of its run. A step that is repeated writes the same ones again."""

    def keep_batches(self, run: str, batches: Sequence[AuditBatch]) -> str:
        """Store the batches, and return the key under which the state machine reads them."""

    def batches(self, run: str) -> list[AuditBatch]:
        """Return the batches."""

    def keep_running(self, run: str, running: RunningNames) -> None:
        """Store what runs."""

    def running(self, run: str) -> RunningNames:
        """Return what runs."""

    def keep_results(self, run: str, number: int, results: Iterable[tuple[str, AuditPart]]) -> None:
        """Store the results of a batch: of each repository one."""

    def results(self, run: str, number: int) -> Iterator[tuple[str, AuditPart]] | None:
        """Yield the results of a batch, or return None if there are none: the call failed."""


class AuditReports(Protocol):
    """The reports of this stack's registry."""

    def latest(self) -> AuditReport | None:
        """Return the latest report, or None if there is none yet."""

    def keep(self, report: AuditReport) -> str:
        """Store the report as the latest one, and return its version."""
