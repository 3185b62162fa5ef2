"""Every order of events ends rightly: pushes, scans, duplicates, deletions, moved tags, kills at every port call.

Each scenario is searched to its end: the real steps and the real state machine over in-memory ports, stopped before
every port call that another function could notice, and, where functions are killed, before and after every one. In all
about 60,000 worlds that differ, with 110,000 moves between them; more than a billion orders lead through them (`-rP`
prints the numbers). Bounds: two images, two tags, at most two functions at the same time, one kill on any one way.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from tests.component.order_rules import always, at_rest
from tests.component.orders import Explored, Search, beginning
from tests.component.port_calls import Stops
from tests.component.scenario import Happening, Scenario
from tests.fakes import FakeLedger

PUSH = Happening("push", "push")
SCAN = Happening("scan", "scan", after=("push",))
CRITICAL = Happening("scan", "scan", after=("push",), critical=1)
DELETE = Happening("delete", "delete", after=("push",))
SECOND = Happening("second tag", "push", tag="latest", after=("push",))
MOVE = Happening("move", "push", "v2", after=("push",))
SCAN_V2 = Happening("scan v2", "scan", "v2", after=("move",))
BACK = Happening("back", "push", after=("move",))
AGAIN = (
    Happening("again", "push", after=("delete",)),
    Happening("scan again", "scan", after=("again",)),
)


def twice(happening: Happening) -> Happening:
    return replace(happening, copies=2)


def lost(happening: Happening) -> Happening:
    return replace(happening, copies=0)


ALL = {
    scenario.name: scenario
    for scenario in (
        Scenario("two scan events at once", (PUSH, twice(SCAN)), at_once=2),
        Scenario("two pushes of a bad image at once", (twice(PUSH), CRITICAL), at_once=2),
        Scenario("enhanced scanning finds nothing", (PUSH, twice(SCAN)), at_once=2, is_enhanced=True),
        Scenario(
            "enhanced scanning finds nothing, and kills",
            (PUSH, SCAN),
            kills=1,
            stops=Stops.EVERYWHERE,
            is_enhanced=True,
        ),
        Scenario("a wait that times out", (PUSH, SCAN), at_once=2, timeouts=1),
        Scenario("a second tag, in parts", (PUSH, SCAN, SECOND), blobs_a_call=2),
        Scenario("lost events", (lost(PUSH), lost(SCAN)), kills=1, reconciles=1, stops=Stops.EVERYWHERE),
        Scenario("kills", (twice(PUSH), twice(SCAN)), kills=1, stops=Stops.EVERYWHERE),
        Scenario("a deletion", (PUSH, SCAN, lost(DELETE)), at_once=2),
        Scenario("a deletion and kills", (PUSH, CRITICAL, DELETE), kills=1, stops=Stops.EVERYWHERE),
        Scenario("a tag that moves", (PUSH, SCAN, MOVE, SCAN_V2), stops=Stops.NOWHERE),
        Scenario(
            "a tag that moves during the promotion",
            (PUSH, SCAN, MOVE, SCAN_V2),
            at_once=2,
            first=("push", "scan"),
            led_to="Promote Image",
            stops_in="PromoteImage",
        ),
        Scenario(
            "a tag that comes back", (PUSH, SCAN, replace(MOVE, after=("scan",)), BACK), stops=Stops.NOWHERE
        ),
        Scenario("executions are stopped", (PUSH, SCAN), stopped=2, stop_events=2, stops=Stops.NOWHERE),
        Scenario(
            "stops that no event tells", (PUSH, CRITICAL), stopped=2, stop_events=0, stops=Stops.NOWHERE
        ),
        Scenario(
            "stops and kills", (PUSH, SCAN), stopped=1, kills=1, stops=Stops.EVERYWHERE, stops_in="requested"
        ),
        Scenario("deleted and pushed again", (PUSH, SCAN, DELETE, *AGAIN), stops=Stops.NOWHERE),
    )
}


@cache
def explored(name: str) -> Explored:
    return Search(always, at_rest).run(beginning(ALL[name]))


@pytest.mark.parametrize("name", ALL)
def test_every_order_ends_rightly(name: str) -> None:
    found = explored(name)
    print(found)
    assert found.broken == {}


def test_a_planted_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closing that does not mind what changed since the decision."""
    close = FakeLedger.close
    monkeypatch.setattr(
        FakeLedger,
        "close",
        lambda self, id_, outcome, seen, *more, **proof: close(self, id_, outcome, None, *more, **proof),
    )
    careless = Scenario("a planted fault", (PUSH, SCAN, SECOND), stops=Stops.NOWHERE)
    assert "what is clean arrives" in Search(always, at_rest).run(beginning(careless)).broken
