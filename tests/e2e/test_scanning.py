"""Scanners as they are: many findings, pages that fail, another kind of scanning in the middle, images that go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from tests.e2e.gate import Gate
from tests.e2e.test_powers import decision_of


def rules(release: dict[str, str]) -> list[str]:
    return [reason["rule"] for reason in json.loads(release.get("reasons", "[]"))]


@pytest.fixture
def enhanced(gate: Gate) -> Iterator[Gate]:
    """Let Inspector scan the repositories that begin with `inspected`; the rest of the registry is not scanned."""
    configure(gate, "ENHANCED", "inspected*")
    yield gate
    configure(gate, "BASIC")


def configure(gate: Gate, kind: str, wildcard: str = "") -> None:
    rule = {
        "scanFrequency": "CONTINUOUS_SCAN",
        "repositoryFilters": [{"filter": wildcard, "filterType": "WILDCARD"}],
    }
    gate.cloud.client("ecr").put_registry_scanning_configuration(
        scanType=kind, rules=[rule] if wildcard else []
    )


def test_inspectors_results_are_judged_as_basic_ones_are(enhanced: Gate) -> None:
    enhanced.findings("inspected-bad-dev", CRITICAL=1, HIGH=2)
    bad = enhanced.push("inspected-bad-dev", "1.0")
    clean = enhanced.push("inspected-dev", "1.0")
    assert enhanced.ended("inspected-dev", clean)["outcome"] == "released"
    blocked = enhanced.ended("inspected-bad-dev", bad)
    assert (blocked["outcome"], rules(blocked)) == ("blocked", ["findings.critical"])


EARLY: dict[str, dict[str, Any]] = {
    "complete and active without a result": {"early_result_seconds": 2.0},
    "a status before its counts, and the counts before the list": {"summary_before_findings": True},
    "half of the findings": {"partial_findings_seconds": 3.0},
    "findings after a scan that found nothing": {"late_findings_seconds": 1.0},  # the second look is later
    "coverage after the findings, and no event": {"late_coverage_seconds": 3.0},
    "everything": {
        "early_result_seconds": 1.0,
        "partial_findings_seconds": 1.0,
        "late_findings_seconds": 1.0,
        "late_coverage_seconds": 1.0,
    },
}


@pytest.mark.parametrize("quirk", EARLY)
def test_nothing_is_signed_before_the_findings_are_there(enhanced: Gate, quirk: str) -> None:
    repository = f"inspected-early{list(EARLY).index(quirk)}-dev"
    enhanced.quirks(**EARLY[quirk])
    enhanced.findings(repository, CRITICAL=2)
    digest = enhanced.push(repository, "1.0")
    blocked = enhanced.ended(repository, digest)
    assert (blocked["outcome"], rules(blocked)) == ("blocked", ["findings.critical"])
    assert "2 CRITICAL" in blocked["reasons"]
    assert enhanced.signatures(repository, digest) == []


def test_an_empty_scan_is_read_twice_before_the_release(enhanced: Gate) -> None:
    digest = enhanced.push("inspected-twice-dev", "1.0")
    released = enhanced.ended("inspected-twice-dev", digest)
    assert released["outcome"] == "released"
    record = decision_of(enhanced, released)
    [scan] = record["scans"]
    assert scan["coverage"][0]["reason"] == "SUCCESSFUL"
    looked = datetime.fromisoformat(json.loads(released["cleanSince"])[digest])
    judged = datetime.fromisoformat(record["judgedAt"])
    assert judged >= looked.replace(microsecond=0) + timedelta(seconds=1)  # a minute, on the sandbox's scale


def test_an_image_that_inspector_will_never_scan_is_reported_at_once(enhanced: Gate) -> None:
    enhanced.quirks(coverage_reason="IMAGE_SIZE_EXCEEDED")
    digest = enhanced.push("inspected-huge-dev", "1.0")
    blocked = enhanced.ended("inspected-huge-dev", digest)
    assert (blocked["outcome"], rules(blocked)) == ("blocked", ["scan.failed"])
    assert "larger than Inspector accepts" in blocked["reasons"]


@pytest.mark.parametrize("function", ["AwaitScan", "JudgeImage"])
def test_without_inspectors_permissions_a_release_fails_and_says_which(enhanced: Gate, function: str) -> None:
    repository = f"inspected-{function.lower()}-dev"
    with without(enhanced, function, "ReadEnhancedScans", "ReadWhatInspectorKnows"):
        failed = enhanced.ended(repository, enhanced.push(repository, "1.0"))
    assert failed["outcome"] == "failed"
    assert "AccessRefusedError" in failed["detail"]
    assert "inspector2:ListFindings" in failed["detail"]


@contextmanager
def without(gate: Gate, function: str, *names: str) -> Iterator[None]:
    """Remove some statements from the policy of a function's role in this block."""
    resources = gate.cloud.client("cloudformation").describe_stack_resources(StackName="imagegate")
    [role] = [
        one["PhysicalResourceId"]
        for one in resources["StackResources"]
        if one["LogicalResourceId"] == f"{function}Role"
    ]
    iam = gate.cloud.client("iam")
    policy = iam.get_role_policy(RoleName=role, PolicyName="needs")["PolicyDocument"]
    left = [one for one in policy["Statement"] if one["Sid"] not in names]
    assert len(left) < len(policy["Statement"])
    put = partial(iam.put_role_policy, RoleName=role, PolicyName="needs")
    put(PolicyDocument=json.dumps({**policy, "Statement": left}))
    try:
        yield
    finally:
        put(PolicyDocument=json.dumps(policy))


