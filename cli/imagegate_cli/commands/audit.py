"""`imagegate audit`: what is wrong with the registry, its repositories and images, since when, and who must act."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagegate_cli.context import CommandLine, now
from imagegate_cli.evidence_pack.period import AuditPeriod, AuditPeriodType
from imagegate_cli.faults import CANNOT_TELL
from imagegate_cli.output.terminal import print_content, say, show_json

if TYPE_CHECKING:
    from imagegate.audit.report import AuditReport
    from imagegate_cli.audit.opening import OpenedAudit

_FORMATS = ("table", "markdown", "json", "csv", "html", "asff", "oscal")
_SEVERITIES = ("critical", "high", "medium", "low", "info", "none")
_FAILS = 1


@click.command()
@click.option(
    "--repository",
    "scope",
    multiple=True,
    metavar="GLOB",
    help="Only repositories of this name, with * for any text; repeat it for more. The registry is left out.",
)
@click.option(
    "--policy", "file", type=click.Path(path_type=Path), help="Policy file. Default: the deployed policy."
)
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), default="table", show_default=True, help="The output."
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@click.option(
    "--fail-on",
    type=click.Choice(_SEVERITIES),
    default="high",
    show_default=True,
    help="Exit with 1 if a finding is as grave, neither waived nor resolved.",
)
@click.option(
    "--controls", is_flag=True, help="Show which controls of frameworks the results support, and how."
)
@click.option(
    "--security-hub", is_flag=True, help="Send the findings to AWS Security Hub; resolved ones are archived."
)
@click.option("--no-store", is_flag=True, help="Do not store the report in the stack's bucket.")
@click.option(
    "--evidence",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.zip",
    help="Audit nothing; write the evidence of a period, which imagegate verify verifies offline.",
)
@click.option(
    "--period", type=AuditPeriodType(), help="Of the evidence: 2026-Q3, 2026-09 or FIRST..LAST day."
)
@click.option(
    "--sample",
    type=click.IntRange(1, 500),
    default=25,
    show_default=True,
    help="Of the evidence: at most so many attempts of each stage that passed, and as many that were refused.",
)
@click.pass_obj
def audit(
    command_line: CommandLine,
    /,
    scope: Sequence[str],
    *,
    file: Path | None,
    form: str,
    output: Path | None,
    fail_on: str,
    controls: bool,
    security_hub: bool,
    no_store: bool,
    evidence: Path | None,
    period: AuditPeriod | None,
    sample: int,
) -> None:
    """Audit the registry, its repositories and images against the policy and its baseline.

    With a stack, the report before is read from its bucket, and this one is stored there: findings are new, open or
    resolved, and keep the day on which they were first seen. Waivers of the policy count: rule: audit.CHECK. Without a
    stack, give --policy; checks that need the ledger are then not assessed.

    \b
    Exit codes:
      0  no finding is as grave as --fail-on
      1  a finding is as grave as that
      2  something of that gravity could not be assessed
    """
    if evidence is not None:
        if period is None:
            raise click.UsageError("the evidence of which time? --period 2026-Q3")
        from imagegate_cli.evidence_pack.make import make_pack

        return make_pack(command_line.stack, evidence, period, sample)
    from imagegate_cli.audit.opening import open_audit
    from imagegate_cli.output.spinner import Spinner

    opened = open_audit(command_line, file)
    with Spinner("auditing repositories") as spinner:
        report = opened.audit.report(
            now(), scope=scope, previous=opened.previous(), step=lambda _name: spinner.step()
        )
    _show(report, form, output, opened, controls=controls)
    if security_hub:
        _send(report)
    if not scope and not no_store:
        _store(opened, report)
    raise click.exceptions.Exit(exit_code(report, fail_on))


def exit_code(report: AuditReport, fail_on: str) -> int:
    """Return 1 for a finding that is as grave, else 2 if a check that is as grave could not be made."""
    from imagegate.audit.checks import CheckSeverity

    if fail_on == "none":
        return 0
    worst = CheckSeverity(fail_on).rank
    if any(one.check.severity.rank <= worst for one in report.standing):
        return _FAILS
    unread = any(one.check.severity.rank <= worst for one in report.results.not_assessed)
    return CANNOT_TELL if unread else 0


def _show(
    report: AuditReport, form: str, output: Path | None, opened: OpenedAudit, *, controls: bool
) -> None:
    from imagegate_cli.audit.controls import control_lines, load_controls, support_as_json
    from imagegate_cli.audit.formats import FORMATS

    if controls:
        supports = load_controls().weigh(report)
        if form == "json":
            return show_json([support_as_json(one) for one in supports])
        for line in control_lines(supports):
            say(line)
        return None
    content = _page(report, opened) if form == "html" else FORMATS[form](report)
    if output is None:
        return print_content(content)
    output.write_text(content, encoding="utf-8", newline="")
    return say(f"written to {output}", err=True)


def _page(report: AuditReport, opened: OpenedAudit) -> str:
    """Return the report as a page, with the trend of the reports before, as far as they may be read."""
    from imagegate.errors import AccessRefusedError
    from imagegate_cli.audit.controls import load_controls
    from imagegate_cli.audit_page.page import to_html
    from imagegate_cli.audit_page.trend import TrendPoint

    try:
        earlier = opened.reports.earlier() if opened.reports else []
    except AccessRefusedError as error:
        say(f"the page has no trend: {error}", err=True)
        earlier = []
    return to_html(report, [TrendPoint.of(one) for one in earlier], load_controls().weigh(report))


def _send(report: AuditReport) -> None:
    from imagegate.aws.security_hub import AwsSecurityHub
    from imagegate_cli.audit.formats import to_asff

    findings = to_asff(report)
    refused = AwsSecurityHub().send(findings)
    say(f"Security Hub has {len(findings) - len(refused)} findings", err=True)
    for name, why in refused.items():
        say(f"Security Hub refuses {name}: {why}", err=True)


def _store(opened: OpenedAudit, report: AuditReport) -> None:
    from imagegate.errors import AccessRefusedError

    if opened.reports is None:
        return
    try:
        version = opened.reports.keep(report)
    except AccessRefusedError as error:
        say(f"the report is not stored: {error}", err=True)
        return
    say(f"stored as {opened.reports.name}, version {version}", err=True)
