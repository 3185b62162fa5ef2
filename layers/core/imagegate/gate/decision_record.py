"""The decision record: everything that a verdict rests on, in one canonical form. Its digest is its name.

Only `judge_image` writes decision records, and `sign_image` signs nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

from imagegate.canonical_json import canonical_json, parse_timestamp, timestamp
from imagegate.errors import DecisionRefusedError, RejectedInputError
from imagegate.findings.coverage import Coverage
from imagegate.findings.finding import Severity, count_severities
from imagegate.findings.scan import Basis, ScanStatus
from imagegate.gate.verdict import PlatformScan, Verdict, VerdictOutcome
from imagegate.oci.image import Descriptor, Digest, ImageRef
from imagegate.policy.policy import Mode
from imagegate.text import fit_texts

if TYPE_CHECKING:
    from imagegate.gate.evaluation import EvaluationResult

T = TypeVar("T")

SCHEMA = "imagegate.decision/v2"
# Records from before findings were stored: they can be signed, but not judged again.
_FIRST_SCHEMA = "imagegate.decision/v1"
# A PASS is signed at once. After this time the image must be judged again.
VALID_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Decision:
    """One verdict on one image at one stage's gate."""

    registry: str  # ACCOUNT.dkr.ecr.REGION.amazonaws.com
    image: ImageRef
    media_type: str
    size: int  # of the manifest, bytes
    attempt: int
    stage: str
    mode: Mode
    policy: Digest
    verdict: VerdictOutcome
    judged_at: datetime
    reasons: Sequence[dict[str, str]] = ()
    scans: Sequence[dict[str, Any]] = ()
    worst: str | None = None  # severity, of the findings that are not waived
    waited: str = "READY"
    why_never: str = ""
    facts: dict[str, Any] | None = None
    waivers: Sequence[dict[str, Any]] = ()  # the waivers that were used
    grants: Sequence[dict[str, Any]] = ()  # waivers granted at run time that are about this image
    baseline: dict[str, Any] | None = None  # the image released into the next stage, and what changed since
    remedies: dict[str, Any] | None = None
    newer_base: dict[str, Any] | None = None  # that a remedy may name

    @property
    def subject(self) -> Descriptor:
        return Descriptor(self.media_type, self.image.digest, self.size)

    @property
    def short_reasons(self) -> list[dict[str, str]]:
        """The reasons for an item of the ledger, whose size has a limit: some messages have texts of the image."""
        messages = fit_texts([reason["message"] for reason in self.reasons])
        return [{**reason, "message": text} for reason, text in zip(self.reasons, messages, strict=True)]

    def encode(self) -> bytes:
        return canonical_json(
            {
                "schema": SCHEMA,
                "registry": self.registry,
                "subject": {"repository": self.image.repository, **self.subject.as_json()},
                "attempt": self.attempt,
                "stage": self.stage,
                "mode": str(self.mode),
                "policy": str(self.policy),
                "verdict": str(self.verdict),
                "judgedAt": timestamp(self.judged_at),
                "reasons": list(self.reasons),
                "scans": list(self.scans),
                "worst": self.worst,
                "waited": self.waited,
                "whyNever": self.why_never,
                "facts": self.facts,
                "waivers": list(self.waivers),
                "grants": list(self.grants),
                "baseline": self.baseline,
                "remedies": self.remedies,
                "newerBase": self.newer_base,
            }
        )

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Raise `DecisionRefusedError` unless the bytes are a decision record of this schema."""
        try:
            return cls._decode(json.loads(content))
        except (KeyError, TypeError, ValueError, RecursionError, RejectedInputError) as error:
            raise DecisionRefusedError(f"not a decision record: {error!r}") from error

    @classmethod
    def _decode(cls, raw: Any) -> Self:
        if raw["schema"] not in (SCHEMA, _FIRST_SCHEMA):
            raise ValueError(f"schema {raw['schema']!r}")
        more = {} if raw["schema"] == _FIRST_SCHEMA else _more(raw)
        subject = Descriptor.parse(raw["subject"])
        return cls(
            registry=_of(str, raw["registry"]),
            image=ImageRef.of(raw["subject"]["repository"], str(subject.digest)),
            media_type=subject.media_type,
            size=subject.size,
            attempt=_attempt(raw["attempt"]),
            stage=_of(str, raw["stage"]),
            mode=Mode(raw["mode"]),
            policy=Digest.parse(raw["policy"]),
            verdict=VerdictOutcome(raw["verdict"]),
            judged_at=parse_timestamp(raw["judgedAt"]),
            reasons=[_texts(reason) for reason in _of(list, raw["reasons"])],
            scans=[_of(dict, scan) for scan in _of(list, raw["scans"])],
            **more,
        )

    def of(self, result: EvaluationResult, findings: Sequence[Digest | None]) -> Self:
        """Return this decision with the result. `findings`: the digest of each platform's findings record."""
        verdict, scans = result.verdict, zip(result.scans, findings, strict=True)
        return replace(
            self,
            verdict=verdict.outcome,
            reasons=describe_reasons(verdict),
            scans=[describe_scan(*each) for each in scans],
            worst=str(verdict.worst) if verdict.worst else None,
            waivers=[{"id": waiver.id, **waiver.as_json()} for waiver in result.used_waivers],
            baseline=result.delta,
            remedies=result.remedies.as_json(),
            newer_base=result.rebuild.newer.as_json() if result.rebuild else None,
        )

    @property
    def waivers_record(self) -> bytes | None:
        """The record of the waivers that were used, which is stored beside the decision, or None if none was used."""
        return canonical_json(list(self.waivers)) if self.waivers else None

    def check_signable(self, registry: str, now: datetime) -> None:
        """Raise `DecisionRefusedError` unless this is a fresh PASS about an image of this registry."""
        if self.verdict is not VerdictOutcome.PASS:
            raise DecisionRefusedError(f"{self.image}: the verdict is {self.verdict}; only a PASS is signed")
        if self.registry != registry:
            raise DecisionRefusedError(f"{self.image}: decided in {self.registry}, not in {registry}")
        age = now - self.judged_at
        if not timedelta(minutes=-5) <= age <= VALID_FOR:
            raise DecisionRefusedError(f"{self.image}: judged at {timestamp(self.judged_at)}; judge it again")


