"""A dead letter in the sandbox: its release is started again, with no more than the documented rights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.gate import Gate
from tests.e2e.test_waivers import READS, imagegate, user

POWERS = Path(__file__).parents[2] / "docs/powers"


def statements(power: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((POWERS / f"{power}.json").read_text())["Statement"]
    return found


def lose_a_request(gate: Gate, repository: str, digest: str) -> None:
    """Send a request by the alias for events, which refuses it three times."""
    resources = gate.cloud.client("cloudformation").describe_stack_resources(StackName="imagegate")
    name = next(r for r in resources["StackResources"] if r["LogicalResourceId"] == "StartReleaseFunction")
    request = {"repository": repository, "digest": digest, "tags": ["1.0"], "reason": "new waiver"}
    gate.cloud.client("lambda").invoke(
        FunctionName=name["PhysicalResourceId"],
        Qualifier="live",
        InvocationType="Event",
        Payload=json.dumps({"schema": 1, "request": request}),
    )


def test_a_lost_event_starts_its_release_again_with_no_more_than_the_documented_rights(gate: Gate) -> None:
    digest = gate.push("lost-dev", "1.0")
    gate.ended("lost-dev", digest)
    lose_a_request(gate, "lost-dev", digest)
    _, keys = user(
        gate, *{one["Sid"]: one for one in statements("dead-letters") + statements("release")}.values()
    )
    _, stranger = user(gate, READS)

    def letters() -> list[dict[str, Any]]:
        listed = imagegate(gate, "dlq", "list", "--json", keys=keys)
        assert listed.code == 0, listed.err
        return [one for one in json.loads(listed.out) if one["image"] == f"lost-dev@{digest}"]

    [letter] = gate.eventually(letters, "the request is a dead letter")
    assert "takes only events" in letter["error"]
    assert imagegate(gate, "dlq", "redrive", letter["id"], "--yes", keys=stranger).code == 2
    redriven = imagegate(gate, "dlq", "redrive", letter["id"], "--yes", keys=keys)
    assert redriven.code == 0, redriven.err
    assert gate.ended("lost-dev", digest, attempt=2)["reason"] == "operator"
    assert letters() == []
