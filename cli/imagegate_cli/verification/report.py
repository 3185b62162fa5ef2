"""The result of `imagegate verify`, and its JSON form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from imagegate.canonical_json import timestamp
from imagegate.evidence import attestation
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import Digest
from imagegate_cli.faults import CANNOT_TELL
from imagegate_cli.verification import trust_policy
from imagegate_cli.verification.after_signing import AfterSigning, events_after_signing
from imagegate_cli.verification.bundle import Bundle, Rerun, rerun
from imagegate_cli.verification.checks import CheckedSignature, Trust, signatures_of
from imagegate_cli.verification.evidence import ImageEvidence
from imagegate_cli.verification.evidence import read as read_evidence
from imagegate_cli.verification.sources import ImageSource
from imagegate_cli.verification.trust_policy import AppliedPolicy


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """The checked signatures of an image, with problems and notes."""

    subject: str
    evidence: ImageEvidence
    signatures: tuple[CheckedSignature, ...]
    gate: str | None = None
    rerun: Rerun | None = None  # of a bundle
    problems: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = ()  # what was not checked
    policy: str = ""  # the trust policy that decides instead of the gates
    asks_revocation: bool = True
    since: AfterSigning | None = None  # None without a stack

    @property
    def accepted(self) -> list[CheckedSignature]:
        """The valid signatures of the requested gate, or of any gate; or those that the trust policy accepts."""
        return [one for one in self.signatures if one.holds and self._counts(one)]

    def _counts(self, one: CheckedSignature) -> bool:
        return bool(self.policy) or (one.is_of_a_gate and self.gate in (None, one.stage))

    @property
    def _unknown(self) -> CheckedSignature | None:
        """A signature of unknown revocation, if no other one is valid."""
        unknown = (one for one in self.signatures if one.is_unknown and (self.policy or self._counts(one)))
        return None if self.accepted or self.problems else next(unknown, None)

    @property
    def decision_digest(self) -> Digest | None:
        digests = [one.of(attestation.DECISION) for one in self.accepted if one.of(attestation.DECISION)]
        return Digest.parse(digests[-1]) if digests else None

    @property
    def exit_code(self) -> int:
        if self._unknown:
            return CANNOT_TELL
        return 0 if self.accepted and not self.problems else 1

    @property
    def headline(self) -> str:
        is_revoked = self.since and self.since.revoked and self.gate in (None, self.since.stage)
        if self.since and is_revoked and self.exit_code:
            return f"{self.subject}: passed the {self.since.stage} gate, then {self.since.revoked}"
        if self.problems:
            return f"{self.subject}: does not hold: {self.problems[0]}"
        if self._unknown:
            return f"{self.subject}: cannot be told: {self._unknown.problem}"
        if self.policy:
            verdict = "holds" if self.accepted else "carries no signature that holds"
            return f"{self.subject}: {verdict} by the trust policy {self.policy}"
        if gates := list(dict.fromkeys(str(one.stage) for one in self.accepted)):
            names = " and ".join(filter(None, (", ".join(gates[:-1]), gates[-1])))
            return f"{self.subject}: passed the {names} gate{'s' if len(gates) > 1 else ''}"
        return f"{self.subject}: carries no valid signature of {f'the {self.gate} gate' if self.gate else 'a gate'}"

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": "imagegate.verification/v1",
            "subject": self.subject,
            "digest": str(self.evidence.subject.digest),
            "gate": self.gate,
            "verified": self.exit_code == 0,
            "problems": list(self.problems),
            "note": "; ".join(self.notes) or None,
            "trustPolicy": self.policy or None,
            "revocation": "asked" if self.asks_revocation else "not asked",
            "signatures": [_signature_json(one) for one in self.signatures],
            "otherReferrers": list(self.evidence.others),
            "rerun": _rerun_json(self.rerun) if self.rerun else None,
            "since": self.since.as_json() if self.since else None,
        }


def verify_image(
    source: ImageSource, trust: Trust, gate: str | None, now: datetime, *, fails_on_risk: bool = False
) -> VerificationReport:
    """Verify an image by the gates. `gate` is the stage whose signature is required, or None for any.

    `fails_on_risk`: an image that is at risk today is a problem, though its signatures are valid.
    """
    evidence = read_evidence(source.registry, source.image)
    report = VerificationReport(source.name, evidence, _in_order(signatures_of(evidence, trust, now)), gate)
    report = _with_later_events(report, source, now)
    if fails_on_risk and report.since and report.since.at_risk:
        report = replace(report, problems=(*report.problems, f"it is {report.since.at_risk}"))
    return _with_revocation_note(replace(report, notes=(*report.notes, *_root_notes(report))), trust)


def _with_later_events(report: VerificationReport, source: ImageSource, now: datetime) -> VerificationReport:
    """Add what happened after the signature, which only a stack knows."""
    if source.stack is None:
        return report
    later = events_after_signing(source.stack, source.image)
    gates = [str(one.stage) for one in report.accepted]
    problem = later.problem(gates)
    problems = (*report.problems, problem) if problem else report.problems
    return replace(report, problems=problems, notes=later.notes(gates, now), since=later)


def verify_by_trust_policy(source: ImageSource, policy: AppliedPolicy, now: datetime) -> VerificationReport:
    """Verify an image by the caller's trust policy, without the gates."""
    evidence = read_evidence(source.registry, source.image)
    signatures = tuple(trust_policy.signatures_of(evidence, policy, now))
    return VerificationReport(source.name, evidence, signatures, policy=policy.name)


