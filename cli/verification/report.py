"""What `imagegate verify` says, for people and for machines."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.verification import evidence as evidences
from cli.verification.bundle import Bundle
from cli.verification.checks import Signature, Trust, signatures_of
from cli.verification.evidence import Evidence
from cli.verification.rerun import Rerun, rerun
from cli.verification.sources import Source
from cli.view import clean
from imagegate.domain import attestation
from imagegate.domain.canonical import timestamp
from imagegate.domain.image import Digest
from imagegate.domain.verdict import VerdictOutcome


@dataclass(frozen=True, slots=True)
class Report:
    subject: str
    evidence: Evidence
    signatures: tuple[Signature, ...]
    gate: str | None = None
    rerun: Rerun | None = None  # of a bundle
    problems: tuple[str, ...] = field(default=())
    note: str = ""  # what was not checked

    @property
    def of_gates(self) -> list[Signature]:
        """Those that hold, of the gate that is asked for, or of any."""
        return [
            one
            for one in self.signatures
            if one.holds and one.is_of_a_gate and self.gate in (None, one.stage)
        ]

    @property
    def decision_digest(self) -> Digest | None:
        found = self.of_gates
        return Digest.parse(found[-1].of(attestation.DECISION)) if found else None

    @property
    def exit_code(self) -> int:
        return 0 if self.of_gates and not self.problems else 1

    @property
    def headline(self) -> str:
        gates = ", ".join(dict.fromkeys(str(one.stage) for one in self.of_gates))
        if self.problems:
            return f"{self.subject}: does not hold: {self.problems[0]}"
        if gates:
            return f"{self.subject}: passed the {gates} gate"
        return f"{self.subject}: carries no valid signature of {f'the {self.gate} gate' if self.gate else 'a gate'}"

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": "imagegate.verification/v1",
            "subject": self.subject,
            "digest": str(self.evidence.subject.digest),
            "gate": self.gate,
            "verified": self.exit_code == 0,
            "problems": list(self.problems),
            "note": self.note or None,
            "signatures": [_signature_json(one) for one in self.signatures],
            "otherReferrers": list(self.evidence.others),
            "rerun": _rerun_json(self.rerun) if self.rerun else None,
        }


def of_image(source: Source, trust: Trust, gate: str | None, now: datetime) -> Report:
    found = evidences.read(source.registry, source.image)
    return Report(source.name, found, tuple(signatures_of(found, trust, now)), gate)


def of_bundle(
    bundle: Bundle, name: str, trust: Trust, gate: str | None, now: datetime, *, knows_profiles: bool
) -> Report:
    """Signatures as in a registry; then the judge runs again. A bundle alone does not say whose gates are yours."""
    again = rerun(bundle)
    report = Report(name, bundle.evidence, tuple(signatures_of(bundle.evidence, trust, now)), gate, again)
    profiles = dict.fromkeys(one.profile for one in report.of_gates)
    note = f"whether {', '.join(profiles)} is yours was not checked: --profile names the gates' profiles"
    note = "" if knows_profiles or not profiles else note
    return replace(report, problems=tuple(_problems(report, bundle, again)), note=note)


def _problems(report: Report, bundle: Bundle, again: Rerun) -> list[str]:
    problems = [again.problem] if again.problem else []
    decision = again.decision
    if decision.verdict is not VerdictOutcome.PASS:
        problems.append(f"the verdict is {decision.verdict}")
        problems += [reason["message"] for reason in decision.reasons if reason["action"] == "enforce"]
    of_decision = [one for one in report.of_gates if one.of(attestation.DECISION) == str(bundle.decision)]
    if report.of_gates and not of_decision:
        problems.append("no signature is about this decision")
    return problems


def _signature_json(one: Signature) -> dict[str, Any]:
    return {
        "manifest": str(one.manifest),
        "valid": one.holds,
        "gate": one.stage,
        "profile": one.profile or None,
        "signedAt": timestamp(one.signed_at) if one.signed_at else None,
        "policy": one.of(attestation.POLICY) or None,
        "decision": one.of(attestation.DECISION) or None,
        "summary": one.of(attestation.VSA) or None,
        "failed": one.failure or None,
        "problem": one.problem or None,
    }


def _rerun_json(again: Rerun) -> dict[str, Any]:
    return {
        "confirmed": not again.problem,
        "problem": again.problem or None,
        "verdict": str(again.decision.verdict),
        "judgedAt": timestamp(again.decision.judged_at),
        "stage": again.decision.stage,
        "image": str(again.decision.image),
    }


def shown(report: Report) -> RenderableType:
    """Labels are short: a digest fits beside them in 80 columns."""
    style = "green" if report.exit_code == 0 else "red"
    parts: list[RenderableType] = [
        Text(clean(report.headline), style),
        Text(str(report.evidence.subject.digest)),
    ]
    parts += [Text(clean(f"  ✗ {problem}"), "red") for problem in report.problems[1:]]
    if report.rerun:
        parts.append(_shown_rerun(report.rerun))
    for one in report.signatures:
        parts += [Text(), _shown_signature(one)]
    if not report.signatures:
        parts.append(Text("no signatures at all"))
    if report.note:
        parts += [Text(), Text(clean(report.note), "yellow")]
    if report.evidence.others:
        parts += [Text(), Text(clean(f"Also attached: {', '.join(report.evidence.others)}"), "dim")]
    return Group(*parts)


def _shown_rerun(again: Rerun) -> Text:
    when = f"{again.decision.judged_at:%Y-%m-%d %H:%M} UTC"
    if again.problem:
        return Text(clean(f"Judged again: {again.problem}"), "red")
    return Text(
        f"Judged again on this machine: {again.decision.verdict}, as at {when}; the record is confirmed"
    )


def _shown_signature(one: Signature) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for label, value in _rows(one):
        if value:
            grid.add_row(label, clean(value))
    return grid


def _rows(one: Signature) -> list[tuple[str, str]]:
    who = f"the {one.stage} gate" if one.stage else "somebody else, not a gate"
    return [
        ("Signed by", who if one.profile else ""),
        ("Valid", "yes" if one.holds else f"no: {one.problem}"),
        ("When", f"{one.signed_at:%Y-%m-%d %H:%M:%S} UTC" if one.signed_at else ""),
        ("Profile", one.profile),
        ("Policy", one.of(attestation.POLICY)),
        ("Record", one.of(attestation.DECISION)),
        ("Summary", one.of(attestation.VSA)),
        ("Index", one.of(attestation.INDEX)),
        ("Manifest", str(one.manifest)),
    ]
