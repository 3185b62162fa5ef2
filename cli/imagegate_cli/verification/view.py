"""The report of `imagegate verify` for people."""

from __future__ import annotations

from rich.console import Group, RenderableType

from imagegate.evidence import attestation
from imagegate_cli.output.screen import Text, labelled
from imagegate_cli.verification.bundle import Rerun
from imagegate_cli.verification.checks import CheckedSignature, Kind
from imagegate_cli.verification.report import VerificationReport


def report_view(report: VerificationReport) -> RenderableType:
    """Return the headline, problems, signatures and notes. A digest fits beside the labels in 80 columns."""
    style = "green" if report.exit_code == 0 else "red"
    parts: list[RenderableType] = [
        Text(report.headline, style),
        Text(str(report.evidence.subject.digest)),
    ]
    parts += [Text(f"  ✗ {problem}", "red") for problem in report.problems[1:]]
    if report.rerun:
        parts.append(_rerun_line(report.rerun))
    for one in report.signatures:
        parts += [Text(), labelled((label, value) for label, value in _rows(one) if value)]
    if not report.signatures:
        parts.append(Text("no signatures at all"))
    revoked = report.since.revoked if report.since else ""
    is_said = bool(revoked) and revoked in report.headline
    notes = [note for note in report.notes if not (is_said and revoked in note)]
    parts += [Text(f"Note: {note}", "yellow") for note in notes]
    if report.evidence.others:
        parts += [Text(), Text(f"Also attached: {', '.join(report.evidence.others)}", "dim")]
    return Group(*parts)


def _rerun_line(again: Rerun) -> Text:
    when = f"{again.decision.judged_at:%Y-%m-%d %H:%M} UTC"
    if again.problem:
        return Text(f"Judged again: {again.problem}", "red")
    return Text(
        f"Judged again on this machine: {again.decision.verdict}, as at {when}; the record is confirmed"
    )


def _rows(one: CheckedSignature) -> list[tuple[str, str]]:
    return [
        ("Signer", _signer(one)),
        ("Valid", "yes" if one.holds else f"no: {one.problem}"),
        *(("Logged", problem) for problem in one.logged),
        ("When", f"{one.signed_at:%Y-%m-%d %H:%M:%S} UTC" if one.signed_at else ""),
        ("Profile", one.signer if one.kind else ""),
        ("Policy", one.of(attestation.POLICY)),
        ("Record", one.of(attestation.DECISION)),
        ("Summary", one.of(attestation.VSA)),
        ("Index", one.of(attestation.INDEX)),
        ("Stored", str(one.manifest)),
    ]


def _signer(one: CheckedSignature) -> str:
    match one.kind:
        case Kind.GATE:
            return f"the {one.stage} gate"
        case Kind.MANAGED:
            return "ECR managed signing: says who pushed, not that it passed"
        case Kind.OTHER:
            return "somebody else, not a gate"
        case _:
            return one.signer