def verify_bundle(
    bundle: Bundle, name: str, trust: Trust, gate: str | None, now: datetime, *, knows_profiles: bool
) -> VerificationReport:
    """Verify the signatures of a bundle, then judge it again. `knows_profiles`: the caller names the profiles."""
    again = rerun(bundle)
    signatures = _in_order(signatures_of(bundle.evidence, trust, now))
    report = VerificationReport(name, bundle.evidence, signatures, gate, again)
    profiles = dict.fromkeys(one.signer for one in report.accepted)
    notes = () if knows_profiles or not profiles else (note_of_profiles(profiles),)
    notes = (*notes, *_root_notes(report))
    report = replace(report, problems=tuple(_problems(report, bundle, again)), notes=notes)
    return _with_revocation_note(report, trust)


def note_of_profiles(profiles: Iterable[str]) -> str:
    """Return the note about signing profiles that the caller did not name."""
    return f"whether {', '.join(profiles)} is yours was not checked: name the gates' profiles with --profile"


def _in_order(signatures: Iterable[CheckedSignature]) -> tuple[CheckedSignature, ...]:
    """Return the signatures by their time, so that gates are in the order of the image's way; others come last."""
    return tuple(sorted(signatures, key=lambda one: timestamp(one.signed_at) if one.signed_at else "~"))


def _root_notes(report: VerificationReport) -> tuple[str, ...]:
    """Return what to do if no signature counts and the root of one is not trusted; empty if there is nothing."""
    if report.accepted or not any(one.has_untrusted_root for one in report.signatures):
        return ()
    return ("if the root certificate is yours, name its file with --trust-root or IMAGEGATE_TRUST_ROOT",)


def _with_revocation_note(report: VerificationReport, trust: Trust) -> VerificationReport:
    if trust.revoked is not None:
        return report
    note = "whether a signature has been revoked since was not checked"
    notes = (*report.notes, note) if report.signatures else report.notes
    return replace(report, notes=notes, asks_revocation=False)


def _problems(report: VerificationReport, bundle: Bundle, again: Rerun) -> list[str]:
    problems = [again.problem] if again.problem else []
    decision = again.decision
    if decision.verdict is not VerdictOutcome.PASS:
        problems.append(f"the verdict is {decision.verdict}")
        problems += [reason["message"] for reason in decision.reasons if reason["action"] == "enforce"]
    of_decision = [one for one in report.accepted if one.of(attestation.DECISION) == str(bundle.decision)]
    if report.accepted and not of_decision:
        problems.append("no signature is about this decision")
    return problems


def _signature_json(one: CheckedSignature) -> dict[str, Any]:
    return {
        "manifest": str(one.manifest),
        "valid": one.holds,
        "kind": one.kind and str(one.kind),
        "gate": one.stage,
        "profile": one.signer if one.kind else None,
        "signer": one.signer or None,
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
