"""Verifies an evidence pack on this machine: digests, the choice of the samples, each decision and its signature."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from imagegate.canonical_json import parse_timestamp, timestamp
from imagegate.errors import RejectedInputError
from imagegate.evidence import attestation
from imagegate.gate.decision_record import VALID_FOR
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import Digest
from imagegate.text import counted
from imagegate_cli.evidence_pack.archive import ChangedPackError, Pack, read_pack
from imagegate_cli.evidence_pack.choice import PackChoice, read_choice
from imagegate_cli.evidence_pack.collect import LONGEST
from imagegate_cli.evidence_pack.sample import PopulationEntry, SampleGroup
from imagegate_cli.faults import CANNOT_TELL
from imagegate_cli.verification import bundle as bundles
from imagegate_cli.verification.checks import Trust
from imagegate_cli.verification.report import VerificationReport, note_of_profiles, verify_bundle

_CLOCKS = timedelta(minutes=5)  # how far the clocks of two functions may be apart


@dataclass(frozen=True, slots=True)
class CheckedSample:
    """One sample. `problem`: why it does not hold, or ""; `unknown`: what nobody can tell, or ""."""

    name: str
    group: SampleGroup
    problem: str = ""
    unknown: str = ""
    is_signed: bool = False  # a signature names its own decision

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "group": str(self.group),
            "holds": not self.problem and not self.unknown,
            "problem": self.problem or None,
            "notKnown": self.unknown or None,
            "decisionIsSigned": self.is_signed,
        }


@dataclass(frozen=True, slots=True)
class PackReport:
    """The result for a pack. `fault`: what was changed in it, or ""."""

    name: str
    period: str = ""
    digest: Digest | None = None  # of the manifest
    population: int = 0
    samples: tuple[CheckedSample, ...] = ()
    fault: str = ""
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        if self.fault or any(one.problem for one in self.samples):
            return 1
        return 0 if self.samples and not any(one.unknown for one in self.samples) else CANNOT_TELL

    @property
    def headline(self) -> str:
        """The result in one sentence."""
        if self.fault:
            return f"{self.name}: does not hold: {self.fault}"
        if not self.samples:
            return f"{self.name}: proves nothing: no sample of {self.population} attempts, {self.period}"
        bad = sum(bool(one.problem) for one in self.samples)
        unknown = sum(bool(one.unknown) for one in self.samples)
        about = (
            f"{counted(len(self.samples), 'sample')} of {counted(self.population, 'attempt')}, {self.period}"
        )
        if bad:
            return f"{self.name}: does not hold: {bad} of {about}"
        return f"{self.name}: " + (f"{unknown} cannot be told of {about}" if unknown else f"holds: {about}")

    @property
    def lines(self) -> Iterator[str]:
        """The report for people."""
        yield self.headline
        if self.digest:
            yield f"Manifest {self.digest}: compare it with the digest that you were given"
        for one in self.samples:
            if one.problem or one.unknown:
                yield f"  {one.name} ({one.group}): {one.problem or one.unknown}"
        good = [one for one in self.samples if not one.problem and not one.unknown]
        for group in SampleGroup:
            if number := sum(one.group is group for one in good):
                yield f"  {number} {group}: {_MEANING[group]}"
            resting = sum(one.group is group and not one.is_signed for one in good)
            if resting and group is SampleGroup.PASSED:
                yield (
                    f"    {resting} of them rest on the signature of another attempt, so their own records are not"
                    " signed"
                )
        for note in self.notes:
            yield f"Note: {note}"

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": "imagegate.pack-verification/v1",
            "subject": self.name,
            "verified": self.exit_code == 0,
            "fault": self.fault or None,
            "manifest": str(self.digest) if self.digest else None,
            "period": self.period,
            "population": self.population,
            "samples": [one.as_json() for one in self.samples],
            "notes": list(self.notes),
        }


# Only a PASS is signed. Who makes the whole pack anew could make up other records.
_UNSIGNED = "the record is as the pack's maker says"
_MEANING = {
    SampleGroup.PASSED: "judged again with the same result, and a signature of the gate names the decision, or that of"
    " another attempt under the same policy",
    SampleGroup.REFUSED: "judged again with the same result, and no signature in the pack names the decision;"
    f" {_UNSIGNED}",
    SampleGroup.EXCEPTION: f"judged again with the same result; look at the reason of each in releases/; {_UNSIGNED}",
    SampleGroup.OTHER: "",
}


def verify_pack(path: Path, trust: Trust, now: datetime, *, knows_profiles: bool) -> PackReport:
    """Verify the pack. `knows_profiles`: the caller names the gates' signing profiles."""
    name = str(path)
    try:
        pack = read_pack(path)
        choice = read_choice(pack)
    except ChangedPackError as error:
        return PackReport(name, fault=str(error))
    samples = []
    notes, profiles = dict[str, None](), dict[str, None]()
    for number, entry in enumerate(choice.chosen, 1):
        sample, report = _check(pack, choice, f"{number:04}", entry, trust, now)
        samples.append(sample)
        notes |= dict.fromkeys(report.notes if report else ())
        profiles |= dict.fromkeys(one.signer for one in report.accepted) if report else {}
    if profiles and not knows_profiles:
        notes = {note_of_profiles(profiles): None, **notes}
    return PackReport(
        name, str(choice.period), pack.digest, len(choice.population), tuple(samples), notes=tuple(notes)
    )


