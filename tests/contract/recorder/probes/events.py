"""EventBridge: the events that PutEvents accepts, on a throw-away bus without rules."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Answer, Bench

CHAPTER = "Events of ECR and EventBridge"
_TAKEN = "{failed: FailedEntryCount, codes: Entries[].ErrorCode}"


@behaviour(CHAPTER, "model, PutEvents: `FailedEntryCount`", ("ok", "yes"))
def what_was_not_taken_is_told_in_a_success(bench: Bench) -> None:
    """`PutEvents` answers 200 for events that it did not take: of two here, one."""
    answer = _put(bench, _entry(bench), _entry(bench, Detail="no JSON"))
    bench.observe("one was not taken", answer.content["FailedEntryCount"] == 1)


@behaviour(
    CHAPTER, "model, `NotAuthorizedForSourceException`", ("ok", "yes"), looser="the sandbox takes them"
)
def nobody_speaks_for_aws(bench: Bench) -> None:
    """An event whose source begins with `aws.` is not taken."""
    answer = _put(bench, _entry(bench, Source="aws.ecr"))
    bench.observe("not taken", answer.content["FailedEntryCount"] == 1)


@behaviour(
    CHAPTER,
    "model, PutEvents",
    ("ok", "ValidationException", "ValidationException"),
    looser="the sandbox takes an empty list",
)
def one_to_ten_events_are_taken_at_once(bench: Bench) -> None:
    """One to ten events go into one call."""
    for number in (10, 11, 0):
        _put(bench, *[_entry(bench)] * number)


@behaviour(CHAPTER, "model, PutEvents: less than 1 MB", None)
def events_have_at_most_a_megabyte(bench: Bench) -> None:
    """300 KB are taken, more than 1 MB are not."""
    for size in (300_000, 1_100_000):
        _put(bench, _entry(bench, Detail=json.dumps({"text": "x" * size})))


@behaviour(CHAPTER, "unverified", None)
def an_event_without_its_parts_is_not_taken(bench: Bench) -> None:
    """Source, detail type and detail must be there; the detail is an object."""
    for field in ("Source", "DetailType", "Detail"):
        _put(bench, {key: value for key, value in _entry(bench).items() if key != field})
    _put(bench, _entry(bench, Detail="[]"))


def _entry(bench: Bench, **fields: str) -> dict[str, str]:
    entry = {
        "Source": "imagegate.contract",
        "DetailType": "Contract",
        "Detail": "{}",
        "EventBusName": _bus(bench),
    }
    return entry | fields


def _put(bench: Bench, *entries: dict[str, Any]) -> Answer:
    return bench.ask("events", "PutEvents", show=_TAKEN, Entries=list(entries))


def _bus(bench: Bench) -> str:
    made: str = bench.shared("event bus", lambda: _make(bench))
    return made


def _make(bench: Bench) -> str:
    name = bench.run
    delete = partial(bench.do, "events", "DeleteEventBus", Name=name)
    bench.make(f"event bus {name}", delete, "events", "CreateEventBus", Name=name)
    return name