def test_a_scan_that_can_never_come_is_said_at_once(enhanced: Gate) -> None:
    digest = enhanced.push("forgotten-dev", "1.0")
    blocked = enhanced.ended("forgotten-dev", digest)
    assert (blocked["outcome"], rules(blocked)) == ("blocked", ["scan.never"])
    assert "matches no filter" in blocked["reasons"]


def test_a_release_that_waits_survives_a_change_of_the_kind_of_scanning(gate: Gate) -> None:
    gate.quirks(hold_scans=True)
    digest = gate.push("inspected-switch-dev", "1.0")
    gate.eventually(lambda: gate.releases("inspected-switch-dev", digest), "the release waits")
    configure(gate, "ENHANCED", "inspected*")
    gate.quirks(hold_scans=False)
    try:
        assert gate.ended("inspected-switch-dev", digest)["outcome"] == "released"
    finally:
        configure(gate, "BASIC")


def test_thousands_of_findings_a_page_that_fails_twice_and_a_scan_run_again_in_between(gate: Gate) -> None:
    gate.findings("many-dev", LOW=4996, CRITICAL=4)
    gate.quirks(fail_findings_page=3, rescan_while_paging=True)
    digest = gate.push("many-dev", "1.0")
    release = gate.ended("many-dev", digest)
    assert (release["outcome"], rules(release)) == ("blocked", ["findings.critical"])
    assert "4 CRITICAL (at most 0)" in release["reasons"]


def test_an_image_that_is_deleted_while_it_waits_is_withdrawn(gate: Gate) -> None:
    gate.quirks(scan_outcome="PENDING")
    digest = gate.push("gone-dev", "1.0")
    gate.eventually(lambda: gate.releases("gone-dev", digest), "the release waits")
    gate.cloud.client("ecr").batch_delete_image(repositoryName="gone-dev", imageIds=[{"imageDigest": digest}])
    assert gate.ended("gone-dev", digest)["outcome"] == "withdrawn"
    gate.quirks(scan_outcome="COMPLETE")
    assert gate.push("gone-dev", "1.0") == digest  # as the message says
    assert gate.ended("gone-dev", digest, attempt=2)["outcome"] == "released"


def test_a_tag_that_moves_while_its_image_waits_supersedes_it(gate: Gate) -> None:
    gate.quirks(hold_scans=True)
    first = gate.push("moved-dev", "1.0", "first")
    second = gate.push("moved-dev", "1.0", "second")
    gate.quirks(hold_scans=False)
    assert gate.ended("moved-dev", first)["outcome"] == "superseded"
    assert gate.ended("moved-dev", second)["outcome"] == "released"
    assert gate.signatures("moved-dev", first) == []
    assert gate.manifest("moved-staging", "1.0") == gate.manifest("moved-dev", second)
