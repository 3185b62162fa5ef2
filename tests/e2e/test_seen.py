"""The verbs that only look, over real releases in the sandbox: what is stored, scanned, measured, and who did it."""

from __future__ import annotations

import pytest

from tests.e2e.command_line import imagegate_here
from tests.e2e.gate import Gate

APP = "seen"
DEV = f"{APP}-dev"


@pytest.fixture(scope="module")
def shop(gate: Gate) -> Gate:
    """Release one image, and block another for its CRITICAL finding."""
    good = gate.push(DEV, "1.0", "good")
    assert gate.ended(DEV, good)["outcome"] == "released"
    gate.findings(DEV, CRITICAL=2)
    bad = gate.push(DEV, "1.1", "bad")
    assert gate.ended(DEV, bad)["outcome"] == "blocked"
    return gate


def test_what_is_stored_is_listed_with_its_findings(shop: Gate) -> None:
    listed = imagegate_here(shop, "images", DEV, "--findings", "--json").json
    images = {tag: one for one in listed for tag in one["tags"]}
    assert set(images) == {"1.0", "1.1"}
    assert all(one["bytes"] > 0 for one in images.values())
    critical = imagegate_here(shop, "images", DEV, "--critical", "--json").json
    assert [one["tags"] for one in critical] == [["1.1"]]
    [repository] = imagegate_here(shop, "images", DEV, "--by", "repository", "--json").json
    assert (repository["images"], repository["referrers"] > 0) == (2, True)  # signatures and summaries
    assert repository["uri"].endswith(DEV)


def test_a_scan_exits_by_what_is_found(shop: Gate) -> None:
    for tag, threshold, code in (("1.0", "CRITICAL", 0), ("1.1", "CRITICAL", 1), ("1.1", "HIGH", 1)):
        done = imagegate_here(shop, "scan", f"{DEV}:{tag}", "--threshold", threshold)
        assert (done.code, "Traceback" in done.err) == (code, False), done
    assert "2 CRITICAL" in imagegate_here(shop, "scan", f"{DEV}:1.1", "--wait").out


def test_a_timeline_has_each_step_with_its_duration(shop: Gate) -> None:
    done = imagegate_here(shop, "status", f"{DEV}:1.0", "--timeline")
    assert done.code == 0
    for step in ("Await Scan", "Judge Image", "Sign Image", "Promote Image", "Announce"):
        assert step in done.out


def test_the_measures_are_those_of_the_releases(shop: Gate) -> None:
    found = imagegate_here(shop, "stats", "--since", "1d", "--format", "json").json
    of_dev = {one["measure"]: one for one in found if one["stage"] == "dev"}
    assert of_dev["attempts: released"]["value"] >= 1
    assert of_dev["attempts: blocked"]["value"] >= 1
    # Tests beside this one break the glass.
    assert 0 < of_dev["released with a signature of the gate"]["value"] <= 1
    assert of_dev["push to verdict, median"]["counted"] >= 2
    assert any(one["unit"] == "findings" and one["value"] is not None for one in found)


def test_who_did_what_cannot_be_told_without_cloudtrail_and_that_is_said(shop: Gate) -> None:
    """The sandbox has no event history of CloudTrail. The requests are checked against the model elsewhere."""
    done = imagegate_here(shop, "access", "--since", "1d")
    assert (done.code, done.out) == (2, "")
    assert "cloudtrail" in done.err
    assert "Traceback" not in done.err
