"""A report of `imagegate verify`, for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table

from imagegate.evidence import attestation
from imagegate_cli.output.screen import Text
from imagegate_cli.verification.checks import CheckedSignature, Kind
from imagegate_cli.verification.report import VerificationReport
from imagegate_cli.verification.rerun import Rerun


def shown(report: VerificationReport) -> RenderableType:
    """Labels are short: a digest fits beside them in 80 columns."""
    style = "green" if report.exit_code == 0 else "red"
    parts: list[RenderableType] = [
        Text(report.headline, style),
        Text(str(report.evidence.subject.digest)),
    ]
    parts += [Text(f"  ✗ {problem}", "red") for problem in report.problems[1:]]
    if report.rerun:
        parts.append(_shown_rerun(report.rerun))
    for one in report.signatures:
        parts += [Text(), _shown_signature(one)]
    if not report.signatures:
        parts.append(Text("no signatures at all"))
    parts += [Text(f"Note: {note}", "yellow") for note in report.notes]
    if report.evidence.others:
        parts += [Text(), Text(f"Also attached: {', '.join(report.evidence.others)}", "dim")]
    return Group(*parts)


def _shown_rerun(again: Rerun) -> Text:
    when = f"{again.decision.judged_at:%Y-%m-%d %H:%M} UTC"
    if again.problem:
        return Text(f"Judged again: {again.problem}", "red")
    return Text(
        f"Judged again on this machine: {again.decision.verdict}, as at {when}; the record is confirmed"
    )


def _shown_signature(one: CheckedSignature) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for label, value in _rows(one):
        if value:
            grid.add_row(label, value)
    return grid


def _rows(one: CheckedSignature) -> list[tuple[str, str]]:
    return [
        ("Signed by", _who(one)),
        ("Valid", "yes" if one.holds else f"no: {one.problem}"),
        *(("Let pass", problem) for problem in one.logged),
        ("When", f"{one.signed_at:%Y-%m-%d %H:%M:%S} UTC" if one.signed_at else ""),
        ("Profile", one.signer if one.kind else ""),
        ("Policy", one.of(attestation.POLICY)),
        ("Record", one.of(attestation.DECISION)),
        ("Summary", one.of(attestation.VSA)),
        ("Index", one.of(attestation.INDEX)),
        ("Manifest", str(one.manifest)),
    ]


def _who(one: CheckedSignature) -> str:
    match one.kind:
        case Kind.GATE:
            return f"the {one.stage} gate"
        case Kind.MANAGED:
            return "ECR managed signing: says who pushed, not that it passed"
        case Kind.OTHER:
            return "somebody else, not a gate"
        case _:
            return one.signer
