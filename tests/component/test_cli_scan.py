"""`imagegate scan`: which result counts, whatever ECR shows meanwhile, and the exit code that it leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagegate.canonical_json import timestamp
from imagegate.findings.finding import Severity
from imagegate.findings.scan import Scanning, ScanStatus
from imagegate.oci.image import ImageRef
from imagegate.policy.policy import Scanner
from imagegate_cli.context import Pauses
from tests.component.cli_gate import CliGate, gate
from tests.fakes import DEV, NOW, critical

__all__ = ["gate"]

NAME = f"{DEV}:1.0"


def push(gate: CliGate) -> ImageRef:
    return gate.world.registry.push_image(DEV, "1.0", seed="1", at=NOW)


def later(gate: CliGate, *steps: Callable[[], None]) -> None:
    """Take one step in each pause."""
    rest = iter(steps)
    gate.pauses = Pauses(sleep=lambda _seconds: next(rest, lambda: None)())


def rescanned(gate: CliGate, image: ImageRef, findings: Any = ()) -> None:
    gate.world.scans.finish(image, findings)
    results = gate.world.scans.results
    results[image.digest] = replace(results[image.digest], completed_at=timestamp(NOW + timedelta(days=2)))


def running(gate: CliGate, image: ImageRef) -> None:
    gate.world.scans.results[image.digest] = ScanStatus(image.digest, "IN_PROGRESS")


def test_the_result_of_the_scan_before_is_not_taken_for_the_new_one(gate: CliGate) -> None:
    image = push(gate)
    gate.world.scans.finish(image)
    old = gate.world.scans.results[image.digest]

    def shows_the_old_one() -> None:
        gate.world.scans.results[image.digest] = old

    later(gate, shows_the_old_one, lambda: running(gate, image), lambda: rescanned(gate, image, critical()))
    result = gate.call("scan", NAME, "--threshold", "high", "--json")
    assert result.code == 1
    [found] = result.json
    assert (found["request"], found["findings"]["CRITICAL"]) == ("started", 1)
    assert gate.world.scans.started == [image]


def test_a_scan_of_today_is_shown_and_said_to_be_old(gate: CliGate) -> None:
    image = push(gate)
    gate.world.scans.finish(image, critical())
    gate.world.scans.scanned_today.add(image)
    result = gate.call("scan", NAME, "--wait")
    assert (result.code, "once in 24 hours" in result.err) == (0, True)
    assert "1 CRITICAL" in result.out
    assert gate.call("scan", NAME, "--threshold", "CRITICAL").code == 1


def test_a_scan_that_runs_is_waited_for_though_no_other_may_start(gate: CliGate) -> None:
    image = push(gate)
    gate.world.scans.scanned_today.add(image)
    running(gate, image)
    later(gate, lambda: rescanned(gate, image, critical()))
    assert gate.call("scan", NAME, "--threshold", "CRITICAL").code == 1


@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("threshold", list(Severity))
def test_the_threshold_counts_findings_at_it_or_above(
    gate: CliGate, severity: Severity, threshold: Severity
) -> None:
    image = push(gate)
    gate.world.scans.scanned_today.add(image)
    gate.world.scans.finish(image, [replace(critical()[0], severity=severity)])
    order = list(Severity)
    expected = int(order.index(severity) <= order.index(threshold))
    assert gate.call("scan", NAME, "--threshold", threshold).code == expected


def test_without_waiting_a_started_scan_is_enough(gate: CliGate) -> None:
    image = push(gate)
    result = gate.call("scan", NAME, "--json")
    assert (result.code, result.json[0]["findings"]) == (0, None)
    assert gate.world.scans.started == [image]


@pytest.mark.parametrize(
    "status", ["FAILED", "UNSUPPORTED_IMAGE", "SCAN_ELIGIBILITY_EXPIRED", "IMAGE_ARCHIVED"]
)
@pytest.mark.parametrize("option", [["--wait"], ["--threshold", "UNDEFINED"]])
def test_no_result_is_never_a_clean_one(gate: CliGate, status: str, option: list[str]) -> None:
    image = push(gate)
    later(gate, lambda: gate.world.scans.finish(image, status=status))
    result = gate.call("scan", NAME, *option)
    assert (result.code, status in result.out) == (2, True)


def test_a_scan_that_does_not_end_in_time_is_not_clean(gate: CliGate) -> None:
    running(gate, push(gate))
    assert gate.call("scan", NAME, "--threshold", "HIGH", "--timeout", "0").code == 124


def test_inspector_is_not_asked_to_scan(gate: CliGate) -> None:
    image, scans = push(gate), gate.world.scans
    scans.kind = Scanner.ENHANCED
    scans.finish(image, critical())
    result = gate.call("scan", NAME, "--threshold", "HIGH")
    assert (result.code, scans.started) == (1, [])
    assert "scans by itself" in result.err
    scans.way = Scanning.NEVER
    assert (gate.call("scan", NAME).code, scans.started) == (2, [])


def test_each_platform_of_an_index_is_scanned_and_the_worst_counts(gate: CliGate) -> None:
    _, (arm, amd) = gate.world.index("arm64", "amd64", attestation=True)
    later(gate, lambda: rescanned(gate, arm), lambda: rescanned(gate, amd, critical()))
    result = gate.call("scan", NAME, "--threshold", "HIGH")
    assert (result.code, set(gate.world.scans.started)) == (1, {arm, amd})
    assert "arm64" in result.out


@pytest.mark.parametrize("name", [f"{DEV}:2.0", DEV, "nowhere:1.0"])
def test_an_image_that_is_not_there(gate: CliGate, name: str) -> None:
    result = gate.call("scan", name)
    assert (result.code, gate.world.scans.started) == (2, [])
