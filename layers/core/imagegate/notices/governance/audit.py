"""The summary of an audit, as a message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imagegate.audit.checks import CheckSeverity
from imagegate.audit.finding import FindingState
from imagegate.canonical_json import timestamp
from imagegate.notices.message import Message, cut_text
from imagegate.policy.rules import Attention
from imagegate.text import counted, one_line

if TYPE_CHECKING:
    from imagegate.audit.finding import AuditFinding
    from imagegate.audit.report import AuditReport, NotAssessed

_SHOWN = 10
_GRAVE = (CheckSeverity.CRITICAL, CheckSeverity.HIGH)


def audit_notice(report: AuditReport) -> Message:
    """Return the message: open findings, the gravest and newest first, who must act, and what is not assessed."""
    standing = sorted(
        report.standing, key=lambda one: (one.check.severity.rank, one.state, one.resource.name)
    )
    severities = Counter(one.check.severity for one in standing)
    states = Counter(one.state for one in report.findings)
    new = [one for one in standing if one.state is FindingState.NEW and one.check.severity in _GRAVE]
    unread = report.results.not_assessed
    things = sorted({one.resource.name for one in unread})
    return Message(
        subject=f"AUDIT of {report.account} {report.region}: {_by_severity(severities)}; {len(new)} new and grave",
        lines=[
            f"{counted(report.results.repositories, 'repository')} with {counted(report.results.images, 'image')}:"
            f" {_by_severity(severities)}.",
            f"Since the audit before: {states[FindingState.NEW]} new, {states[FindingState.RESOLVED]} resolved."
            f" Waived: {states[FindingState.WAIVED]}.",
            *_findings(standing),
            *_owners(standing),
            *_unread(unread),
            "",
            "All findings:  imagegate audit",
            "As a page:     imagegate audit --format html",
        ],
        detail_type="Audit",
        detail={
            "id": "audit",
            "takenAt": timestamp(report.taken_at),
            "severities": {str(one): number for one, number in severities.items()},
            "states": {str(one): number for one, number in states.items()},
            "repositories": report.results.repositories,
            "images": report.results.images,
            "notAssessed": things[:_SHOWN],
        },
        attributes={"alert": str(Attention.ALERT if new else Attention.LOG)},
    )


def _by_severity(severities: Counter[CheckSeverity]) -> str:
    return (
        ", ".join(f"{severities[one]} {one.upper()}" for one in CheckSeverity if severities[one])
        or "no finding"
    )


def _findings(standing: Sequence[AuditFinding]) -> Iterator[str]:
    if standing:
        yield from ("", "First of all:")
    for one in standing[:_SHOWN]:
        news = ", new" if one.state is FindingState.NEW else ""
        yield f"  - {one.check.severity.upper()}{news}: {cut_text(one.resource.name)}: {one.check.title}"
        yield f"      {one_line(one.remedy.command or one.remedy.text)}"
    if len(standing) > _SHOWN:
        yield f"  and {len(standing) - _SHOWN} more"


def _owners(standing: Sequence[AuditFinding]) -> Iterator[str]:
    owners = Counter(one.owner or "nobody that the policy names" for one in standing)
    if standing:
        yield from ("", "Who must act:")
        yield from (f"  {number:>5}  {cut_text(owner)}" for owner, number in owners.most_common(_SHOWN))


def _unread(unread: Sequence[NotAssessed]) -> Iterator[str]:
    reasons = {cut_text(one.resource.name): cut_text(one.reason) for one in unread}
    if reasons:
        yield from ("", f"Not assessed, so nothing is known ({len(reasons)} in all):")
        yield from (f"  {name}: {reason}" for name, reason in sorted(reasons.items())[:_SHOWN])
