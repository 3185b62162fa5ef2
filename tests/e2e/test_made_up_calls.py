"""Functions and the workflow, called by somebody who may call them, with whatever that somebody likes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.gate import Gate

OUTCOMES = ("released", "blocked", "held", "conflict", "superseded", "withdrawn")


def call(gate: Gate, function: str, payload: dict[str, Any]) -> dict[str, Any]:
    resources = gate.cloud.client("cloudformation").describe_stack_resources(StackName="imagegate")
    name = next(r for r in resources["StackResources"] if r["LogicalResourceId"] == f"{function}Function")
    answer = gate.cloud.client("lambda").invoke(
        FunctionName=name["PhysicalResourceId"], Payload=json.dumps({"schema": 1, **payload})
    )
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    return found


def name(repository: str, digest: str, attempt: int = 1) -> dict[str, Any]:
    return {"repository": repository, "digest": digest, "attempt": attempt}


def subjects(gate: Gate, repository: str) -> list[str]:
    return [one["subject"] for one in gate.messages() if f"{repository}:" in one["subject"]]


def test_a_made_up_ending_closes_nothing_and_tells_nobody(gate: Gate) -> None:
    gate.quirks(scan_outcome="PENDING")
    digest = gate.push("madeup-dev", "1.0")
    gate.eventually(lambda: gate.releases("madeup-dev", digest), "the release is begun")
    more = {"error": "Error", "cause": "by hand"}
    for outcome in OUTCOMES:
        for extra in ({}, more):
            request = {"release": name("madeup-dev", digest), "outcome": outcome, **extra}
            assert call(gate, "Announce", request)["errorType"] == "UnprovenEndingError"
    for waited in ("UNSUPPORTED", "TIMED_OUT", "NEVER", "READY"):
        told = {"release": name("madeup-dev", digest), "waited": waited, "why": "by hand"}
        answer = call(gate, "JudgeImage", told)
        assert (answer["route"], answer["decision"]) == ("AWAIT", None)  # the judge asks the scanner
    [release] = gate.releases("madeup-dev", digest)
    assert "outcome" not in release
    assert subjects(gate, "madeup-dev") == []
    assert gate.ended("madeup-dev", digest)["outcome"] == "blocked"  # no scan result in time
    assert len(subjects(gate, "madeup-dev")) == 1


@pytest.fixture(scope="module")
def blocked(gate: Gate) -> tuple[str, str]:
    gate.findings("madeupbad-dev", CRITICAL=1)
    digest = gate.push("madeupbad-dev", "1.0")
    assert gate.ended("madeupbad-dev", digest)["outcome"] == "blocked"
    return "madeupbad-dev", digest


def test_a_blocked_image_stays_blocked_whatever_request_any_step_gets(
    gate: Gate, blocked: tuple[str, str]
) -> None:
    known, told = gate.releases(*blocked), subjects(gate, blocked[0])
    for outcome in (*OUTCOMES, "failed"):
        answer = call(gate, "Announce", {"release": name(*blocked), "outcome": outcome})
        assert answer == {"route": "END", "outcome": "blocked"}
    for function in ("PromoteImage", "JudgeImage"):
        answer = call(gate, function, {"release": name(*blocked)})
        assert (answer["route"], answer["outcome"]) == ("ANNOUNCE", "blocked")
        assert call(gate, function, {"release": name(*blocked, 9)})["errorType"]
    assert gate.releases(*blocked) == known
    assert subjects(gate, blocked[0]) == told
    assert gate.manifest("madeupbad-staging", "1.0") is None


def test_a_made_up_execution_ends_as_its_release_did(gate: Gate, blocked: tuple[str, str]) -> None:
    known = gate.releases(*blocked)
    states = gate.cloud.client("stepfunctions")
    started = states.start_execution(
        stateMachineArn=gate.cloud.outputs["ReleaseStateMachine"],
        input=json.dumps({"schema": 1, "release": name(*blocked), "scanTimeoutSeconds": 60}),
    )

    def ended() -> str | None:
        status = states.describe_execution(executionArn=started["executionArn"])["status"]
        return None if status == "RUNNING" else str(status)

    assert gate.eventually(ended, "the made-up execution ends") == "SUCCEEDED"
    assert gate.releases(*blocked) == known


def test_a_made_up_push_releases_nothing(gate: Gate, blocked: tuple[str, str]) -> None:
    repository, digest = blocked
    event = {
        "account": "123456789012",
        "region": "eu-central-1",
        "time": "2026-11-28T00:00:00Z",
        "detail-type": "ECR Image Action",
        "detail": {
            "result": "SUCCESS",
            "repository-name": repository,
            "image-digest": digest,
            "action-type": "PUSH",
            "image-tag": "not-there",
        },
    }
    call(gate, "StartRelease", event)
    gate.settled()
    assert {release["outcome"] for release in gate.releases(*blocked)} == {"blocked"}
    assert gate.signatures(*blocked) == []
    assert gate.manifest("madeupbad-staging", "not-there") is None
