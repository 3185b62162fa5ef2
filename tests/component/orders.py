"""A search through every order of a scenario's moves; each different world is visited once.

Two worlds are the same if everything stored, on its way and running in them is the same. So a few ten thousand worlds
represent the billions of ways that lead through them; the ways are counted, not walked.
"""

from __future__ import annotations

import gc
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from imagegate.policy.policy import Scanner
from tests.component.lambdas import Call
from tests.component.names import Names
from tests.component.scenario import Scenario
from tests.component.world import World

# What a rule says about a broken world: its own name, and what is wrong.
Broken = Iterable[tuple[str, str]]
_MOST_WORLDS = 200_000
_ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Move:
    name: str
    run: Callable[[World], object]
    is_certain: bool = True  # False: what may go wrong, or come in between, but need not


def moves(world: World) -> Iterator[Move]:
    """Yield all moves that can happen next."""
    for happening in world.possible():
        yield Move(happening.name, partial(World.happen, happening=happening))
    for call in world.calls:
        yield from _of_call(world, call)
    if len(world.calls) < world.scenario.at_once:
        yield from _beginnings(world)
    if world.stopped < world.scenario.stopped:
        for name, execution in world.executions.all.items():
            if not execution.is_over:
                stop = partial(World.stop, name=name, copies=world.scenario.stop_events)
                yield Move(f"somebody stops {name[:4]}", stop, False)
    if world.timeouts < world.scenario.timeouts:
        for name, execution in world.executions.all.items():
            if execution.is_waiting:
                yield Move("the wait times out", partial(World.time_out, name=name), False)


def beginning(scenario: Scenario) -> World:
    """Return the world where the search begins: an empty one, or one led straight to a state of the state machine."""
    world = World(scenario)
    if scenario.is_enhanced:
        world.scans.kind = Scanner.ENHANCED
    for happening in scenario.happenings:
        if happening.name in scenario.first:
            world.happen(happening)
    while scenario.led_to and scenario.led_to not in {known.state for known in world.executions.all.values()}:
        next(itertools.chain(*(_of_call(world, call) for call in world.calls), _beginnings(world))).run(world)
    return world


def _beginnings(world: World) -> Iterator[Move]:
    for event in dict.fromkeys(world.events.pending):
        yield Move(f"{event.function} {event.image.digest.short[7:11]}", partial(World.deliver, event=event))
    for name, execution in world.executions.all.items():
        if not (execution.is_over or execution.is_called or execution.is_waiting):
            yield Move(f"{execution.state} {name[:4]}", partial(World.call_task, name=name))
    if world.reconciles < world.scenario.reconciles:
        yield Move("the reconciler runs", World.reconcile, False)


def _of_call(world: World, call: Call) -> Iterator[Move]:
    name = f"… {call.function.strip('${}')} +{len(call.answers)}"
    yield Move(name, partial(World.go_on, call=call))
    if world.kills < world.scenario.kills:
        yield Move(f"{name} is killed before", partial(World.kill, call=call), False)
        yield Move(f"{name} is killed after", partial(World.go_on, call=call, answer_is_lost=True), False)


@dataclass
class Explored:
    """The result. `ways`: the number of different orders of moves from the beginning to an end."""

    scenario: str
    worlds: int = 0
    moves: int = 0
    ends: int = 0
    ways: int = 0
    broken: dict[str, tuple[str, list[str]]] = field(
        default_factory=dict
    )  # rule → what, and a way that led there

    def __str__(self) -> str:
        return f"{self.scenario}: {self.worlds:,} worlds, {self.moves:,} moves, {self.ways:,} orders"


@dataclass
class Search:
    observe: Callable[[World, World], Broken]  # a world before and after a move
    judge: Callable[[World], Broken]  # a world in which all has come to rest
    shortest: bool = False  # first the short ways: slower, but the ways that it shows are easier to read
    names: Names = field(default_factory=Names)

    def run(self, start: World) -> Explored:
        """Search without garbage collection: there are no reference cycles, and it would take a quarter of the time."""
        gc.disable()
        try:
            return self._run(start)
        finally:
            gc.enable()

    def _run(self, start: World) -> Explored:
        found = Explored(start.scenario.name)
        known = {self.names.of_world(start): 0}
        came: list[tuple[int, str]] = [(-1, "")]
        following: list[set[int]] = [set()]
        open_ = [(start, 0)]
        while open_:
            world, number = open_.pop(0 if self.shortest else -1)
            certain = False
            for move in moves(world):
                certain |= move.is_certain
                after = world.fork()
                move.run(after)
                found.moves += 1
                self._note(found, self.observe(world, after), came, number, move.name)
                key = self.names.of_world(after)
                if key not in known:
                    known[key] = len(came)
                    came.append((number, move.name))
                    following.append(set())
                    open_.append((after, known[key]))
                    assert len(came) < _MOST_WORLDS, f"{found.scenario}: too much to look at"
                following[number].add(known[key])
            if not certain:
                found.ends += 1
                self._settle(world, found, came, number)
        found.worlds, found.ways = len(came), _ways(following)
        return found

    def _settle(self, world: World, found: Explored, came: list[tuple[int, str]], number: int) -> None:
        """Let everything on its way arrive, the reconciler run, and waits time out, without further moves."""
        world = world.fork()
        world.quiet += timedelta(minutes=20)  # more than a start may take
        for _ in range(_ROUNDS):
            while (move := next(_certain(world), None)) is not None:
                before = world.fork()
                move.run(world)
                self._note(found, self.observe(before, world), came, number, move.name)
            if not (world.kills or world.reconciles or world.loses_events):
                self._note(found, _forgotten(world), came, number, "all events have arrived")
            world.reconcile()
            if next(_certain(world), None) is not None:
                continue
            self._note(found, _forgotten(world), came, number, "all has come to rest")
            for name in [name for name, known in world.executions.all.items() if known.is_waiting]:
                world.time_out(name)
            if next(_certain(world), None) is None:
                break
        self._note(found, self.judge(world), came, number, "all has come to rest")

    def _note(
        self, found: Explored, broken: Broken, came: list[tuple[int, str]], number: int, last: str
    ) -> None:
        for rule, what in broken:
            if rule not in found.broken:
                found.broken[rule] = what, [*_way(came, number), last]


def _certain(world: World) -> Iterator[Move]:
    return (move for move in moves(world) if move.is_certain)


def _forgotten(world: World) -> Broken:
    over = {str(digest) for digest, status in world.scans.results.items() if status.is_final}
    for execution in world.executions.all.values():
        if execution.is_waiting and json.loads(execution.payload())["release"]["digest"] in over:
            yield "no token waits for ever", f"{execution.name} waits, and its scan is over"


def _way(came: list[tuple[int, str]], number: int) -> list[str]:
    way: list[str] = []
    while number > 0:
        number, name = came[number]
        way.append(name)
    return way[::-1]


def _ways(following: list[set[int]]) -> int:
    """Count the paths from the first world to those without a successor; no world follows itself."""
    ways: dict[int, int] = {}
    stack = [0]
    while stack:
        number = stack[-1]
        unknown = [other for other in following[number] if other not in ways]
        if unknown:
            stack += unknown
            continue
        ways[stack.pop()] = sum(ways[other] for other in following[number]) or 1
    return ways[0]
