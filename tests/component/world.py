"""A small model of the world around one release: what people do, what is on its way, what runs, what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from imagegate.errors import ImageGateError
from imagegate.findings.versions import VERSIONS
from imagegate.notices.console import ConsoleLinks
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.release import Outcome
from imagegate.workflow.watch.sweep import Workers
from tests import fakes
from tests.component.executions import Execution, begin
from tests.component.lambdas import Call, Event, Lambdas
from tests.component.port_calls import PortCalls, StoppedError, Stops
from tests.component.scenario import Happening, Scenario
from tests.fakes import DEV, NOW, POLICY

# Lambda calls a function twice more when the call for an event fails; then the event is a dead letter.
_DELIVERIES = 3
_KILLED = "Runtime.ExitError"
_DECIDE = ("Judge Image", "Promote Image")


@dataclass
class OneStage(fakes.FakeRegistry):
    """The next stage has a gate of its own: the reconciler does not look there."""

    def repositories(self) -> Iterator[str]:
        yield DEV


@dataclass
class Executions:
    """The ports Workflow and Tasks."""

    all: dict[str, Execution] = field(default_factory=dict)

    def start(self, name: str, payload: dict[str, Any]) -> bool:
        known = self.all.setdefault(name, begin(name, payload))
        assert known.input == begin(name, payload).input, "one name, two inputs"
        return not known.is_over

    def running(self) -> Iterator[str]:
        yield from [name for name, known in self.all.items() if not known.is_over]

    def is_running(self, name: str) -> bool:
        return name in self.all and not self.all[name].is_over

    def wake(self, token: str, result: dict[str, Any]) -> bool:
        known = self.all[token.partition("#")[0]]
        waits = known.waits_for_token and known.token == token and not known.is_over
        if waits:
            self.all[known.name] = known.completed(result)
        return waits


@dataclass
class Events:
    """EventBridge and Lambda's queue; the port Starter."""

    pending: tuple[Event, ...] = ()
    dead: tuple[str, ...] = ()

    def request(self, image: ImageRef, tags: Iterable[str], reason: str, by: str = "") -> None:
        self.send(Event("requested", image, tuple(tags), reason=str(reason)))

    def send(self, event: Event) -> None:
        if event.copies:
            self.pending = (*self.pending, event)

    def take(self, event: Event) -> None:
        left = list(self.pending)
        left.remove(event)
        self.pending = tuple(left)
        self.send(replace(event, copies=event.copies - 1))


