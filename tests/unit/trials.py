"""Trials: one image before a gate, with all that goes into its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from imagegate.findings.finding import Finding, Place, Severity, Versions
from imagegate.findings.scan import Basis, ScanStatus, WaitOutcome
from imagegate.gate.evaluation import Baseline, EvaluationResult, ImageEvaluation
from imagegate.gate.facts import BaseImage, Evidence, ImageFacts, PlatformFacts
from imagegate.gate.finding_rules import Clock
from imagegate.gate.remediation import Rebuild
from imagegate.gate.verdict import Reason, VerdictOutcome
from imagegate.oci.image_config import ImageConfig
from imagegate.policy.policy import Policy, Stage
from imagegate.policy.rules import (
    FindingRules,
)
from imagegate.policy.waiver import Waiver, WaiverTerms
from tests.unit.samples import DAY, NOON, announced, digest, finished, image, stage

T = TypeVar("T")
CRITICAL, HIGH = Severity.CRITICAL, Severity.HIGH
HOUR = timedelta(hours=1)


def _number(version: str) -> int | None:
    return int(version) if version.isdecimal() else None


def satisfies(version: str, constraints: str, _ecosystem: str | None) -> bool | None:
    """Compare versions that are whole numbers here; the only constraint is `<`."""
    ours, theirs = _number(version), _number(constraints.removeprefix("<"))
    return None if ours is None or theirs is None else ours < theirs


def later(one: str, other: str, _ecosystem: str | None) -> str | None:
    ours, theirs = _number(one), _number(other)
    return None if ours is None or theirs is None else str(max(ours, theirs))


VERSIONS = Versions(satisfies, later)


@dataclass(frozen=True)
class Platform:
    """One image that runs: what its scanner says, and what else is known of it."""

    facts: PlatformFacts
    findings: tuple[Finding, ...] = ()
    status: str | None = "COMPLETE"
    description: str = ""
    completed_at: str | None = "2026-11-21T06:00:00Z"
    hidden: Mapping[Severity, int] = field(default_factory=dict)  # announced, and not listed

    @property
    def scan(self) -> ScanStatus:
        counts = announced(self.findings)
        for severity, number in self.hidden.items():
            counts[severity] = counts.get(severity, 0) + number
        return finished(
            counts,
            image=self.facts.digest,
            status=self.status,
            description=self.description,
            completed_at=self.completed_at,
            **({} if self.completed_at else {"basis": Basis.LIST}),
        )


def well_known(number: int = 0, of: int = 1) -> PlatformFacts:
    """Return a platform of which everything is known, and nothing is wrong."""
    return PlatformFacts(
        digest=digest() if of == 1 else digest(f"platform {number}"),
        platform=("linux/amd64", "linux/arm64", "linux/s390x")[number],
        size=80_000_000,
        config=ImageConfig("10001", {"team": "shop"}, ("linux/amd64", "linux/arm64", "linux/s390x")[number]),
        base=base("golden"),
        base_is_known=True,
    )


def base(stage_name: str, seed: str = "base") -> BaseImage:
    return BaseImage(image("base/debian", seed), stage_name, "sha256:0", 1, NOON - 9 * DAY, digest(), ("12",))


FACTS = ImageFacts(
    image(),
    tags=frozenset({"1.0"}),
    first_pushed_at=NOON - 5 * DAY,
    signature=Evidence(("dev",)),
    provenance=Evidence(("https://ci.example/builder",)),
)


@dataclass(frozen=True)
class Trial:
    """All that goes into a verdict."""

    stage: Stage
    platforms: tuple[Platform, ...]
    image: ImageFacts = FACTS  # without its platforms
    now: datetime = NOON
    waivers: tuple[Waiver, ...] = ()
    grants: tuple[Waiver, ...] = ()
    waiver_terms: WaiverTerms = field(default_factory=WaiverTerms)
    clocks: Mapping[Place, Clock] = field(default_factory=dict)
    baseline: frozenset[Place] | None = None
    waited: WaitOutcome = WaitOutcome.READY
    rebuild: Rebuild | None = None
    versions: Versions | None = VERSIONS

    @property
    def facts(self) -> ImageFacts:
        return replace(self.image, platforms=tuple(platform.facts for platform in self.platforms))

    @property
    def policy(self) -> Policy:
        return Policy(digest("policy"), {self.stage.name: self.stage}, self.waivers, self.waiver_terms)

    @property
    def all_waivers(self) -> tuple[Waiver, ...]:
        return (*self.waivers, *self.grants)

    def judging(self) -> ImageEvaluation:
        return ImageEvaluation(
            self.policy,
            self.stage,
            self.facts,
            self.now,
            grants=self.grants,
            clocks=self.clocks,
            baseline=None if self.baseline is None else Baseline("shop/api-staging:1.0", self.baseline),
            versions=self.versions,
        )

    def judged(self) -> EvaluationResult:
        judging = self.judging()
        for platform in self.platforms:
            judging.read_scan(platform.scan, platform.findings, platform.facts.platform)
        return judging.decide(self.waited, "nobody scans it", lambda: self.rebuild)

    @property
    def outcome(self) -> VerdictOutcome:
        return self.judged().verdict.outcome

    @property
    def passes(self) -> bool:
        return self.outcome is VerdictOutcome.PASS

    def reasons(self, rule: str) -> list[Reason]:
        return [reason for reason in self.judged().verdict.reasons if reason.rule == rule]

    def with_rules(self, **changes: Any) -> Trial:
        return replace(self, stage=replace(self.stage, findings=replace(self.stage.findings, **changes)))

    def with_image_rules(self, **changes: Any) -> Trial:
        return replace(self, stage=replace(self.stage, image=replace(self.stage.image, **changes)))

    def with_evidence_rules(self, **changes: Any) -> Trial:
        return replace(self, stage=replace(self.stage, evidence=replace(self.stage.evidence, **changes)))

    def with_platform(self, number: int, **changes: Any) -> Trial:
        """Return the trial with another scan of that platform."""
        changed = replace(self.platforms[number], **changes)
        return replace(self, platforms=(*self.platforms[:number], changed, *self.platforms[number + 1 :]))

    def with_platform_facts(self, number: int, **changes: Any) -> Trial:
        return self.with_platform(number, facts=replace(self.platforms[number].facts, **changes))

    def with_findings(self, *findings: Finding) -> Trial:
        """Return the trial with these findings on its first platform."""
        return self.with_platform(0, findings=findings)


def trial(*findings: Finding, rules: FindingRules | None = None, **changes: Any) -> Trial:
    """Return an image of one platform, of which everything else is known and right."""
    plain = Trial(stage(findings=rules or FindingRules(max={})), (Platform(well_known(), findings),))
    return replace(plain, **changes)


def never_opens(before: Trial, after: Trial) -> None:
    """PASS comes only from PASS."""
    assert before.passes or not after.passes
