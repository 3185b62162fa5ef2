"""Many releases that end at once: few mails, one summary of the rest, and nothing lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagegate.errors import ThrottledError
from imagegate.notices.later_mail import LaterMail, mail_summary
from imagegate.notices.message import Message, as_sns_message
from imagegate.oci.image import ImageRef
from imagegate.release.release import Outcome, Release, ReleaseId
from tests.component.one_gate import World
from tests.fakes import DEV, LATER, NOW, POLICY, STAGING
from tests.unit.samples import digest, reason, release

MOST = 10
MINUTE = timedelta(minutes=1)
OWNERS = {DEV: "payments", STAGING: "platform"}
ENDINGS = (Outcome.BLOCKED, Outcome.HELD, Outcome.FAILED, Outcome.CONFLICT, Outcome.BLOCKED)
GOLDEN = Path(__file__).parent / "golden"


class KilledError(BaseException):
    """A process is killed, which no step catches."""


class Killing:
    """A port of a process that is killed before or after its calls, by chance."""

    def __init__(self, target: object, chance: Random) -> None:
        self._target, self._chance = target, chance

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            self._die()
            result = getattr(self._target, name)(*args, **more)
            self._die()
            return result

        return call

    def _die(self) -> None:
        if self._chance.random() < 0.1:
            raise KilledError


def a_world() -> World:
    world = World(policy=replace(POLICY, owners=OWNERS))
    world.records.policies[world.policy.digest] = world.policy
    return world


def ended(world: World, number: int, outcome: Outcome = Outcome.BLOCKED, **changes: Any) -> Release:
    image = ImageRef(DEV if number % 4 else STAGING, digest(f"image {number}"))
    made = release(
        image=image,
        outcome=outcome,
        reasons=[reason()],
        policy=world.policy.digest,
        message_id=None,
        closed_at=NOW + timedelta(seconds=number % 60),
        **changes,
    )
    world.ledger.releases[image, 1] = made
    return made


def announce(world: World, id_: ReleaseId) -> None:
    world.announcing().run(id_, Outcome.BLOCKED, "", LATER)


def announce_and_be_killed(world: World, id_: ReleaseId, chance: Random) -> None:
    """Announce it, again and again, until a process is not killed."""
    while True:
        step = replace(
            world.announcing(),
            ledger=Killing(world.ledger, chance),
            records=Killing(world.records, chance),
            notifications=Killing(world.notifications, chance),
        )
        try:
            step.run(id_, Outcome.BLOCKED, "", LATER)
        except KilledError:
            continue
        return


def endings(world: World, *later: str | None) -> set[str]:
    """Return the ids of releases whose messages have one of these values of the attribute `later`."""
    return {
        message.detail["id"]
        for message in world.notifications.messages
        if message.detail_type != "Mail Summary" and message.attributes.get("later") in later
    }


def summaries(world: World) -> list[Message]:
    return [one for one in world.notifications.messages if one.detail_type == "Mail Summary"]


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_a_hundred_endings_in_a_minute_are_ten_mails_and_one_summary(seed: int) -> None:
    chance, world = Random(seed), a_world()
    ids = [ended(world, number, ENDINGS[number % 5]).id for number in range(100)]
    for id_ in chance.sample([*ids, *ids], 200):
        announce_and_be_killed(world, id_, chance)
    world.reconcile(NOW + 5 * MINUTE)
    assert summaries(world) == []  # it gathers
    for minutes in (12, 17, 22):
        world.reconcile(NOW + minutes * MINUTE)

    assert len(endings(world, None, "all", "owner")) == 100  # events, queues and the chat have all
    at_once = endings(world, None)
    assert len(at_once) <= MOST
    *_, everything = summaries(world)
    assert everything.detail["mails"] == 100 - len(at_once)
    assert sum(everything.detail["outcomes"].values()) == sum(everything.detail["reasons"].values())
    assert everything.detail["outcomes"]["held"] == sum(
        mail.outcome is Outcome.HELD for mail in world.ledger.later.values()
    )
    assert [one.attributes.get("owner") for one in summaries(world)] == ["payments", "platform", None]
    for summary, total in zip(summaries(world), (75, 25), strict=False):
        of_owner = {
            message.detail["id"]
            for message in world.notifications.messages
            if OWNERS.get(message.attributes.get("repository", "")) == summary.attributes["owner"]
            and message.attributes.get("later") in (None, "all")
        }
        assert len(of_owner) == MOST
        assert summary.detail["mails"] == total - MOST


def test_the_mail_that_reaches_the_limit_says_so_and_none_before(world: World) -> None:
    for number in range(1, MOST + 2):
        announce(world, ended(world, 4 * number).id)  # of one owner
    said = ["Further mails come together" in message.text for message in world.notifications.messages]
    assert said == [False] * (MOST - 1) + [True, False]
    assert "of this hour for platform." in world.notifications.messages[MOST - 1].text
    assert "of this hour for all images." in world.notifications.messages[MOST - 1].text


def test_messages_for_the_log_are_not_counted(world: World) -> None:
    for number in range(50):
        announce(world, ended(world, number, Outcome.SUPERSEDED).id)
    announce(world, ended(world, 50).id)
    assert len(endings(world, None)) == 51


def test_an_owner_whose_images_are_few_gets_each_mail_in_the_burst_of_another(world: World) -> None:
    for number in range(1, 40):
        announce(world, ended(world, number).id)
    last = [message.attributes for message in world.notifications.messages[-4:]]
    assert {
        (one["owner"] if "owner" in one else OWNERS[one["repository"]], one["later"]) for one in last
    } == {
        ("platform", "all"),
        ("payments", "owner"),
    }


def test_another_hour_has_mails_of_its_own(world: World) -> None:
    for number in range(20):
        made = ended(world, number)
        world.ledger.releases[made.image, 1] = replace(made, closed_at=NOW + timedelta(hours=number % 2))
        announce(world, made.id)
    assert len(endings(world, None)) == 20


@pytest.mark.parametrize("call", ["count_mail", "keep_later", "policy"])
def test_a_mail_is_sent_if_it_cannot_be_counted(
    world: World, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ThrottledError("too many")

    monkeypatch.setattr(world.records if call == "policy" else world.ledger, call, refuse)
    for number in range(1, 31):
        announce(world, ended(world, 4 * number, Outcome.FAILED).id)
    assert len(endings(world, None)) == 30
    assert list(world.ledger.later_mails()) == []


def test_a_summary_that_was_cut_off_is_sent_by_the_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        announce(world, ended(world, number).id)
    send, sent = world.notifications.send, []

    def send_one(message: Message) -> str:
        sent.append(message)
        if len(sent) > 1:
            raise KilledError
        return send(message)

    monkeypatch.setattr(world.notifications, "send", send_one)
    with pytest.raises(KilledError):
        world.reconcile(NOW + 12 * MINUTE)
    monkeypatch.setattr(world.notifications, "send", send)
    world.ledger.turns.clear()
    world.reconcile(NOW + 17 * MINUTE)
    assert [one.attributes.get("owner") for one in summaries(world)] == ["payments", "payments", None]
    assert summaries(world)[-1].detail["mails"] == 20


def test_the_largest_summary_is_a_mail_that_sns_takes() -> None:
    mails = [
        replace(a_mail(number, Outcome.HELD), name="\u00fc" * 4096, why=f"{number}" + "\u00fc" * 4096)
        for number in range(100)
    ]
    message = mail_summary(mails, "o" * 200)
    assert len(as_sns_message(message).encode()) < 250_000
    assert message.subject.isascii()


def test_the_summary_reads_as_it_is_kept() -> None:
    """Changed words show in the whole mail. To write the file anew, delete it and run this twice."""
    mails = [a_mail(number, outcome) for number, outcome in enumerate(ENDINGS * 18)]
    message = mail_summary(mails, "payments")
    mail = f"Subject: {message.subject}\n\n{message.text}"
    file = GOLDEN / "summary.txt"
    if not file.exists():
        file.write_text(mail)
        pytest.fail(f"{file} was written: read it")
    assert mail == file.read_text()


def a_mail(number: int, outcome: Outcome) -> LaterMail:
    repository = f"shop-{('web', 'cart')[number % 2]}-dev"
    id_ = ReleaseId(ImageRef(repository, digest(f"{number}")), 1)
    why = {Outcome.BLOCKED: "1 CRITICAL (at most 0)", Outcome.FAILED: "States.Timeout"}.get(outcome, "")
    return LaterMail(id_, outcome, f"{repository}:1.{number}", why, NOW)


@pytest.fixture
def world() -> World:
    return a_world()
