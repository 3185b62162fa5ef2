"""Scanners as they are: many findings, pages that fail, another kind of scanning in the middle, images that go."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.gate import Gate


def rules(release: dict[str, str]) -> list[str]:
    return [reason["rule"] for reason in json.loads(release.get("reasons", "[]"))]


@pytest.fixture
def enhanced(gate: Gate) -> Iterator[Gate]:
    """Inspector scans what begins with `inspected`; the rest of the registry is not scanned at all."""
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


def test_a_scan_that_can_never_come_is_said_at_once(enhanced: Gate) -> None:
    digest = enhanced.push("forgotten-dev", "1.0")
    blocked = enhanced.ended("forgotten-dev", digest)
    assert (blocked["outcome"], rules(blocked)) == ("blocked", ["scan.never"])
    assert "matches no filter" in blocked["reasons"]


def test_a_release_that_waits_survives_a_change_of_the_kind_of_scanning(gate: Gate) -> None:
    gate.quirks(scan_seconds=3.0)
    digest = gate.push("inspected-switch-dev", "1.0")
    gate.eventually(lambda: gate.releases("inspected-switch-dev", digest), "the release waits")
    gate.quirks(scan_seconds=0.2)
    configure(gate, "ENHANCED", "inspected*")
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
    gate.quirks(scan_seconds=2.0)
    first = gate.push("moved-dev", "1.0", "first")
    second = gate.push("moved-dev", "1.0", "second")
    assert gate.ended("moved-dev", first)["outcome"] == "superseded"
    assert gate.ended("moved-dev", second)["outcome"] == "released"
    assert gate.signatures("moved-dev", first) == []
    assert gate.manifest("moved-staging", "1.0") == gate.manifest("moved-dev", second)
