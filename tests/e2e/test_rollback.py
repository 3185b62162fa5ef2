"""Going back, end to end: what deployers hear, and that nothing in the registry moves."""

from __future__ import annotations

from tests.e2e.gate import Gate
from tests.e2e.test_waivers import DECIDES, READS, imagegate, user


def test_deployers_hear_of_the_release_before_once_more(gate: Gate) -> None:
    first = gate.push("undone-dev", "1.0", "first")
    assert gate.ended("undone-dev", first)["outcome"] == "released"
    second = gate.push("undone-dev", "1.1", "second")
    assert gate.ended("undone-dev", second)["outcome"] == "released"
    before = gate.manifest("undone-dev", "1.1")

    looked = imagegate(gate, "rollback", "undone", "dev", "--dry-run", "--json")
    assert (looked.code, looked.json["to"], looked.json["from"]) == (0, first, second), looked.err
    done = imagegate(gate, "rollback", "undone", "dev", "--reason", "it leaks", "--yes", "--json")
    assert (done.code, done.json["rollback"]["to"]) == (0, first), done.err
    told = gate.eventually(
        lambda: [m for m in gate.messages() if str(m["subject"]).startswith("ROLLED BACK: undone-dev")],
        "people are told",
    )
    assert "it leaks" in told[0]["message"]
    assert gate.manifest("undone-dev", "1.1") == before

    assert imagegate(gate, "decide", "revoke", "undone-dev:1.0", "--reason", "x", "--yes").code == 0
    nothing = imagegate(gate, "rollback", "undone", "dev", "--dry-run")
    assert nothing.code == 1, nothing
    named = imagegate(gate, "rollback", "undone", "dev", "--to", "1.0", "--reason", "y", "--yes")
    assert (named.code, "revoked" in named.err or "never released" in named.err) == (1, True), named.err


def test_a_rollback_needs_the_power_to_roll_back(gate: Gate) -> None:
    first = gate.push("kept-back-dev", "1.0", "first")
    gate.ended("kept-back-dev", first)
    second = gate.push("kept-back-dev", "1.1", "second")
    gate.ended("kept-back-dev", second)
    assert imagegate(gate, "rollback", "kept-back", "dev", "--dry-run").code == 0
    _, keys = user(gate, READS, *DECIDES[:1])
    refused = imagegate(gate, "rollback", "kept-back", "dev", "--reason", "x", "--yes", keys=keys)
    assert refused.code == 2
