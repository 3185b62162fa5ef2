"""The board: applications and stages, what is in each, what somebody must do, and which vulnerabilities are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imagegate.board import release_facts
from imagegate.canonical_json import timestamp
from imagegate.findings.finding import Severity
from imagegate.risk.risk import RiskState

if TYPE_CHECKING:
    from imagegate.board.next_step import NextStep
    from imagegate.board.status import ImageState, ImageStatus
    from imagegate.grants.approval import Approval
    from imagegate.oci.image import Digest
    from imagegate.release.release import Release

SCHEMA = "imagegate.board/v1"
_SEVERITIES = (Severity.CRITICAL, Severity.HIGH)


@dataclass(frozen=True, slots=True)
class StageImage:
    """An image at a stage. `since`: when its state began. `counts`: its findings, None if they are not known.

    `approvals`: of people who let it into the stage.
    """

    status: ImageStatus
    since: datetime
    counts: Mapping[Severity, int] | None
    approvals: Sequence[Approval] = ()

    @property
    def name(self) -> str:
        return release_facts.name(self.status.release)

    @property
    def findings(self) -> str:
        """The findings in short: `1 critical, 2 high, 7 others`."""
        if self.counts is None:
            return "findings not known"
        grave = [(self.counts.get(one, 0), str(one).lower()) for one in _SEVERITIES]
        others = sum(self.counts.values()) - sum(number for number, _ in grave)
        named = [*grave, (others, "other" if others == 1 else "others")]
        return ", ".join(f"{number} {name}" for number, name in named if number) or "no findings"

    @property
    def is_watched(self) -> bool:
        risk = self.status.risk
        return risk is None or risk.state is not RiskState.NOT_WATCHED

    def as_json(self, now: datetime) -> dict[str, Any]:
        counts = {str(name): number for name, number in sorted(self.counts.items())} if self.counts else {}
        findings = None if self.counts is None else counts
        return {
            **self.status.as_json(now),
            "since": timestamp(self.since),
            "findings": findings,
            "approvals": [one.as_json() for one in self.approvals],
        }


@dataclass(frozen=True, slots=True)
class BoardCell:
    """An application at a stage. `current`: the image that was released there last. `newer`: the newest image, if it
    is another one that is not released. `difference`: from the stage before. `history`: attempts, newest first.
    `before`: the name of the release before the current one, if there is one."""

    stage: str
    repository: str
    current: StageImage | None = None
    newer: StageImage | None = None
    difference: str = ""
    history: Sequence[Release] = ()
    before: str = ""

    @property
    def images(self) -> Iterator[StageImage]:
        """The images of the cell."""
        yield from (one for one in (self.current, self.newer) if one is not None)


@dataclass(frozen=True, slots=True)
class BoardApplication:
    """An application, its cells by stage, and what is to be done, the most urgent first."""

    name: str
    owner: str | None
    cells: Mapping[str, BoardCell]
    steps: Sequence[NextStep] = ()

    @property
    def history(self) -> list[Release]:
        """The attempts at all stages, newest first."""
        attempts = [one for cell in self.cells.values() for one in cell.history]
        return sorted(attempts, key=lambda one: one.started_at, reverse=True)


@dataclass(frozen=True, slots=True)
class BoardVulnerability:
    """A vulnerability and the images that have it, as `IMAGE (STAGE)`. `fixed`: versions with the fix."""

    name: str
    severity: Severity
    packages: Sequence[str]
    fixed: Sequence[str]
    images: Sequence[str]
    is_refused: bool  # a gate would refuse one of the images because of it today


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The board of one stack at one time. `vulnerabilities`: the gravest of `known_vulnerabilities`."""

    stack: str
    made_at: datetime
    policy: Digest
    stages: Sequence[str]
    last_stages: frozenset[str]  # those after which none follows: production
    applications: Sequence[BoardApplication]
    vulnerabilities: Sequence[BoardVulnerability]
    known_vulnerabilities: int

    @property
    def steps(self) -> list[NextStep]:
        """The next steps in all applications, the most urgent first."""
        steps = [step for application in self.applications for step in application.steps]
        return sorted(steps, key=lambda step: step.order)

    @property
    def images(self) -> Iterator[tuple[BoardCell, StageImage]]:
        """The images on the board, each with its cell."""
        cells = (cell for application in self.applications for cell in application.cells.values())
        yield from ((cell, image) for cell in cells for image in cell.images)

    def count(self, *states: ImageState, stages: Iterable[str] | None = None) -> int:
        """Return how many images are in one of the states, at any stage or only at these."""
        within = None if stages is None else set(stages)
        counts = Counter(
            image.status.state for cell, image in self.images if within is None or cell.stage in within
        )
        return sum(counts[state] for state in states)

    def as_json(self) -> dict[str, Any]:
        """Return the board for programs."""
        return {
            "schema": SCHEMA,
            "stack": self.stack,
            "madeAt": timestamp(self.made_at),
            "policy": str(self.policy),
            "stages": list(self.stages),
            "applications": [self._application(one) for one in self.applications],
            "vulnerabilities": [
                {
                    "name": one.name,
                    "severity": str(one.severity),
                    "packages": list(one.packages),
                    "fixed": list(one.fixed),
                    "images": list(one.images),
                }
                for one in self.vulnerabilities
            ],
            "knownVulnerabilities": self.known_vulnerabilities,
        }

    def _application(self, one: BoardApplication) -> dict[str, Any]:
        return {
            "name": one.name,
            "owner": one.owner,
            "stages": {
                cell.stage: {
                    "repository": cell.repository,
                    "current": cell.current.as_json(self.made_at) if cell.current else None,
                    "newer": cell.newer.as_json(self.made_at) if cell.newer else None,
                    "difference": cell.difference or None,
                }
                for cell in one.cells.values()
            },
            "nextSteps": [step.as_json() for step in one.steps],
        }
