"""A report as CSV for a spreadsheet and as Markdown for a ticket."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from imagegate.audit.finding import FindingState
from imagegate.canonical_json import timestamp
from imagegate.text import counted, one_line
from imagegate_cli.audit.cost import cost_sentence
from imagegate_cli.output import markdown

if TYPE_CHECKING:
    from imagegate.audit.finding import AuditFinding
    from imagegate.audit.report import AuditReport

_COLUMNS = (
    *("id", "state", "severity", "check", "title", "repository", "digest", "tag", "stage", "owner", "detail"),
    *("remedy", "command", "first_seen", "resolved_at", "waived_until", "waiver_reason", "evidence", "arn"),
)
# OWASP, "CSV Injection": a spreadsheet takes a cell for a formula that begins so, in some languages also in full width.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_SHOWN_TOGETHER = 20  # findings of one check in a ticket


def in_order(report: AuditReport) -> list[AuditFinding]:
    """Return the findings, the gravest first, then by check and resource; resolved ones last."""
    return sorted(
        report.findings,
        key=lambda one: (
            one.state is FindingState.RESOLVED,
            one.check.severity.rank,
            one.check.id,
            one.resource.name,
            one.id,
        ),
    )


def to_csv(report: AuditReport) -> str:
    """Return one line for each finding. Cells that a spreadsheet would take for a formula begin with an apostrophe."""
    output = io.StringIO()
    writer = csv.writer(output)
    writer.writerow(_COLUMNS)
    for finding in in_order(report):
        writer.writerow(_cell(value) for value in _row(finding))
    return output.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else one_line(str(value))
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(finding: AuditFinding) -> Iterator[object]:
    resource = finding.resource
    yield from (finding.id, finding.state, finding.check.severity, finding.check.id, finding.check.title)
    yield from (resource.repository, resource.digest, resource.tag, resource.stage, finding.owner)
    yield from (finding.detail, finding.remedy.text, finding.remedy.command)
    yield from (one and timestamp(one) for one in (finding.first_seen, finding.resolved_at))
    yield from (finding.waived_until, finding.waiver_reason)
    yield from (" ".join(finding.evidence), resource.arn)


def to_markdown(report: AuditReport) -> str:
    """Return the report for a ticket: what is open by check, who has to act, and how."""
    return "\n".join(_markdown(report)) + "\n"


def _markdown(report: AuditReport) -> Iterator[str]:
    results = report.results
    yield f"# Audit of {markdown.text(f'{report.account} {report.region}')}"
    yield ""
    scope = f", only {', '.join(report.scope)}" if report.scope else ""
    size = f"{counted(results.repositories, 'repository')}, {counted(results.images, 'image')}"
    yield markdown.text(f"{report.taken_at:%Y-%m-%d %H:%M} UTC: {size}{scope}")
    if cost := cost_sentence(results.measures):
        yield from ("", markdown.text(cost))
    yield ""
    yield from _summary(report)
    standing = [one for one in in_order(report) if one.is_standing]
    for check, some in groupby(standing, key=lambda one: one.check):
        yield from ("", f"## {markdown.text(f'{check.severity}: {check.title}')}", "")
        yield from _findings(list(some))
    if results.not_assessed:
        yield from ("", "## Not assessed", "")
        reasons = {(one.check.id, one.resource.name, one.reason): None for one in results.not_assessed}
        lines = [
            f"- {markdown.text(' '.join((name, where)))}: {markdown.text(why)}"
            for name, where, why in reasons
        ]
        yield from _cut(lines)


def _summary(report: AuditReport) -> Iterator[str]:
    states = [one.state for one in report.findings]
    yield "| " + " | ".join((*FindingState, "not assessed")) + " |"
    yield "| " + " | ".join("---:" for _ in (*FindingState, "")) + " |"
    numbers = [*(states.count(state) for state in FindingState), len(report.results.not_assessed)]
    yield "| " + " | ".join(map(str, numbers)) + " |"


def _findings(findings: Sequence[AuditFinding]) -> Iterator[str]:
    lines = []
    for one in findings:
        owner = f" ({markdown.text(one.owner)})" if one.owner else ""
        command = f" {markdown.code(one.remedy.command)}" if one.remedy.command else ""
        new = "**new** " if one.state is FindingState.NEW else ""
        lines.append(
            f"- {new}{markdown.code(one.resource.name)}{owner}: {markdown.text(one.detail)}."
            f" Remedy: {markdown.text(one.remedy.text)}.{command}"
        )
    return _cut(lines)


def _cut(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_SHOWN_TOGETHER]
    if len(lines) > _SHOWN_TOGETHER:
        yield f"- and {len(lines) - _SHOWN_TOGETHER} more: imagegate audit --format csv has all"
