"""Verifies an evidence pack on this machine: digests, the choice of the samples, each decision and its signature."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from imagegate.errors import RejectedInputError
from imagegate.evidence import attestation
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import Digest
from imagegate_cli.evidence_pack.archive import ChangedPackError, Pack, read_pack
from imagegate_cli.evidence_pack.sample import PopulationEntry, SampleGroup, choose
from imagegate_cli.faults import CANNOT_TELL
from imagegate_cli.verification import bundle as bundles
from imagegate_cli.verification.checks import Trust
from imagegate_cli.verification.report import VerificationReport, note_of_profiles, verify_bundle

_FAULTS = (KeyError, TypeError, ValueError, AttributeError, RecursionError, RejectedInputError)


@dataclass(frozen=True, slots=True)
class CheckedSample:
    """One sample. `problem`: why it does not hold, or ""; `unknown`: what nobody can tell, or ""."""

    name: str
    group: SampleGroup
    problem: str = ""
    unknown: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "group": str(self.group),
            "holds": not self.problem and not self.unknown,
            "problem": self.problem or None,
            "notKnown": self.unknown or None,
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
        return CANNOT_TELL if any(one.unknown for one in self.samples) else 0

    @property
    def headline(self) -> str:
        """The result in one sentence."""
        if self.fault:
            return f"{self.name}: does not hold: {self.fault}"
        bad = sum(bool(one.problem) for one in self.samples)
        unknown = sum(bool(one.unknown) for one in self.samples)
        about = f"{len(self.samples)} samples of {self.population} attempts, {self.period}"
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
        for group in SampleGroup:
            good = sum(one.group is group and not one.problem and not one.unknown for one in self.samples)
            if good:
                yield f"  {good} {group}: {_MEANING[group]}"
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


_MEANING = {
    SampleGroup.PASSED: "judged again with the same result, and a signature of the gate names the decision, or that of"
    " another attempt under the same policy",
    SampleGroup.REFUSED: "judged again with the same result, and no signature names the decision",
    SampleGroup.EXCEPTION: "judged again with the same result; look at the reason of each in releases/",
    SampleGroup.OTHER: "",
}


def verify_pack(path: Path, trust: Trust, now: datetime, *, knows_profiles: bool) -> PackReport:
    """Verify the pack. `knows_profiles`: the caller names the gates' signing profiles."""
    name = str(path)
    try:
        pack = read_pack(path)
        population = [PopulationEntry.from_json(one) for one in json.loads(pack.members["population.json"])]
        sampling = pack.manifest["sampling"]
        chosen = choose(population, sampling["seed"], sampling["size"])
        period = str(pack.manifest["period"])
        _check_choice(pack, chosen)
    except ChangedPackError as error:
        return PackReport(name, fault=str(error))
    except _FAULTS as error:
        return PackReport(name, fault=f"a part cannot be read: {error!r}")
    samples = []
    notes, profiles = dict[str, None](), dict[str, None]()
    for number, entry in enumerate(chosen, 1):
        sample, report = _check(pack, f"{number:04}", entry, trust, now)
        samples.append(sample)
        notes |= dict.fromkeys(report.notes if report else ())
        profiles |= dict.fromkeys(one.signer for one in report.accepted) if report else {}
    if profiles and not knows_profiles:
        notes = {note_of_profiles(profiles): None, **notes}
    return PackReport(name, period, pack.digest, len(population), tuple(samples), notes=tuple(notes))


def _check_choice(pack: Pack, chosen: list[PopulationEntry]) -> None:
    """Raise `ChangedPackError` unless the samples are those that the rule chooses, each with its members."""
    if [entry.name for entry in chosen] != pack.manifest["samples"]:
        raise ChangedPackError("the samples are not those that the rule chooses of the population")
    for number in range(1, len(chosen) + 1):
        for member in (f"releases/{number:04}.json", f"bundles/{number:04}.zip"):
            if member not in pack.members:
                raise ChangedPackError(f"{member} is missing")


def _check(
    pack: Pack, number: str, entry: PopulationEntry, trust: Trust, now: datetime
) -> tuple[CheckedSample, VerificationReport | None]:
    try:
        document = json.loads(pack.members[f"releases/{number}.json"])
        bundle = bundles.read(io.BytesIO(pack.members[f"bundles/{number}.zip"]))
        report = verify_bundle(bundle, entry.name, trust, None, now, knows_profiles=True)  # said once for all
        problem = _problem(document, entry, bundle, report)
        unknown = (
            "its image was deleted, so its signature cannot be shown"
            if not problem and entry.group is SampleGroup.PASSED and document["imageIsGone"]
            else ""
        )
        if unknown == "" and not problem:
            problem = _signature_problem(document, entry, bundle, report)
    except (bundles.InvalidBundleError, *_FAULTS) as error:
        return CheckedSample(entry.name, entry.group, f"cannot be read: {error}"), None
    return CheckedSample(entry.name, entry.group, problem, unknown), report


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


def _signature_problem(
    document: Any, entry: PopulationEntry, bundle: bundles.Bundle, report: VerificationReport
) -> str:
    """Return why the signatures do not say what the group says, or an empty text.

    The gate makes no second signature of an image under the same policy: an attempt that passed may rest on the
    signature that names the decision of another attempt.
    """
    assert report.rerun is not None
    named = {
        one.of(attestation.DECISION)
        for one in report.accepted
        if one.stage == entry.stage and one.of(attestation.POLICY) == str(report.rerun.decision.policy)
    }
    if entry.group is SampleGroup.PASSED and not named & {one["decision"] for one in document["attempts"]}:
        failed = next((one.problem for one in report.signatures if one.problem), "there is none")
        return f"no valid signature of the {entry.stage} gate under its policy names its decision: {failed}"
    if entry.group is SampleGroup.REFUSED and str(bundle.decision) in named:
        return "a signature names its decision, though it was refused"
    return ""
