"""`imagegate stats`: each number says what it counts, and nothing is made up."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.deployment.rollback import Rollback
from imagegate.oci.image import Digest
from imagegate.release.release import Outcome
from imagegate.risk.past import PastRisk
from imagegate_cli.measures.durations import DurationCounts
from tests.component.cli_gate import CALLER, CliGate, gate
from tests.fakes import DEV, NOW

__all__ = ["gate"]


def measures(gate: CliGate, *options: str) -> dict[str, Any]:
    found = gate.call("stats", "--format", "json", *options).json
    return {one["measure"]: one for one in found}


def test_outcomes_scans_and_signatures_are_counted(gate: CliGate) -> None:
    gate.blocked("1.0")
    for number in range(3):
        gate.judged(f"2.{number}", [])
    found = measures(gate)
    assert (found["attempts: blocked"]["value"], found["attempts: released"]["value"]) == (1, 3)
    assert found["attempts: released"]["of"] == 4
    scanned, signed = found["judged on a complete scan"], found["released with a signature of the gate"]
    assert (scanned["counted"], scanned["of"], scanned["value"]) == (4, 4, 1)
    assert (signed["counted"], signed["of"], signed["value"]) == (0, 3, 0)
    assert "0 of 3" in gate.call("stats").out


def test_an_image_without_a_complete_scan_is_not_counted_as_scanned(gate: CliGate) -> None:
    image = gate.blocked("1.0")
    release = gate.world.ledger.latest(image)
    assert release is not None
    reason = {"rule": "scan.timeout", "message": "late", "action": "enforce"}
    gate.world.ledger.record(release.id, reasons=[reason])
    assert measures(gate)["judged on a complete scan"]["counted"] == 0


def test_a_number_that_nothing_tells_is_not_known(gate: CliGate) -> None:
    gate.blocked("1.0")
    found = measures(gate)
    for name in (
        "push to promotion, median",
        "release to its rollback, p90",
        "released with a signature of the gate",
    ):
        assert (found[name]["value"], found[name]["counted"]) == (None, 0)
    assert "not known" in gate.call("stats").out


def test_times_are_from_the_push(gate: CliGate) -> None:
    image = gate.judged("1.0", [], ago=timedelta(hours=2))
    ledger = gate.world.ledger
    release = ledger.latest(image)
    assert release is not None
    assert release.outcome is Outcome.RELEASED
    ledger.releases[image, release.attempt] = replace(
        release, pushed_at=NOW - timedelta(hours=3), closed_at=NOW
    )
    assert measures(gate)["push to outcome, median"]["value"] == pytest.approx(10_800, rel=0.02)


def test_the_time_to_roll_back_is_from_the_release_that_is_replaced(gate: CliGate) -> None:
    bad = gate.judged("1.1", [], ago=timedelta(hours=5))
    unknown = Digest.of(b"a release that the ledger does not have")
    for came_from, hours in ((bad.digest, 1), (unknown, 2)):
        at = NOW - timedelta(hours=hours)
        rollback = Rollback(DEV, Digest.of(b"before"), came_from, CALLER, at, "it is slow")
        gate.world.ledger.note_rollback(rollback)
    found = measures(gate)["release to its rollback, median"]
    assert (found["counted"], found["of"]) == (1, 2)
    assert found["value"] == pytest.approx(4 * 3600, rel=0.02)


def test_criticals_are_averaged_by_week_and_unknown_ones_are_not_counted(gate: CliGate) -> None:
    for number, ago in enumerate((0, 0, 0, 7)):
        image = gate.judged(f"1.{number}", [], ago=timedelta(days=ago))
        release = gate.world.ledger.latest(image)
        assert release is not None
        gate.world.ledger.record(release.id, criticals=(2, 1, None, 5)[number])
    found = {name: one for name, one in measures(gate).items() if name.startswith("criticals")}
    monday = NOW.date() - timedelta(days=NOW.weekday())
    this, last = (f"criticals of a released image, week of {monday - timedelta(days=ago)}" for ago in (0, 7))
    assert list(found) == [last, this]
    assert (found[this]["value"], found[this]["counted"], found[this]["of"]) == (1.5, 2, 3)
    assert found[last]["value"] == 5


def test_the_time_to_the_verdict_is_from_the_push(gate: CliGate) -> None:
    gate.judged("1.0", [], ago=timedelta(hours=1))
    found = measures(gate)["push to verdict, median"]
    assert (found["counted"], found["of"]) == (1, 1)
    assert found["value"] == pytest.approx(0, abs=0.1)


def test_the_time_to_a_fix_is_that_of_risks_that_another_image_ended(gate: CliGate) -> None:
    image = gate.judged("1.0", [])
    day = timedelta(days=1)
    for fixable, is_replaced in ((NOW - 2 * day, True), (NOW - 2 * day, False), (None, True)):
        gate.world.ledger.past.append(PastRisk(image, "dev", NOW - 4 * day, NOW, fixable, is_replaced))
    found = measures(gate)
    fix, risk = found["fix known to fix released, median"], found["at risk until over, median"]
    assert (fix["counted"], fix["of"], fix["value"]) == (1, 3, pytest.approx(2 * 86_400, rel=0.02))
    assert (risk["counted"], risk["value"]) == (3, pytest.approx(4 * 86_400, rel=0.02))


def test_only_attempts_of_the_period(gate: CliGate) -> None:
    gate.judged("1.0", [], ago=timedelta(days=10))
    assert measures(gate, "--since", "7d") == {}
    assert "no attempt" in gate.call("stats", "--since", "7d").err
    assert measures(gate, "--since", "14d") != {}


def test_csv_has_the_same_rows_as_json(gate: CliGate) -> None:
    gate.blocked("1.0")
    rows = list(csv.DictReader(gate.call("stats", "--format", "csv").out.splitlines()))
    assert [one["measure"] for one in rows] == list(measures(gate))
    assert {one["value"] for one in rows if one["measure"] == "push to promotion, p90"} == {""}


@given(st.lists(st.floats(0.01, 1e7), min_size=1, max_size=50), st.sampled_from([50.0, 90.0]))
def test_a_percentile_is_exact_to_two_per_cent(seconds: list[float], percent: float) -> None:
    counts = DurationCounts()
    for one in seconds:
        counts.add(one)
    exact = sorted(seconds)[-(-len(seconds) * int(percent) // 100) - 1]
    assert counts.percentile(percent) == pytest.approx(exact, rel=0.02)
