"""Executions that run while the stack is updated: Step Functions keeps their definition, Lambda runs the new functions.

So the new functions must understand what every definition sends that may still run, and return what it reads. Each
definition is recorded by that, in recordings/definitions/N.json; a release may run for 30 days, so an earlier file goes
with the first version that comes later. `python -m tests.contract.test_running_executions N` records this one.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from imagegate.errors import InvalidEventError, NewerRequestError
from imagegate.events.step_requests import (
    AnnounceRequest,
    AttachSbomRequest,
    AwaitScanRequest,
    JudgeRequest,
    PromoteRequest,
    SignRequest,
    StartEnvelope,
)
from imagegate.release.release import Outcome
from imagegate.workflow.attach_sbom import SbomResult, SbomRoute
from imagegate.workflow.judge import JudgeResult, JudgeRoute
from imagegate.workflow.promote import PromoteResult, PromoteRoute

ROOT = Path(__file__).parents[2]
RECORDINGS = Path(__file__).parent / "recordings/definitions"
REQUESTS: dict[str, Any] = {
    "await_scan": AwaitScanRequest,
    "judge_image": JudgeRequest,
    "sign_image": SignRequest,
    "attach_sbom": AttachSbomRequest,
    "promote_image": PromoteRequest,
    "announce": AnnounceRequest,
}
RESULTS: dict[str, dict[str, Any]] = {
    "judge_image": JudgeResult(JudgeRoute.SIGN, Outcome.RELEASED).as_json(),
    "attach_sbom": SbomResult(SbomRoute.DONE).as_json(),
    "promote_image": PromoteResult(PromoteRoute.ANNOUNCE).as_json(),
}
# Values of the definition's variables, as an execution has them.
DIGEST = "sha256:" + "0" * 64
VALUES = {
    "$release": {"repository": "shop-dev", "digest": DIGEST, "attempt": 1},
    "$states.context.Execution.Input.release": {"repository": "shop-dev", "digest": DIGEST, "attempt": 1},
    "$states.context.Task.Token": "token",
    "$decision": DIGEST,
    "$export": {"report": "report", "status": "IN_PROGRESS", "why": "", "batch": 0, "polls": 0},
    "$outcome": "released",
    "$error": "States.Timeout",
    "$cause": "",
}


def contract(definition: str) -> dict[str, dict[str, Any]]:
    """Return what each state sends to its function, and what it reads from the answer."""
    found = {}
    for name, state in yaml.safe_load(definition)["States"].items():
        if ":lambda:invoke" in state.get("Resource", ""):
            function = state["Arguments"]["FunctionName"].strip("${}").removesuffix("Function")
            payload = {key: filled(value) for key, value in state["Arguments"]["Payload"].items()}
            reads = set(re.findall(r"\$states\.result\.Payload\.(\w+)", json.dumps(state)))
            folder = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", function).lower()
            found[name] = {"function": folder, "payload": payload, "reads": sorted(reads)}
    return found


def filled(value: Any) -> Any:
    expression = re.fullmatch(r"\{% (\S+) %\}", value) if isinstance(value, str) else None
    return VALUES[expression[1]] if expression else value


def returned(function: str) -> set[str]:
    """Return the keys of a function's answer: of its result, or of the handler's own mapping."""
    if function in RESULTS:
        return set(RESULTS[function])
    source = (ROOT / "functions" / function / "handler.py").read_text()
    return set(re.findall(r'"(\w+)":', source.rpartition("return {")[2]))


RECORDED = {path.stem: json.loads(path.read_text()) for path in RECORDINGS.glob("*.json")}
STATES = [(number, state) for number, states in RECORDED.items() for state in states]


@pytest.mark.parametrize(("number", "state"), STATES)
def test_what_an_earlier_definition_sends_is_understood(number: str, state: str) -> None:
    sent = RECORDED[number][state]
    assert REQUESTS[sent["function"]].parse(sent["payload"])


@pytest.mark.parametrize(("number", "state"), STATES)
def test_what_an_earlier_definition_reads_is_returned(number: str, state: str) -> None:
    sent = RECORDED[number][state]
    assert set(sent["reads"]) <= returned(sent["function"])


@pytest.mark.parametrize("model", [*REQUESTS.values(), StartEnvelope])
def test_what_a_newer_version_sends_is_refused_by_a_name_that_is_retried(model: Any) -> None:
    """It happens on the way back from a newer version. The fields of that version are not looked at."""
    for payload in ({"schema": 2}, {"schema": 99, "release": "in another form", "more": True}):
        with pytest.raises(NewerRequestError, match="deploy the newer one again"):
            model.parse(payload)
    for schema in (0, -1, "2", 2.0, True, None):
        with pytest.raises(InvalidEventError):
            model.parse({"schema": schema})


def test_the_definition_of_this_version_is_recorded() -> None:
    now = contract((ROOT / "statemachines/release.asl.yaml").read_text())
    assert now == RECORDED[max(RECORDED, key=int)], "another contract: record it under the next number"


if __name__ == "__main__":
    definition = (ROOT / "statemachines/release.asl.yaml").read_text()
    text = json.dumps(contract(definition), indent=2, sort_keys=True)
    (RECORDINGS / f"{int(sys.argv[1])}.json").write_text(text + "\n")
