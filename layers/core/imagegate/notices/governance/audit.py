"""The summary of an audit, as a message."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from imagegate.audit.checks import CheckSeverity
from imagegate.audit.finding import FindingState
from imagegate.canonical_json import timestamp
from imagegate.notices.message import Message
from imagegate.policy.rules import Attention
from imagegate.text import counted

if TYPE_CHECKING:
    from imagegate.audit.report import AuditReport

_SHOWN = 10


def audit_notice(report: AuditReport) -> Message:
    """Return the message: what is new and grave first, then the numbers, and what could not be assessed."""
    standing = sorted(
        report.standing, key=lambda one: (one.check.severity.rank, one.state, one.resource.name)
    )
    severities = Counter(str(one.check.severity) for one in standing)
    states = Counter(str(one.state) for one in report.findings)
    unread = sorted({one.resource.name for one in report.results.not_assessed})
    grave = severities[CheckSeverity.CRITICAL] + severities[CheckSeverity.HIGH]
    lines = [
        f"repositories: {report.results.repositories}, images: {report.results.images}",
        ", ".join(f"{severities[name]} {name}" for name in CheckSeverity if severities[name]) or "no finding",
        f"new: {states[FindingState.NEW]}, resolved: {states[FindingState.RESOLVED]},"
        f" waived: {states[FindingState.WAIVED]}",
        *(f"- {one.check.severity}: {one.resource.name}: {one.check.title}" for one in standing[:_SHOWN]),
        *([f"and {len(standing) - _SHOWN} more"] if len(standing) > _SHOWN else []),
        *(
            [f"not assessed: {counted(len(unread), 'thing')}, first {', '.join(unread[:_SHOWN])}"]
            if unread
            else []
        ),
        "All findings: imagegate audit",
    ]
    subject = f"AUDIT: {counted(grave, 'grave finding')} in {report.account} {report.region}"
    detail = {
        "id": "audit",
        "takenAt": timestamp(report.taken_at),
        "severities": dict(severities),
        "states": dict(states),
        "repositories": report.results.repositories,
        "images": report.results.images,
        "notAssessed": unread[:_SHOWN],
    }
    is_news = any(
        one.state is FindingState.NEW and one.check.severity.rank <= CheckSeverity.HIGH.rank
        for one in standing
    )
    return Message(
        subject, lines, "Audit", detail, {"alert": str(Attention.ALERT if is_news else Attention.LOG)}
    )
