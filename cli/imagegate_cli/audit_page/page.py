"""The page: its numbers, who must act, and every finding, also where scripts are off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagegate.audit.checks import CATALOGUE, AuditCheck, CheckSeverity
from imagegate.audit.finding import AuditFinding, FindingState
from imagegate.audit.report import AuditReport
from imagegate.html_page import PAGE_STYLE, page_style, page_template, security_policy, source_hash
from imagegate_cli.audit.cost import cost_sentence
from imagegate_cli.audit_page.charts import severity_chart, trend_chart
from imagegate_cli.audit_page.trend import TrendPoint

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

    from imagegate.audit.controls import ControlSupport, Framework

_HERE = Path(__file__).parent
_NOBODY = "nobody: name an owner in the policy"
_SHOWN_SEVERITIES = tuple(one for one in CheckSeverity if one is not CheckSeverity.INFO)
_TONES = {
    **dict.fromkeys((CheckSeverity.CRITICAL, CheckSeverity.HIGH, FindingState.NEW), "bad"),
    **dict.fromkeys((CheckSeverity.MEDIUM, FindingState.OPEN), "waits"),
    FindingState.RESOLVED: "good",
}


@dataclass(frozen=True, slots=True)
class OwnerRow:
    """The findings of one owner that are neither waived nor resolved. `oldest`: when the oldest was first seen."""

    owner: str
    counts: Counter[CheckSeverity]
    oldest: datetime | None
    first: AuditFinding  # the gravest


@dataclass(frozen=True, slots=True)
class CheckRow:
    """The results of one check."""

    check: AuditCheck
    passed: int
    failed: int
    waived: int
    not_assessed: int


@dataclass(frozen=True, slots=True)
class FrameworkRow:
    """The controls of one framework. Each control is counted once: by its failed results, if it has any."""

    framework: Framework
    controls: Sequence[ControlSupport]

    @property
    def sentence(self) -> str:
        failing = sum(bool(one.failed) for one in self.controls)
        silent = sum(not one.results for one in self.controls)
        passing = len(self.controls) - failing - silent
        numbers = f"{failing} with failed results, {passing} without, {silent} not assessed"
        return f"{len(self.controls)} controls: {numbers}"


def to_html(
    report: AuditReport, earlier: Sequence[TrendPoint] = (), supports: Sequence[ControlSupport] = ()
) -> str:
    """Return the report as one page.

    `earlier`: the points of the reports before, the oldest first; `supports`: the results for controls.
    """
    standing = _in_order(report.standing)
    counts = Counter(one.check.severity for one in standing)
    points = [*earlier, TrendPoint.of(report)]
    style, script = _style(), _script()
    return _template().render(
        report=report,
        findings=_in_order(report.findings),
        counts=counts,
        nobody=_NOBODY,
        cost=cost_sentence(report.results.measures),
        severities=_SHOWN_SEVERITIES,
        states=Counter(one.state for one in report.findings),
        owners=list(_owners(standing)),
        checks=list(_checks(report)),
        frameworks=[
            FrameworkRow(name, list(some))
            for name, some in groupby(supports, key=lambda one: one.control.framework)
        ],
        reasons=_reasons(report),
        bars=severity_chart(counts),
        trend=trend_chart(points) if len(points) > 1 else None,
        points=points,
        style=style,
        script=script,
        security_policy=security_policy(
            {"style-src": source_hash(style), "script-src": source_hash(script), "form-action": "'none'"}
        ),
    )


def _in_order(findings: Iterable[AuditFinding]) -> list[AuditFinding]:
    """Return the findings that somebody must act on, then waived, then resolved ones; the gravest first."""
    states = (FindingState.NEW, FindingState.OPEN, FindingState.WAIVED, FindingState.RESOLVED)
    return sorted(
        findings,
        key=lambda one: (
            max(states.index(one.state), 1),
            one.check.severity.rank,
            one.check.id,
            one.resource.name,
            one.id,
        ),
    )


def _owners(standing: Sequence[AuditFinding]) -> Iterable[OwnerRow]:
    """Return a row for each owner, the one with the gravest findings first."""
    by_owner: dict[str, list[AuditFinding]] = {}
    for finding in standing:
        by_owner.setdefault(finding.owner or _NOBODY, []).append(finding)
    rows = [
        OwnerRow(
            owner,
            Counter(one.check.severity for one in some),
            min((one.first_seen for one in some if one.first_seen), default=None),
            some[0],
        )
        for owner, some in by_owner.items()
    ]
    return sorted(rows, key=lambda row: ([-row.counts[one] for one in CheckSeverity], row.owner))


def _checks(report: AuditReport) -> Iterable[CheckRow]:
    """Return a row for each check of the catalogue that was made, or could not be made."""
    waived = Counter(one.check.id for one in report.findings if one.state is FindingState.WAIVED)
    unread = Counter(one.check.id for one in report.results.not_assessed)
    rows = (
        CheckRow(
            check, count.passed if count else 0, (count.failed if count else 0), waived[name], unread[name]
        )
        for name, check in CATALOGUE.items()
        if (count := report.results.counts.get(name)) or unread[name]
    )
    return sorted(rows, key=lambda row: (not row.failed, row.check.severity.rank, -row.failed, row.check.id))


def _reasons(report: AuditReport) -> list[tuple[str, list[str], list[str]]]:
    """Return each reason why something was not assessed, with the checks and the resources."""
    reasons: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for one in report.results.not_assessed:
        checks, names = reasons.setdefault(one.reason, ({}, {}))
        checks[one.check.title] = names[one.resource.name] = None
    return [(reason, list(checks), list(names)) for reason, (checks, names) in reasons.items()]


@cache
def _style() -> Markup:
    return page_style(PAGE_STYLE, _HERE / "page.css")


@cache
def _script() -> Markup:
    return page_style(_HERE / "page.js")


@cache
def _template() -> Template:
    filters: dict[str, Callable[..., Any]] = {
        "tone": lambda value: _TONES.get(value, "calm"),
        "day": lambda at: f"{at:%Y-%m-%d}",
    }
    return page_template(_HERE / "page.html", filters)
