"""The steps of a release and their states: from the ledger, and from the execution's history if it can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from imagegate.release.release import Outcome, Release
from imagegate_cli.stack import Stack

NAMES = ("Await Scan", "Judge Image", "Sign Image", "Promote Image", "Announce")
_ANNOUNCE = NAMES.index("Announce")


class StepState(StrEnum):
    """The state of a step."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ExecutionStep:
    """A state of the release state machine, and its result."""

    name: str
    state: StepState
    result: str = ""


def steps_of(release: Release, entered: Sequence[str] = ()) -> list[ExecutionStep]:
    """Return the steps. `entered` has the states of the execution so far; empty if they cannot be read."""
    reached = _reached(release, entered)
    current = max(reached, default=-1)
    if not entered and release.is_open:
        current = _next_of(release)
    results = _results(release)
    return [
        ExecutionStep(name, _state(release, number, reached, current), results[number])
        for number, name in enumerate(NAMES)
    ]


def _state(release: Release, number: int, reached: set[int], current: int) -> StepState:
    if release.is_open:
        if number == current:
            return StepState.RUNNING
        if number > current:
            return StepState.WAITING
    elif number == _failed_at(release, reached):
        return StepState.FAILED
    return StepState.DONE if number in reached else StepState.SKIPPED


def _reached(release: Release, entered: Sequence[str]) -> set[int]:
    by_history = {NAMES.index(name) for name in entered if name in NAMES}
    if "Announce Failure" in entered:
        by_history.add(_ANNOUNCE)
    facts = (release.verdict, release.verdict, release.signature, release.promotion, release.outcome)
    return by_history | {number for number, fact in enumerate(facts) if fact is not None}


def _next_of(release: Release) -> int:
    """Return the step that must be running, by the ledger alone."""
    if release.verdict is None:
        return 0
    if release.promotion or release.verdict != "PASS":
        return _ANNOUNCE
    return 3 if release.signature else 2


def _failed_at(release: Release, reached: set[int]) -> int | None:
    """Return the last step before the failure was announced. The ledger alone knows only finished steps."""
    if release.outcome is not Outcome.FAILED:
        return None
    return max((number for number in reached if number < _ANNOUNCE), default=0)


def _results(release: Release) -> tuple[str, ...]:
    promotion = release.promotion
    return (
        "",
        release.verdict or "",
        release.signature.short if release.signature else "",
        f"{promotion.repository}: {', '.join(promotion.tags)}" if promotion else "",
        str(release.outcome or ""),
    )


class ExecutionHistory:
    """The states of executions, read from Step Functions."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._is_refused = False

    def entered(self, release: Release) -> list[str]:
        """Return the names of the entered states in order; empty if the history cannot be read."""
        return [_name(event) for event in self._read(release) if _name(event)]

    def moments(self, release: Release, types: Sequence[str]) -> list[tuple[str, datetime]]:
        """Return name and time of each entered state of these types; empty if the history cannot be read."""
        return [(_name(event), event["timestamp"]) for event in self._read(release) if event["type"] in types]

    def _read(self, release: Release) -> list[dict[str, Any]]:
        from botocore.exceptions import ClientError

        if self._is_refused:
            return []
        try:
            return self._events(release)
        except ClientError as error:
            # The execution starts a moment after the ledger has its attempt.
            self._is_refused = error.response["Error"]["Code"] != "ExecutionDoesNotExist"
            return []

    def _events(self, release: Release) -> list[dict[str, Any]]:
        from imagegate.aws.clients import client

        pages = client("stepfunctions").get_paginator("get_execution_history")
        arn = self._stack.execution_arn(release)
        events: list[dict[str, Any]] = []
        for page in pages.paginate(executionArn=arn, includeExecutionData=False):
            events += page["events"]
        return events


def _name(event: dict[str, Any]) -> str:
    return str(event.get("stateEnteredEventDetails", {}).get("name", ""))
