"""Domain values that are right in every respect, so that a test spells out only what it is about; and strategies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from imagegate.findings.coverage import Coverage
from imagegate.findings.finding import Finding, Package, Severity
from imagegate.findings.scan import Basis, ScanStatus, WaitOutcome
from imagegate.gate.decision_record import Decision
from imagegate.gate.facts import ImageFacts
from imagegate.gate.finding_rules import FindingEvaluator, Terms
from imagegate.gate.tally import FindingTally
from imagegate.gate.verdict import Case, PlatformScan, Verdict, VerdictOutcome, judge
from imagegate.oci.image import OCI_MANIFEST, Digest, ImageRef
from imagegate.policy.policy import Mode, RepositoryPattern, Stage
from imagegate.policy.rules import Action, FindingRules, Limit
from imagegate.policy.waiver import Waiver, Waivers, WaiverTerms
from imagegate.release.release import Release, StartReason

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"

# Amazon ECR API reference, StartImageScan and DescribeImageScanFindings: every value of ImageScanStatus.status.
READY_STATUSES = ("COMPLETE", "ACTIVE")
WAITING_STATUSES = ("PENDING", "IN_PROGRESS")
DEAD_STATUSES = (
    "FAILED",
    "UNSUPPORTED_IMAGE",
    "SCAN_ELIGIBILITY_EXPIRED",
    "FINDINGS_UNAVAILABLE",
    "LIMIT_EXCEEDED",
    "IMAGE_ARCHIVED",
    "IMAGE_SIZE_EXCEEDED",
)


def digest(seed: str = "image") -> Digest:
    return Digest.of(seed.encode())


def image(repository: str = "shop/api-dev", seed: str = "image") -> ImageRef:
    return ImageRef(repository, digest(seed))


def stage(**changes: Any) -> Stage:
    return replace(Stage("dev", RepositoryPattern("shop/{app}-dev"), promotes_to="staging"), **changes)


def with_limits(limits: Mapping[Severity, Limit], gate: Stage | None = None) -> Stage:
    """Return the stage with these limits, and no others."""
    gate = gate or stage()
    return replace(gate, findings=replace(gate.findings, max=dict(limits)))


def package(name: str = "openssl", **changes: Any) -> Package:
    return replace(Package(name, "3.0.1", None, "deb"), **changes)


def finding(
    vulnerability: str = "CVE-2026-1",
    severity: Severity = Severity.HIGH,
    *packages: Package,
    **changes: Any,
) -> Finding:
    """Return a finding in openssl, unless other packages are given."""
    return replace(Finding(vulnerability, severity, packages or (package(),)), **changes)


def waiver(**changes: Any) -> Waiver:
    """Return a waiver of CVE-2026-1 in openssl, for the application's repositories, for a month."""
    plain = Waiver(
        owner="ann@example.com",
        reason="the vulnerable function is not called",
        expires=date(2026, 12, 21),
        vulnerability="CVE-2026-1",
        package="openssl",
        repositories="shop/api-*",
    )
    return replace(plain, **changes)


def rule_waiver(rule: str, **changes: Any) -> Waiver:
    return waiver(**{"rule": rule, "vulnerability": None, "package": None, **changes})


def no_waivers(now: datetime = NOON) -> Waivers:
    return Waivers((), WaiverTerms(), image().repository, [digest()], now)


def terms(rules: FindingRules, **changes: Any) -> Terms:
    """Return terms without waivers, clocks and baseline."""
    plain = Terms(rules, no_waivers(), NOON)
    return replace(plain, **changes)


def announced(findings: Iterable[Finding]) -> dict[Severity, int]:
    """Return the summary that agrees with a list of findings."""
    counts: dict[Severity, int] = {}
    for one in findings:
        counts[one.severity] = counts.get(one.severity, 0) + 1
    return counts


