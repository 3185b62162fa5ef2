"""The night of a new vulnerability in full size: 200 released images, 37 have it, 12 of these run."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from imagegate.findings.finding import Finding, Package, Severity
from imagegate.release.revocation import RunsIn
from tests.component.cli_gate import CliGate
from tests.component.test_judge_again import SOON, Watch
from tests.fakes import NOW

CVE = "CVE-2026-4444"
FOUND = Finding(CVE, Severity.CRITICAL, (Package("openssl", "3.0.1", "3.0.9"),), fixable=True)
RELEASED, WITH_IT, RUNNING = 200, 37, 12
HOUR = timedelta(hours=1)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def gate(watch: Watch, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CliGate:
    return CliGate(capsys, monkeypatch, watch.world)


def test_the_night_of_a_new_vulnerability(watch: Watch, gate: CliGate) -> None:
    released = [watch.released(repository=f"app{number:03}-dev") for number in range(RELEASED)]
    bad, runs = released[:WITH_IT], released[:RUNNING]
    watch.tasks.runs = {image: [RunsIn("cluster/web", 2, service="service:app")] for image in runs}
    for image in released:
        watch.found(image, *([FOUND] if image in bad else []))
    for _ in range(3):  # Inspector repeats its events
        for image in bad:
            watch.step().note(image, NOW)
    assert (watch.run(SOON).at_risk, watch.run(SOON + HOUR).at_risk) == (WITH_IT, WITH_IT)
    assert announced(watch) == {"Image At Risk": WITH_IT, "Images At Risk": 1}
    assert watch.subjects("alert") == ["AT RISK: 37 released images, 12 of them run"]
    assert {one["repository"] for one in at_risk(gate)} == {image.repository for image in bad}
    listed = gate.call("list", "--cve", CVE, "--json").json
    assert {one["repository"] for one in listed if one["in_use"]} == {image.repository for image in bad}
    assert {one["repository"] for one in listed if one["running"]} == {image.repository for image in runs}

    rebuilt = [watch.released("1.1", repository=image.repository, ago=2) for image in bad]
    assert watch.run(SOON + 2 * HOUR).at_risk == RUNNING  # what runs is at risk until it is deployed again
    ways = {one["repository"]: one["risk"]["newer"][0]["digest"] for one in at_risk(gate)}
    assert ways == {image.repository: str(image.digest) for image in rebuilt[:RUNNING]}
    watch.tasks.runs = {image: [RunsIn("cluster/web", 2)] for image in rebuilt[:RUNNING]}
    assert watch.run(SOON + 3 * HOUR).at_risk == 0
    assert at_risk(gate) == gate.call("list", "--cve", CVE, "--json").json == []
    counts = announced(watch)
    assert (counts["Image At Risk"], counts["Image Risk Over"]) == (WITH_IT, WITH_IT)
    assert len(watch.subjects("alert")) == 3  # one mail for each wave: at risk, rebuilt, deployed


def test_a_wave_over_several_runs_is_an_alert_for_each_image_once(watch: Watch) -> None:
    bad = [watch.released(repository=f"app{number:03}-dev") for number in range(WITH_IT)]
    for image in bad:
        watch.found(image, FOUND)
    for minutes in range(0, 60, 5):
        watch.run(SOON + timedelta(minutes=minutes), most=10)
    names = Counter(
        one.detail["repository"] for one in watch.world.notifications.messages if "repository" in one.detail
    )
    assert names == dict.fromkeys((image.repository for image in bad), 1)
    assert announced(watch)["Images At Risk"] == 4


def announced(watch: Watch) -> Counter[str]:
    return Counter(one.detail_type for one in watch.world.notifications.messages)


def at_risk(gate: CliGate) -> list[Any]:
    """Return the images at risk as `list` prints them."""
    listed: list[Any] = gate.call("list", "--at-risk", "--json").json
    return listed
