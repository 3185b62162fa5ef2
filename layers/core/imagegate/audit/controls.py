"""Controls of frameworks, and how the audit supports them: by which checks, with which results.

The audit never says that somebody complies with a framework: a control asks for more than a registry can show.
Numbers are those of results, one for each check and resource, and say what they count. Where no check was made,
nothing is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import FindingState

if TYPE_CHECKING:
    from imagegate.audit.checks import AuditCheck
    from imagegate.audit.report import AuditReport


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework of controls. `source`: where its text, and published mappings, are."""

    id: str
    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Control:
    """A control. `asks`: in our words what it asks for; `shows`: what the audit can show an auditor about it.

    `published`: those of the checks that the framework or AWS maps to it. The others are proposals, for a person to
    review.
    """

    framework: Framework
    id: str
    asks: str
    shows: str
    checks: tuple[AuditCheck, ...]
    published: tuple[AuditCheck, ...] = ()


@dataclass(frozen=True, slots=True)
class ControlSupport:
    """The results of a control's checks. `failed`: findings that somebody must act on; `waived` ones are apart."""

    control: Control
    passed: int = 0
    failed: int = 0
    waived: int = 0
    not_assessed: int = 0
    not_made: tuple[AuditCheck, ...] = ()  # checks without any result

    @property
    def results(self) -> int:
        """The number of results: those that pass, fail or are waived."""
        return self.passed + self.failed + self.waived

    @property
    def sentence(self) -> str:
        """The numbers in a sentence for auditors."""
        if not self.results:
            return "not assessed: no check had a result"
        percent = 100 * self.passed // self.results
        parts = [f"{self.passed} of {self.results} results pass ({percent} %)"]
        counted = {"failed": self.failed, "waived": self.waived, "not assessed": self.not_assessed}
        parts += [f"{number} {name}" for name, number in counted.items() if number]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class ControlMapping:
    """All frameworks and controls."""

    controls: tuple[Control, ...]

    @classmethod
    def from_document(cls, raw: Mapping[str, Any]) -> Self:
        """Read `controls.json`. Raises `KeyError` for a check or a framework that does not exist."""
        frameworks = {one["id"]: Framework(**one) for one in raw["frameworks"]}
        return cls(
            tuple(
                Control(
                    frameworks[one["framework"]],
                    one["id"],
                    one["asks"],
                    one["shows"],
                    tuple(CATALOGUE[name] for name in one["checks"]),
                    tuple(CATALOGUE[name] for name in one["published"]),
                )
                for one in raw["controls"]
            )
        )

    def weigh(self, report: AuditReport) -> list[ControlSupport]:
        """Return the results for each control."""
        states = Counter((one.check.id, one.state) for one in report.findings)
        unread = Counter(one.check.id for one in report.results.not_assessed)
        return [_support(control, report, states, unread) for control in self.controls]


def _support(
    control: Control,
    report: AuditReport,
    states: Counter[tuple[str, FindingState]],
    unread: Counter[str],
) -> ControlSupport:
    names = [check.id for check in control.checks]
    counts = report.results.counts
    failed = sum(states[name, state] for name in names for state in (FindingState.NEW, FindingState.OPEN))
    waived = sum(states[name, FindingState.WAIVED] for name in names)
    passed = sum(counts[name].passed for name in names if name in counts)
    silent = tuple(
        check
        for check in control.checks
        if not (counts.get(check.id) and (counts[check.id].passed or counts[check.id].failed))
    )
    return ControlSupport(control, passed, failed, waived, sum(unread[name] for name in names), silent)
