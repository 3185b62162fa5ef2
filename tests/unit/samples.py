"""Domain values that are right in every respect, so that a test spells out only what it is about; and strategies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from imagegate.domain.decision import Decision
from imagegate.domain.finding import Finding, Severity, Tally
from imagegate.domain.image import OCI_MANIFEST, Digest, ImageRef
from imagegate.domain.policy import Action, Limit, Mode, RepositoryPattern, Stage
from imagegate.domain.release import Release, StartReason
from imagegate.domain.scan import ScanStatus
from imagegate.domain.verdict import PlatformScan, VerdictOutcome

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
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


def scanned(
    *severities: Severity, status: str | None = "COMPLETE", platform: str | None = None
) -> PlatformScan:
    """A finished scan whose summary and findings agree."""
    findings = [Finding(f"CVE-2026-{n}", severity) for n, severity in enumerate(severities)]
    tally = Tally.of(findings)
    return PlatformScan(ScanStatus(digest(), status, counts=dict(tally.counts)), tally, platform)


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
stages = st.builds(
    lambda limits: stage(max_findings=limits), st.dictionaries(severities, limits, max_size=len(Severity))
)

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
