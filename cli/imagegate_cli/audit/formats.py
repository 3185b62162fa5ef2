"""The formats of a report, each by the function that makes its text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from imagegate import __version__
from imagegate.audit.formats.oscal import assessment_results
from imagegate.audit.formats.security_hub import AuditFindingFormat
from imagegate.text import counted, json_text, printable
from imagegate_cli.audit.controls import load_controls
from imagegate_cli.audit.cost import cost_sentence
from imagegate_cli.audit.documents import in_order, to_csv, to_markdown

if TYPE_CHECKING:
    from imagegate.audit.finding import AuditFinding
    from imagegate.audit.report import AuditReport

_INDENT = 2


def product_of(report: AuditReport) -> str:
    """Return the ARN of the account's default product in Security Hub."""
    partition = next((one.resource.arn.split(":")[1] for one in report.findings), "aws")
    return f"arn:{partition}:securityhub:{report.region}:{report.account}:product/{report.account}/default"


def to_asff(report: AuditReport) -> list[dict[str, Any]]:
    """Return the findings for AWS Security Hub."""
    return list(AuditFindingFormat(product_of(report)).findings(report))


def to_table(report: AuditReport) -> str:
    """Return the findings for a terminal, and the numbers."""
    return "".join(f"{printable(line)}\n" for line in _lines(report))


def _lines(report: AuditReport) -> Iterator[str]:
    check = None
    for finding in in_order(report):
        if finding.check is not check:
            check = finding.check
            yield f"{check.severity.upper():<9} {check.id}: {check.title}"
        yield from _finding(finding)
    yield from _unread(report)
    states = [one.state for one in report.findings]
    numbers = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    results = report.results
    if cost := cost_sentence(results.measures):
        yield cost
    size = f"{counted(results.repositories, 'repository')}, {counted(results.images, 'image')}"
    yield f"{size}: {numbers or 'no findings'}"


def _finding(finding: AuditFinding) -> Iterator[str]:
    since = f", since {finding.first_seen:%Y-%m-%d}" if finding.first_seen else ""
    owner = f", {finding.owner}" if finding.owner else ""
    waiver = f" until {finding.waived_until}: {finding.waiver_reason}" if finding.waiver else ""
    yield f"  {finding.resource.name} ({finding.state}{waiver}{since}{owner}): {finding.detail}"
    if finding.is_standing:
        yield f"    {finding.remedy.text}" + (f": {finding.remedy.command}" if finding.remedy.command else "")


def _unread(report: AuditReport) -> Iterator[str]:
    """Yield each reason once, with the checks that it hides and the number of resources."""
    reasons: dict[str, tuple[set[str], set[str]]] = {}
    for one in report.results.not_assessed:
        checks, names = reasons.setdefault(one.reason, (set(), set()))
        checks.add(one.check.id)
        names.add(one.resource.name)
    for reason, (checks, names) in reasons.items():
        where = names.pop() if len(names) == 1 else f"{len(names)} resources"
        yield f"NOT ASSESSED {', '.join(sorted(checks))}"
        yield f"  {where}: {reason}"


def _json(document: Any) -> str:
    return json_text(document, indent=_INDENT) + "\n"


FORMATS: Mapping[str, Callable[[AuditReport], str]] = {
    "table": to_table,
    "markdown": to_markdown,
    "json": lambda report: _json(report.to_document()),
    "csv": to_csv,
    "asff": lambda report: _json(to_asff(report)),
    "oscal": lambda report: _json(assessment_results(report, load_controls(), __version__)),
}
