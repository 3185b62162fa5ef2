"""The risk of a released image: what its gate would refuse today, since when, where it runs, and which way leads out.

Rule: only vulnerabilities put an image at risk, never its age, its tags or its evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from imagegate.canonical_json import parse_timestamp, timestamp
from imagegate.findings.finding import Place, Severity
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.revocation import RunsIn

# An item of the ledger has at most 400 KB; an image with more vulnerabilities than this is named by the first ones.
MOST_FINDINGS = 500


class RiskState(StrEnum):
    """The answer about a released image today."""

    FINE = "fine"
    AT_RISK = "at risk"
    NOT_WATCHED = "not watched"  # no scanner looks at it any more
    UNKNOWN = "unknown"  # for now: a scan runs, or its result is not complete


@dataclass(frozen=True, slots=True)
class RiskFinding:
    """A vulnerability in a package that a rule refuses today. `fixed`: the version with the fix, or None."""

    vulnerability: str
    package: str
    severity: Severity
    fixed: str | None = None

    @property
    def place(self) -> Place:
        return self.vulnerability, self.package

    def __str__(self) -> str:
        where = f" ({self.package})" if self.package else ""
        return f"{self.vulnerability}{where}, {self.severity}" + (
            f", fixed in {self.fixed}" if self.fixed else ""
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "vulnerability": self.vulnerability,
            "package": self.package,
            "severity": str(self.severity),
            "fixed": self.fixed,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(raw["vulnerability"], raw["package"], Severity(raw["severity"]), raw["fixed"])


@dataclass(frozen=True, slots=True)
class Assessment:
    """The state of an image by one reading of its findings. `why`: sentences for people."""

    state: RiskState
    findings: tuple[RiskFinding, ...] = ()
    why: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewerRelease:
    """A later image of the same application that does not have the vulnerabilities of an image at risk."""

    image: ImageRef
    tags: tuple[str, ...]
    is_held: bool = False  # it waits for the approval of its next stage

    @property
    def name(self) -> str:
        return self.image.name(self.tags)

    def __str__(self) -> str:
        return f"{self.name} (waits for an approval)" if self.is_held else self.name

    def as_json(self) -> dict[str, Any]:
        return {
            "repository": self.image.repository,
            "digest": str(self.image.digest),
            "tags": list(self.tags),
            "held": self.is_held,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(ImageRef.of(raw["repository"], raw["digest"]), tuple(raw["tags"]), bool(raw["held"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """An image that is at risk or not watched, as the ledger stores it while that lasts."""

    image: ImageRef
    stage: str
    tags: tuple[str, ...]
    state: RiskState
    since: datetime
    looked_at: datetime
    policy: Digest
    findings: tuple[RiskFinding, ...] = ()
    why: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    runs: tuple[RunsIn, ...] = ()
    newer: tuple[NewerRelease, ...] = ()
    is_current: bool = True  # the current release of its repository; False: it only runs
    exported_at: datetime | None = None  # when Security Hub got it last; None: it does not have it
    fixable_since: datetime | None = None  # since when a fix is known for all of its findings

    @property
    def name(self) -> str:
        """The image for people, by its first tag."""
        return self.image.short_name(self.tags)

    @property
    def units(self) -> int:
        """The number of tasks and pods that run it."""
        return sum(one.units for one in self.runs)

    @property
    def headline(self) -> str:
        """The gravest vulnerability and the number of the others; or why nobody watches it."""
        if not self.findings:
            return self.why[0] if self.why else ""
        first = self.findings[0]
        others = {one.vulnerability for one in self.findings} - {first.vulnerability}
        return f"{first.vulnerability} {first.severity}" + (f" and {len(others)} more" if others else "")

    @property
    def fingerprint(self) -> str:
        """The name of what it is about: an alert is sent once for it."""
        about = (
            sorted(f"{one.vulnerability} {one.package}" for one in self.findings)
            if self.state is RiskState.AT_RISK
            else sorted(self.why)
        )
        return Digest.of("\n".join([str(self.state), *about]).encode()).hex[:32]

    def is_news_after(self, before: Risk | None) -> bool:
        """Return True if people do not know it yet: a vulnerability that was not there before, or nothing was there."""
        return before is None or not {one.place for one in self.findings} <= {
            one.place for one in before.findings
        }

    def as_json(self) -> dict[str, Any]:
        """Return it for the ledger and for programs."""
        return {
            "repository": self.image.repository,
            "digest": str(self.image.digest),
            "tags": list(self.tags),
            "stage": self.stage,
            "state": str(self.state),
            "since": timestamp(self.since),
            "lookedAt": timestamp(self.looked_at),
            "policy": str(self.policy),
            "findings": [one.as_json() for one in self.findings[:MOST_FINDINGS]],
            "why": list(self.why),
            "remedies": list(self.remedies),
            "runs": [_runs_json(one) for one in self.runs],
            "newer": [one.as_json() for one in self.newer],
            "current": self.is_current,
            **({"exportedAt": timestamp(self.exported_at)} if self.exported_at else {}),
            **({"fixableSince": timestamp(self.fixable_since)} if self.fixable_since else {}),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        exported, fixable = raw.get("exportedAt"), raw.get("fixableSince")
        return cls(
            image=ImageRef.of(raw["repository"], raw["digest"]),
            tags=tuple(raw["tags"]),
            stage=raw["stage"],
            state=RiskState(raw["state"]),
            since=parse_timestamp(raw["since"]),
            looked_at=parse_timestamp(raw["lookedAt"]),
            policy=Digest.parse(raw["policy"]),
            findings=tuple(map(RiskFinding.from_json, raw["findings"])),
            why=tuple(raw["why"]),
            remedies=tuple(raw["remedies"]),
            runs=tuple(map(_runs_of, raw["runs"])),
            newer=tuple(map(NewerRelease.from_json, raw["newer"])),
            is_current=bool(raw["current"]),
            exported_at=parse_timestamp(exported) if exported else None,
            fixable_since=parse_timestamp(fixable) if fixable else None,
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """The last judgement of an image in use. `answered_at`: the last time that the state was not unknown."""

    at: datetime
    state: RiskState
    answered_at: datetime
    findings: tuple[Digest, ...] = ()  # of its records of findings
    runs: tuple[RunsIn, ...] = ()
    scan_started_at: datetime | None = None  # by this function, under basic scanning
    signature_ends: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        started = self.scan_started_at
        return {
            "at": timestamp(self.at),
            "state": str(self.state),
            "answeredAt": timestamp(self.answered_at),
            "findings": [str(digest) for digest in self.findings],
            "runs": [_runs_json(one) for one in self.runs],
            "scanStartedAt": timestamp(started) if started else None,
            **({"signatureEnds": timestamp(self.signature_ends)} if self.signature_ends else {}),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        started, ends = raw["scanStartedAt"], raw.get("signatureEnds")
        return cls(
            at=parse_timestamp(raw["at"]),
            state=RiskState(raw["state"]),
            answered_at=parse_timestamp(raw["answeredAt"]),
            findings=tuple(map(Digest.parse, raw["findings"])),
            runs=tuple(map(_runs_of, raw["runs"])),
            scan_started_at=parse_timestamp(started) if started else None,
            signature_ends=parse_timestamp(ends) if ends else None,
        )


@dataclass(frozen=True, slots=True)
class DueImage:
    """An image in use, when it is due to be judged, and its last judgement."""

    image: ImageRef
    due: datetime
    last: Judgement | None = None

    @property
    def runs(self) -> Sequence[RunsIn]:
        return self.last.runs if self.last else ()


def _runs_json(runs: RunsIn) -> dict[str, Any]:
    return {
        "cluster": runs.cluster,
        "service": runs.service,
        "units": runs.units,
        "lastSeen": timestamp(runs.last_seen) if runs.last_seen else None,
    }


def _runs_of(raw: Mapping[str, Any]) -> RunsIn:
    seen = raw["lastSeen"]
    return RunsIn(raw["cluster"], int(raw["units"]), parse_timestamp(seen) if seen else None, raw["service"])