def tally_of(terms: Terms, findings: Iterable[Finding]) -> FindingTally:
    """Evaluate each finding by the terms, and tally them."""
    evaluator, tally = FindingEvaluator(terms), FindingTally(terms.baseline)
    for one in findings:
        tally.add(one, evaluator.evaluate(one))
    return tally


def scanned(
    *severities: Severity,
    status: str | None = "COMPLETE",
    platform: str | None = None,
    gate: Stage | None = None,
) -> PlatformScan:
    """Return a finished scan whose summary and findings agree, evaluated by the rules of `gate`."""
    findings = [Finding(f"CVE-2026-{n}", severity) for n, severity in enumerate(severities)]
    tally = tally_of(terms((gate or stage()).findings), findings)
    return PlatformScan(finished(announced(findings), status=status), tally, platform)


LOOKED = Coverage("ACTIVE", "SUCCESSFUL", "2026-11-18T05:30:00Z")


def finished(
    counts: Mapping[Severity, int] | None = None, status: str | None = "COMPLETE", **changes: Any
) -> ScanStatus:
    """Return the status of a finished scan: with date, counts and coverage, and with the time of the push.

    An enhanced scan has the status ACTIVE.
    """
    is_enhanced = status == "ACTIVE"
    plain = ScanStatus(
        image=digest(),
        status=status,
        completed_at="2026-11-21T06:00:00Z",
        counts=counts or {},
        lists_findings=bool(counts),
        basis=Basis.ENHANCED if is_enhanced else Basis.BASIC,
        has_counts=True,
        pushed_at="2026-11-18T05:00:00Z",
        coverage=(LOOKED,) if is_enhanced else (),
    )
    return replace(plain, **changes)


def verdict(
    gate: Stage, scans: Sequence[PlatformScan], waited: WaitOutcome = WaitOutcome.READY, why_never: str = ""
) -> Verdict:
    """Return the verdict on evaluated scans, without further facts about the image and without waivers."""
    return judge(Case(gate, scans, ImageFacts(image()), no_waivers(), NOON, waited, why_never))


def release(**changes: Any) -> Release:
    plain = Release(
        image=image(),
        attempt=1,
        stage="dev",
        policy=digest("policy"),
        tags=frozenset({"1.0"}),
        reason=StartReason.PUSH,
        started_at=NOON,
        verdict="PASS",
    )
    return replace(plain, **changes)


def reason(
    rule: str = "findings.critical", message: str = "", action: Action = Action.ENFORCE
) -> dict[str, str]:
    text = message or "3 CRITICAL (at most 0): CVE-2026-1 (openssl 3.0.1)"
    return {"rule": rule, "message": text, "action": str(action)}


def decision(**changes: Any) -> Decision:
    plain = Decision(
        registry=REGISTRY,
        image=image(),
        media_type=OCI_MANIFEST,
        size=1234,
        attempt=1,
        stage="dev",
        mode=Mode.ENFORCE,
        policy=digest("policy"),
        verdict=VerdictOutcome.PASS,
        judged_at=NOON,
        reasons=[reason("findings.low", "1 LOW (at most 0): CVE-2026-9", Action.WARN)],
        scans=[{"digest": str(digest()), "platform": None, "status": "COMPLETE", "counts": {"LOW": 1}}],
    )
    return replace(plain, **changes)


severities = st.sampled_from(Severity)
finding_lists = st.lists(severities, max_size=30)
limits = st.builds(Limit, st.integers(0, 8), st.sampled_from(Action))
enforced_limits = st.builds(Limit, st.integers(0, 8))
stages = st.dictionaries(severities, limits, max_size=len(Severity)).map(with_limits)

# Amazon ECR API reference, CreateRepository.repositoryName; 2 to 256 characters.
_words = st.sampled_from(["ab", "api", "a.b", "x-y_z", "0", "shop", "api-dev", "api-staging", "w" * 60])
repositories = st.lists(_words, min_size=1, max_size=4).map("/".join).filter(lambda name: len(name) > 1)
# OCI distribution specification, "Pulling manifests": a tag.
tags = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", fullmatch=True)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