def _of(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not {kind.__name__}")
    return value


def _attempt(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"attempt {value!r}")
    return value


def _texts(value: Any) -> dict[str, str]:
    if not all(isinstance(text, str) for text in _of(dict, value).values()):
        raise TypeError("a reason that is not made of texts")
    return dict(value)


def _more(raw: Any) -> dict[str, Any]:
    """Read the fields that the second schema added."""
    return {
        "worst": _optional(str, raw["worst"]),
        "waited": _of(str, raw["waited"]),
        "why_never": _of(str, raw["whyNever"]),
        "facts": _optional(dict, raw["facts"]),
        "waivers": [_of(dict, waiver) for waiver in _of(list, raw["waivers"])],
        "grants": [_of(dict, grant) for grant in _of(list, raw["grants"])],
        "baseline": _optional(dict, raw["baseline"]),
        "remedies": _optional(dict, raw["remedies"]),
        "newer_base": _optional(dict, raw["newerBase"]),
    }


def _optional(kind: type[T], value: Any) -> T | None:
    return None if value is None else _of(kind, value)


def describe_reasons(verdict: Verdict) -> list[dict[str, str]]:
    """Return the reasons of a verdict, as a record has them."""
    return [reason.as_json() for reason in verdict.reasons]


def describe_scan(scan: PlatformScan, findings: Digest | None) -> dict[str, Any]:
    """Return one platform's scan, as a record has it. `findings`: the digest of its findings record."""
    status, tally = scan.status, scan.tally
    return {
        "digest": str(status.image),
        "platform": scan.platform,
        "status": status.status,
        "description": status.description,
        "completedAt": status.completed_at,
        "counts": _numbers(tally.all.counts),
        "announced": _numbers(status.counts),
        "listsFindings": status.lists_findings,
        **_evidence(status),
        "counting": _numbers(tally.counting.counts),
        "aside": tally.aside_by_name(),
        "findings": str(findings) if findings else None,
    }


def _evidence(status: ScanStatus) -> dict[str, Any]:
    """Return the evidence that the scan is complete; {} for a record from before that was required."""
    if status.basis is Basis.LIST:
        return {}
    return {
        "basis": str(status.basis),
        "hasCounts": status.has_counts,
        "listsOthers": status.lists_others,
        "pushedAt": status.pushed_at,
        "coverage": [one.as_json() for one in status.coverage],
        "cleanSince": status.clean_since,
    }


def _numbers(counts: Mapping[Severity, int]) -> dict[str, int]:
    return {str(severity): number for severity, number in sorted(counts.items())}


def scan_status(raw: Mapping[str, Any]) -> ScanStatus:
    """Read the status of a scan from the output of `describe_scan`."""
    return ScanStatus(
        image=Digest.parse(raw["digest"]),
        status=raw["status"],
        description=raw["description"],
        completed_at=raw["completedAt"],
        counts=count_severities(raw["announced"]),
        lists_findings=raw["listsFindings"],
        **(_read_evidence(raw) if "basis" in raw else {"basis": Basis.LIST}),
    )


def _read_evidence(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "basis": Basis(raw["basis"]),
        "has_counts": raw["hasCounts"],
        "lists_others": raw["listsOthers"],
        "pushed_at": raw["pushedAt"],
        "coverage": tuple(Coverage.from_json(one) for one in raw["coverage"]),
        "clean_since": raw["cleanSince"],
    }
