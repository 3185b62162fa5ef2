"""The scheduled clean-up: once a day, dry unless policy and stack say otherwise, in turns, with one message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagegate.cleanup.plan import CleanupRun
from imagegate.errors import ThrottledError
from imagegate.notices.message import Message
from imagegate.oci.image import Digest
from imagegate.policy.cleanup import CleanupSchedule
from imagegate.workflow.cleanup.scheduled import ScheduledCleanup
from tests.component.cleaning import TERMS, Cleaning
from tests.fakes import FakeNotifications
from tests.fakes.world import DEV, NOW

OTHERS = ["app1-dev", "app2-dev", "app3-dev"]


class Scheduled:
    """A gate whose clean-up runs by itself."""

    def __init__(
        self, *, scheduled: CleanupSchedule = CleanupSchedule.REPORT, may_apply: bool = False
    ) -> None:
        self.world = Cleaning(terms=replace(TERMS, scheduled=scheduled, pulled_within=None))
        self.notifications = FakeNotifications()
        self.may_apply = may_apply
        self.day = 0

    def run(self, has_time: Callable[[], bool] = lambda: True) -> list[Message]:
        before = len(self.notifications.messages)
        step = ScheduledCleanup(
            parts=self.world.parts,
            turns=self.world.ledger,
            notifications=self.notifications,
            may_apply=self.may_apply,
        )
        assert step.run(self.world.now, has_time) is not None
        return self.notifications.messages[before:]

    def next_day(self) -> list[Message]:
        self.world.now += timedelta(days=1)
        self.world.images.now = self.world.now
        return self.run()


def test_it_is_dry_and_says_how_to_carry_it_out() -> None:
    gate = Scheduled(may_apply=True)
    old = gate.world.images.push(DEV, "old", days=40)
    kept = gate.world.images.push(DEV, "new", "v1", days=40)
    [message] = gate.run()
    assert gate.world.images.digests(DEV) == {old, kept}
    assert "imagegate cleanup apply sha256:" in message.text
    run = CleanupRun.read(gate.world.records.cleanup(Digest.parse(message.detail["run"])))
    assert list(run.plans) == [DEV]
    assert message.attributes == {"alert": "digest"}
    assert gate.run() == []
    assert gate.next_day() == []  # the same result


@pytest.mark.parametrize(
    ("scheduled", "may_apply"),
    [(CleanupSchedule.APPLY, False), (CleanupSchedule.REPORT, True), (CleanupSchedule.APPLY, True)],
)
def test_images_go_only_if_policy_and_stack_say_so(scheduled: CleanupSchedule, *, may_apply: bool) -> None:
    gate = Scheduled(scheduled=scheduled, may_apply=may_apply)
    old = gate.world.images.push(DEV, "old", days=40)
    runs = gate.world.images.push(DEV, "runs", days=40)
    gate.world.users.named.append((f"{gate.world.images.registry}/{DEV}@{runs}", "the service s"))
    released = gate.world.images.push(DEV, "released", "feature-1", days=40)
    gate.world.release(released)
    [message] = gate.run()
    is_applied = may_apply and scheduled is CleanupSchedule.APPLY
    assert gate.world.images.digests(DEV) == {runs, released} | (set() if is_applied else {old})
    assert (message.detail["run"] is None) is is_applied


def test_a_world_that_does_not_answer_is_said_and_nothing_goes() -> None:
    gate = Scheduled(scheduled=CleanupSchedule.APPLY, may_apply=True)
    old = gate.world.images.push(DEV, "old", days=40)
    gate.world.users.error = ThrottledError("slow down")
    [message] = gate.run()
    assert "refused" in message.subject
    assert old in gate.world.images.digests(DEV)
    gate.world.users.error = None
    assert len(gate.next_day()) == 1
    assert old not in gate.world.images.digests(DEV)


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_day_goes_on_where_the_last_run_ended(at_once: int) -> None:
    gate = Scheduled()
    for name in OTHERS:
        gate.world.images.push(name, "old", days=40)
    messages: list[Message] = []
    runs = 0
    while not messages:
        left = iter([True] * at_once)
        messages, runs = gate.run(lambda: next(left, False)), runs + 1  # noqa: B023
        assert runs <= len(OTHERS) + 1
    assert messages[0].detail["repositories"] == len(OTHERS)
    reads = [call for call in gate.world.images.calls if call.startswith("describe")]
    assert reads == [f"describe {name}" for name in OTHERS]


def test_a_repository_that_kills_the_run_is_named_and_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Scheduled()
    for name in OTHERS:
        gate.world.images.push(name, "old", days=40)
    stored = gate.world.images.stored

    def kill(repository: str, digests: Any = ()) -> Any:
        if repository == OTHERS[1]:
            raise SystemExit
        return stored(repository, digests)

    monkeypatch.setattr(gate.world.images, "stored", kill)
    with pytest.raises(SystemExit):
        gate.run()
    gate.world.ledger.turns.clear()  # the turn ends by time
    [message] = gate.run()
    assert message.detail["repositories"] == 2
    assert [one.split(":")[0] for one in message.detail["refused"]] == [OTHERS[1]]


def test_without_rules_there_is_nothing_to_say() -> None:
    gate = Scheduled()
    gate.world.terms = replace(TERMS, rules=())
    gate.world.images.push(DEV, "old", days=40)
    assert gate.run() == []
    assert gate.world.images.calls == []
    assert gate.world.now == NOW