def _check(
    pack: Pack, choice: PackChoice, number: str, entry: PopulationEntry, trust: Trust, now: datetime
) -> tuple[CheckedSample, VerificationReport | None]:
    try:
        document = json.loads(pack.members[f"releases/{number}.json"])
        bundle = bundles.read(io.BytesIO(pack.members[f"bundles/{number}.zip"]))
        report = verify_bundle(bundle, entry.name, trust, None, now, knows_profiles=True)  # said once for all
        problem = _problem(document, entry, bundle, report) or _place_problem(choice, entry, report)
        unknown = (
            "its image was deleted, so its signature cannot be shown"
            if not problem and entry.group is SampleGroup.PASSED and document["imageIsGone"]
            else ""
        )
        named = _signed_decisions(entry, report)
        if unknown == "" and not problem:
            problem = _signature_problem(document, entry, bundle, report, named)
    except (bundles.InvalidBundleError, RejectedInputError, *bundles.DAMAGE) as error:
        return CheckedSample(entry.name, entry.group, f"cannot be read: {error!r}"), None
    return CheckedSample(entry.name, entry.group, problem, unknown, str(bundle.decision) in named), report


def _problem(
    document: Any, entry: PopulationEntry, bundle: bundles.Bundle, report: VerificationReport
) -> str:
    """Return how decision, document and population contradict each other, or an empty text."""
    assert report.rerun is not None
    decision = report.rerun.decision
    if report.rerun.problem:
        return report.rerun.problem
    if document["name"] != entry.name or document["decision"] != str(bundle.decision):
        return "its document is about another attempt than its bundle"
    attempt = f"{decision.image} attempt {decision.attempt}"
    if attempt != entry.name or decision.stage != entry.stage:
        return f"its decision is about {attempt} at {decision.stage}"
    is_pass = decision.verdict is VerdictOutcome.PASS
    if entry.group is SampleGroup.PASSED and not is_pass:
        return f"it is said to have passed, and its verdict is {decision.verdict}"
    if entry.group is SampleGroup.REFUSED and is_pass:
        return "it is said to be refused, and its verdict is PASS"
    return ""


def _place_problem(choice: PackChoice, entry: PopulationEntry, report: VerificationReport) -> str:
    """Return why the decision is of another time or registry than the pack, or an empty text."""
    assert report.rerun is not None
    decision = report.rerun.decision
    earliest = choice.period.since - LONGEST - VALID_FOR  # a verdict that was reused is as old
    latest = parse_timestamp(entry.closed_at) + _CLOCKS
    if not earliest <= decision.judged_at <= latest:
        return f"it was judged at {timestamp(decision.judged_at)}, which is not in the time of its attempt"
    if not decision.registry.startswith(choice.registry):
        return f"its decision is about the registry {decision.registry}, which is not that of the stack"
    return ""


def _signed_decisions(entry: PopulationEntry, report: VerificationReport) -> set[str]:
    """Return the decisions that valid signatures of its gate name, under its policy."""
    assert report.rerun is not None
    policy = str(report.rerun.decision.policy)
    ours = (one for one in report.accepted if one.stage == entry.stage)
    return {one.of(attestation.DECISION) for one in ours if one.of(attestation.POLICY) == policy}


def _signature_problem(
    document: Any,
    entry: PopulationEntry,
    bundle: bundles.Bundle,
    report: VerificationReport,
    named: set[str],
) -> str:
    """Return why the signatures do not say what the group says, or an empty text. `named`: the signed decisions.

    The gate makes no second signature of an image under the same policy: an attempt that passed may rest on the
    signature that names the decision of another attempt.
    """
    if entry.group is SampleGroup.PASSED and not named & {one["decision"] for one in document["attempts"]}:
        failed = next((one.problem for one in report.signatures if one.problem), "there is none")
        return f"no valid signature of the {entry.stage} gate under its policy names its decision: {failed}"
    if entry.group is SampleGroup.REFUSED and str(bundle.decision) in named:
        return "a signature names its decision, though it was refused"
    return ""
