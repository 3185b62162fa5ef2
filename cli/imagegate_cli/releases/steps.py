"""How far a release has come: from what the ledger knows, finer where the execution's history may be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from imagegate.release.release import Outcome, Release

NAMES = ("Await Scan", "Judge Image", "Sign Image", "Promote Image", "Announce")
_ANNOUNCE = NAMES.index("Announce")


class StepState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ExecutionStep:
    """One state of the release state machine, and what came out of it."""

    name: str
    state: StepState
    result: str = ""


def steps_of(release: Release, entered: Sequence[str] = ()) -> list[ExecutionStep]:
    """`entered`: the states that the execution went through so far; empty where nobody may know."""
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
    """The step that must be running, when only the ledger tells."""
    if release.verdict is None:
        return 0
    if release.promotion or release.verdict != "PASS":
        return _ANNOUNCE
    return 3 if release.signature else 2


def _failed_at(release: Release, reached: set[int]) -> int | None:
    """The last step before the failure was announced; the ledger alone knows only what had been finished."""
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
