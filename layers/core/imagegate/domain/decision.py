"""The decision record: everything a verdict rests on, in one canonical form that its digest names.

Only `judge_image` writes one; `sign_image` signs nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

from imagegate.domain.canonical import canonical_json, parse_timestamp, timestamp
from imagegate.domain.errors import DecisionRefusedError, RejectedInputError
from imagegate.domain.image import Descriptor, Digest, ImageRef
from imagegate.domain.policy import Mode
from imagegate.domain.verdict import PlatformScan, Verdict, VerdictOutcome

T = TypeVar("T")

SCHEMA = "imagegate.decision/v1"
# A PASS is signed at once; what is signed later must be judged again.
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

    @property
    def subject(self) -> Descriptor:
        return Descriptor(self.media_type, self.image.digest, self.size)

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
        if raw["schema"] != SCHEMA:
            raise ValueError(f"schema {raw['schema']!r}")
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
        )

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


def describe_reasons(verdict: Verdict) -> list[dict[str, str]]:
    return [reason.as_json() for reason in verdict.reasons]


def describe_scan(scan: PlatformScan) -> dict[str, Any]:
    """What a record keeps of one platform's scan: numbers, not the findings themselves."""
    return {
        "digest": str(scan.status.image),
        "platform": scan.platform,
        "status": scan.status.status,
        "completedAt": scan.status.completed_at,
        "counts": {str(severity): number for severity, number in sorted(scan.tally.counts.items())},
    }
