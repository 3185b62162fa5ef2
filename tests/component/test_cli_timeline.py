"""`imagegate status --timeline`: every step in its order, with its duration and its record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.component.cli_gate import CliGate, gate
from tests.component.modelled_aws import ModelledAws, modelled, refused
from tests.fakes import DEV, NOW

__all__ = ["gate", "modelled"]

NAME = f"{DEV}:1.0"
MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:imagegate-release"


def entered(id_: int, name: str, seconds: int, kind: str = "Task") -> dict[str, Any]:
    at = NOW + timedelta(seconds=seconds)
    details = {"stateEnteredEventDetails": {"name": name}}
    return {"id": id_, "type": f"{kind}StateEntered", "timestamp": at, **details}


def test_steps_come_with_durations_and_records(gate: CliGate, modelled: ModelledAws) -> None:
    image = gate.blocked("1.0", ago=timedelta(minutes=1))
    gate.outputs["ReleaseStateMachine"] = MACHINE
    events = [entered(1, "Await Scan", 0), entered(2, "Route", 40, "Choice"), entered(3, "Judge Image", 42)]
    pages: dict[str | None, dict[str, Any]] = {
        None: {"events": events[:2], "nextToken": "2"},
        "2": {"events": events[2:]},
    }
    modelled.answers["stepfunctions:GetExecutionHistory"] = lambda asked: pages[asked.get("nextToken")]
    steps = gate.call("status", NAME, "--timeline", "--json").json
    by_name = {step["step"]: step for step in steps}
    assert by_name["Await Scan"]["seconds"] == 42
    release = gate.world.ledger.latest(image)
    assert release is not None
    assert by_name["Judge Image"]["evidence"] == str(release.decision)
    assert "Route" not in by_name
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)
    assert "Judge Image" in gate.call("status", NAME, "--timeline").out


def test_without_a_history_the_ledger_still_tells_its_times(gate: CliGate, modelled: ModelledAws) -> None:
    gate.blocked("1.0")
    gate.outputs["ReleaseStateMachine"] = MACHINE

    def answer(_asked: Any) -> Any:
        raise refused(modelled.client("stepfunctions"), "GetExecutionHistory", "ExecutionDoesNotExist")

    modelled.answers["stepfunctions:GetExecutionHistory"] = answer
    steps = [step["step"] for step in gate.call("status", NAME, "--timeline", "--json").json]
    assert steps == ["Pushed", "Started (push)", "Closed (blocked)"]
    assert gate.call("status", f"{DEV}:9", "--timeline").code == 2