@dataclass
class World:
    """Changed in place: fork it first."""

    scenario: Scenario
    registry: fakes.FakeRegistry = field(default_factory=OneStage)
    scans: fakes.FakeScans = field(default_factory=fakes.FakeScans)
    ledger: fakes.FakeLedger = field(default_factory=fakes.FakeLedger)
    records: fakes.FakeRecords = field(default_factory=fakes.FakeRecords)
    grants: fakes.FakeGrants = field(default_factory=fakes.FakeGrants)
    signer: fakes.FakeSigner = field(default_factory=fakes.FakeSigner)
    notifications: fakes.FakeNotifications = field(default_factory=fakes.FakeNotifications)
    executions: Executions = field(default_factory=Executions)
    events: Events = field(default_factory=Events)
    calls: tuple[Call, ...] = ()
    done: frozenset[str] = frozenset()
    kills: int = 0
    timeouts: int = 0
    stopped: int = 0
    reconciles: int = 0
    quiet: timedelta = timedelta()  # for how long nobody has done anything
    # For the tests alone.
    images: dict[str, ImageRef] = field(default_factory=dict)
    pushes: dict[tuple[str, Digest], datetime] = field(
        default_factory=dict
    )  # the last one of each tag and image
    truths: dict[str, frozenset[Outcome]] = field(default_factory=dict)  # of each execution, since it decided

    def __post_init__(self) -> None:
        self.scans.registry = self.registry

    @property
    def now(self) -> datetime:
        """Time passes only by what people do, and in Wait states: so do worlds meet that differ in nothing else."""
        pauses = sum(execution.pauses for execution in self.executions.all.values())
        return NOW + timedelta(minutes=len(self.done) + pauses) + self.quiet

    @property
    def loses_events(self) -> bool:
        return not all(happening.copies for happening in self.scenario.happenings)

    def fork(self) -> World:
        twin: World = _copied(self)
        for name, value in vars(self).items():
            if is_dataclass(value) and value is not self.scenario:
                setattr(twin, name, _copied(value))
        twin.scans.registry = twin.registry
        return twin

    # What people and ECR do

    def possible(self) -> Iterator[Happening]:
        for happening in self.scenario.happenings:
            its_turn = happening.name not in self.done and self.done.issuperset(happening.after)
            is_there = self.images.get(happening.image) in self.registry.manifests
            if its_turn and (is_there or happening.what == "push"):
                yield happening

    def happen(self, happening: Happening) -> None:
        self.done |= {happening.name}
        {"push": self._push, "delete": self._delete, "scan": self._scan}[happening.what](happening)

    def _push(self, push: Happening) -> None:
        image = self.registry.push_image(DEV, push.tag, seed=push.image, at=self.now)
        self.images[push.image] = image
        self.pushes[push.tag, image.digest] = self.now
        self.events.send(Event("pushed", image, (push.tag,), self.now, copies=push.copies))

    def _delete(self, deletion: Happening) -> None:
        image = self.images[deletion.image]
        self.registry.delete(image)
        self.scans.results.pop(image.digest, None)
        # The function that hears of scans hears of deletions, too: nobody need wait any more.
        self.events.send(Event("scanned", image, copies=deletion.copies))

    def _scan(self, scan: Happening) -> None:
        image = self.images[scan.image]
        self.scans.finish(image, fakes.critical(scan.critical))
        self.events.send(Event("scanned", image, copies=scan.copies))

    # What our functions do

    def deliver(self, event: Event) -> None:
        self.events.take(event)
        self._call(Call(event.function, self.now, event=replace(event, copies=1)))

    def reconcile(self) -> None:
        self.reconciles += 1
        self._call(Call("reconcile", self.now))

    def call_task(self, name: str) -> None:
        execution = self.executions.all[name]
        self.executions.all[name] = replace(execution, is_called=True)
        if execution.state in _DECIDE:
            self.truths[name] = frozenset()
        self._call(Call(execution.calls, self.now, None, name, execution.task, execution.payload()))

    def time_out(self, name: str) -> None:
        self.timeouts += 1
        self.quiet += POLICY.stages["dev"].scan_timeout
        self.executions.all[name] = self.executions.all[name].failed("States.Timeout")

    def stop(self, name: str, copies: int) -> None:
        """Stop an execution; its function goes on. Its event comes so many times."""
        self.stopped += 1
        execution = self.executions.all[name]
        self.executions.all[name] = replace(execution, is_stopped=True, is_waiting=False)
        named = json.loads(execution.input)["release"]
        image = ImageRef(named["repository"], Digest.parse(named["digest"]))
        self.events.send(Event("stopped", image, attempt=named["attempt"], copies=copies))

    def _call(self, call: Call) -> None:
        self.calls += (call,)
        self.go_on(call)

    def go_on(self, call: Call, *, answer_is_lost: bool = False) -> bool:
        """Go on by one port call, or to the end for functions that run as a whole. Return whether it ended."""
        stops = self.scenario.stops if self.scenario.stops_in in call.function else Stops.NOWHERE
        calls = PortCalls(call.answers, stops=stops)
        try:
            result, error, cause = self._lambdas(calls).run(call), "", ""
        except StoppedError:
            self._replace(call, replace(call, answers=tuple(calls.answers)))
            return False
        except ImageGateError as fault:
            result, error, cause = None, type(fault).__name__, str(fault)
        if answer_is_lost:
            self.kill(call)
        else:
            self._end(call, result, error, cause)
        return True

    def kill(self, call: Call) -> None:
        self.kills += 1
        self._end(call, None, _KILLED, "")

    def _replace(self, call: Call, *others: Call) -> None:
        number = next(number for number, known in enumerate(self.calls) if known is call)
        self.calls = (*self.calls[:number], *others, *self.calls[number + 1 :])

    def _end(self, call: Call, result: Any, error: str, cause: str) -> None:
        self._replace(call)
        if call.execution:
            execution = self.executions.all[call.execution]
            if (
                execution.task == call.task and not execution.is_over
            ):  # else its token was back before it ended
                ended = execution.failed(error, cause) if error else execution.returned(result)
                self.executions.all[call.execution] = ended
        elif call.event is not None and error:
            again = replace(call.event, deliveries=call.event.deliveries + 1)
            if again.deliveries < _DELIVERIES:
                self.events.send(again)
            else:
                self.events.dead += (f"{again.function} {again.image.digest.short}: {error}: {cause}",)

    def _lambdas(self, calls: PortCalls) -> Lambdas:
        names = (
            "registry",
            "scans",
            "ledger",
            "records",
            "grants",
            "signer",
            "notifications",
            "executions",
            "events",
        )
        ports = {name: calls.port(getattr(self, name)) for name in names}
        more = {
            "images": ports["registry"],
            "workflow": ports["executions"],
            "tasks": ports["executions"],
            "starter": ports["events"],
            "policy": POLICY,
            "versions": VERSIONS,
            "links": fakes.FakeApprovalLinks,
            "mails": fakes.FakeNotifications,
            "installed_at": NOW - timedelta(days=1),
            "console": ConsoleLinks(fakes.REGISTRY, "imagegate-records-1"),
            "workers": Workers(fakes.InTurn(), 4),
            "stopwatch": lambda: lambda: 0.0,
        }
        return Lambdas(ports | more, self.scenario.blobs_a_call)


def _copied(thing: Any) -> Any:
    """Copy the containers and share their contents, which nobody changes."""
    twin = object.__new__(type(thing))
    twin.__dict__ |= {
        name: value.copy() if type(value) in (dict, list, set) else value
        for name, value in vars(thing).items()
    }
    return twin
