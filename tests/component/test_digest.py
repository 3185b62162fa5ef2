"""The daily digest: once a day, nothing lost, for everybody and for each owner."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.findings.finding import Severity
from imagegate.notices.digest import Digested, DigestRow, daily_digest
from imagegate.notices.message import Message, as_sns_message, event_detail
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.waiver import Waiver
from imagegate.release.release import Outcome, Release
from imagegate.risk.risk import DueImage, Judgement, Risk, RiskFinding, RiskState
from tests.component.one_gate import World
from tests.fakes import DEV, NOW, POLICY, STAGING
from tests.unit.samples import digest, reason, release

DAY = timedelta(days=1)
TOMORROW = NOW + 2 * DAY  # the first digest is of the first whole day after the installation
BEGAN = NOW + DAY
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def world() -> World:
    return World(policy=replace(POLICY, owners={"shop-d*": "payments", "*": "platform"}))


def begun(
    world: World, repository: str, outcome: Outcome | None, at: datetime = BEGAN, number: int = 1
) -> Release:
    image = ImageRef(repository, digest(f"{repository}{outcome}{at}{number}"))
    made = release(image=image, outcome=outcome, started_at=at, reasons=[reason()], policy=POLICY.digest)
    world.ledger.releases[image, 1] = made
    return made


def digests(world: World, now: datetime) -> list[Message]:
    before = len(world.notifications.messages)
    world.reconcile(now)
    return [one for one in world.notifications.messages[before:] if one.detail_type == "Daily Digest"]


def test_each_owner_and_everybody_get_one_digest_a_day(world: World) -> None:
    begun(world, DEV, Outcome.BLOCKED)
    begun(world, DEV, Outcome.RELEASED)
    begun(world, STAGING, Outcome.FAILED)
    sent = digests(world, TOMORROW)
    assert [(one.attributes["alert"], one.attributes.get("owner")) for one in sent] == [
        ("team-digest", "payments"),
        ("team-digest", "platform"),
        ("digest", None),
    ]
    assert [one.detail["outcomes"] for one in sent] == [
        {"blocked": 1, "released": 1},
        {"failed": 1},
        {"blocked": 1, "released": 1, "failed": 1},
    ]
    for minutes in (5, 10, 60 * 15):
        assert digests(world, TOMORROW + timedelta(minutes=minutes)) == []


def test_the_digest_comes_from_six_in_the_morning_on(world: World) -> None:
    begun(world, DEV, Outcome.BLOCKED)
    assert digests(world, TOMORROW.replace(hour=5, minute=59)) == []
    assert len(digests(world, TOMORROW.replace(hour=6))) == 2


def test_a_day_on_which_nothing_happened_has_none(world: World) -> None:
    assert digests(world, TOMORROW) == []
    begun(world, DEV, Outcome.BLOCKED)
    assert digests(world, TOMORROW + timedelta(minutes=5)) == []


def test_days_without_a_run_are_in_the_next_digest_once(world: World) -> None:
    begun(world, DEV, Outcome.BLOCKED)
    begun(world, DEV, Outcome.FAILED, BEGAN + DAY)
    assert len(digests(world, TOMORROW)) == 2
    begun(world, DEV, Outcome.CONFLICT, BEGAN + 2 * DAY)
    *_, everything = digests(world, TOMORROW + 3 * DAY)
    assert everything.detail["outcomes"] == {"failed": 1, "conflict": 1}
    assert (everything.detail["begins"], everything.detail["day"]) == ("2026-11-23", "2026-11-25")


def test_a_run_that_is_killed_between_two_messages_sends_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(world, DEV, Outcome.BLOCKED)
    begun(world, STAGING, Outcome.BLOCKED)
    publish = world.notifications.publish
    sent: list[Message] = []

    def publish_one(message: Message) -> str:
        if sent:
            raise OSError("killed")
        sent.append(message)
        return publish(message)

    monkeypatch.setattr(world.notifications, "publish", publish_one)
    with pytest.raises(OSError, match="killed"):
        world.reconcile(TOMORROW)
    assert [one.attributes["owner"] for one in sent] == ["payments"]
    monkeypatch.setattr(world.notifications, "publish", publish)
    assert [one.attributes.get("owner") for one in digests(world, TOMORROW + timedelta(minutes=5))] == [
        "platform",
        None,
    ]


def test_a_hundred_vulnerabilities_and_refusals_are_one_digest(world: World) -> None:
    for number in range(100):
        begun(world, DEV, Outcome.BLOCKED, number=number)
        image = ImageRef(DEV, digest(f"risk {number}"))
        world.ledger.at_risk[image] = a_risk(image, f"CVE-2026-{number}")
    *_, everything = digests(world, TOMORROW)
    assert "100 blocked" in everything.subject
    assert "100 at risk" in everything.subject
    assert everything.text.count("and 80 more") == 2


def test_more_releases_than_are_counted_are_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        begun(world, DEV, Outcome.BLOCKED, number=number)
    for most, is_cut in ((2, True), (3, False)):
        monkeypatch.setattr("imagegate.workflow.watch.digest._MOST_RELEASES", most)
        world.ledger.notices.clear()
        *_, everything = digests(world, TOMORROW)
        assert everything.detail["outcomes"] == {"blocked": most}
        assert everything.detail["cut"] is is_cut
        assert ("More began than were counted here" in everything.text) is is_cut


def test_all_that_waits_is_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegate.workflow.watch.digest._MOST_WAITING", 0)
    held = begun(world, DEV, Outcome.HELD)
    world.ledger.hold(held.id, NOW)
    monkeypatch.setattr("imagegate.workflow.watch.duties.Duties._expire", lambda *_, **__: None)
    *_, everything = digests(world, TOMORROW)
    assert everything.detail["waiting"] == [str(held.image)]


def a_risk(image: ImageRef, name: str) -> Risk:
    finding = RiskFinding(name, "openssl", Severity.CRITICAL, "3.0.14")
    return Risk(
        image=image,
        tags=("1.0",),
        stage="dev",
        state=RiskState.AT_RISK,
        since=NOW,
        looked_at=NOW,
        policy=digest("policy"),
        findings=(finding,),
    )


def test_what_waits_and_what_ends_is_reminded_of(world: World) -> None:
    soon = Waiver(
        owner="ann@example.com",
        reason="not reachable",
        expires=TOMORROW.date() + DAY,
        vulnerability="CVE-2026-1",
        package="openssl",
        repositories="shop-*",
    )
    later = replace(soon, vulnerability="CVE-2026-2", expires=TOMORROW.date() + 30 * DAY)
    world.policy = replace(world.policy, waivers=(soon, later))
    *_, everything = digests(world, TOMORROW)
    [row] = everything.detail["ending"]
    assert "CVE-2026-1" in row
    assert f"{soon.expires} (owner ann@example.com)" in row
    assert everything.subject.endswith("1 ends soon")


@pytest.mark.parametrize(("days", "expected"), [(7, 1), (8, 0), (-1, 0)])
def test_signatures_that_end_within_a_week_are_in_the_digest(world: World, days: int, expected: int) -> None:
    begun(world, DEV, Outcome.RELEASED)
    image, end = ImageRef(DEV, digest("in use")), TOMORROW + timedelta(days=days)
    judgement = Judgement(NOW, RiskState.FINE, NOW, signature_ends=end)
    world.ledger.queue[image] = DueImage(image, TOMORROW + DAY, judgement)
    *_, everything = digests(world, TOMORROW)
    assert len(everything.detail["ending"]) == expected
    assert all(f"signature of {image}" in row for row in everything.detail["ending"])


@pytest.mark.parametrize(("number", "alert"), [(5, "alert"), (6, "log"), (100, "log")])
def test_many_waivers_that_end_at_once_are_one_digest(world: World, number: int, alert: str) -> None:
    waiver = Waiver(
        owner="ann@example.com",
        reason="not reachable",
        expires=TOMORROW.date() + DAY,
        vulnerability="CVE-2026-1",
        package="openssl",
        repositories="shop-*",
    )
    waivers = tuple(replace(waiver, vulnerability=f"CVE-2026-{one}") for one in range(number))
    world.policy = replace(world.policy, waivers=waivers)
    world.reconcile(TOMORROW)
    ends = [one for one in world.notifications.messages if one.detail_type == "Waiver Ending"]
    assert [one.attributes["alert"] for one in ends] == [alert] * number
    assert f"{number} end soon" in world.notifications.messages[-1].subject


texts = st.text(max_size=400)
rows = st.lists(st.builds(DigestRow, texts, texts), max_size=3)


@given(rows, rows, rows, texts)
def test_any_digest_is_a_mail_that_sns_takes(
    waiting: list[DigestRow], risks: list[DigestRow], ending: list[DigestRow], owner: str
) -> None:
    made = Digested(BEGAN.date(), BEGAN.date(), waiting=waiting, at_risk=risks, ending=ending)
    message = daily_digest(made, owner)
    assert 1 <= len(message.subject) <= 99
    assert message.subject.isascii()
    assert all(line.isprintable() for line in message.lines)


def test_the_largest_digest_is_a_mail_that_sns_takes() -> None:
    row = DigestRow("r" * 256, "\U0001f600" * 4096)
    many = [row] * 1000
    made = Digested(BEGAN.date(), BEGAN.date(), waiting=many, at_risk=many, ending=many)
    for number in range(1000):
        made.add(
            release(
                image=ImageRef("r" * 256, Digest.of(str(number).encode())),
                tags=frozenset({"\u00fc" * 4096}),
                outcome=Outcome.BLOCKED,
                reasons=[reason(message="\u00fc" * 3000)] * 3,
            )
        )
    message = daily_digest(made, "o" * 100)
    assert len(as_sns_message(message).encode()) < 250_000
    assert len(str(event_detail(message)).encode()) < 250_000


def test_the_digest_reads_as_it_is_kept(world: World) -> None:
    """Changed words show in the whole mail. To write the file anew, delete it and run this twice."""
    made = Digested(
        BEGAN.date(),
        BEGAN.date(),
        waiting=[DigestRow(STAGING, "shop-staging:1.4 into production, until 2026-11-26 09:12 UTC")],
        at_risk=[
            DigestRow("shop-production", "shop-production:1.3: CVE-2026-7 (openssl), CRITICAL, 4 running")
        ],
        ending=[
            DigestRow(
                "shop-*", "waiver of CVE-2026-1 in openssl for shop-*: 2026-11-29 (owner ann@example.com)"
            )
        ],
    )
    for number, outcome in enumerate(
        [*[Outcome.RELEASED] * 12, Outcome.BLOCKED, Outcome.FAILED, Outcome.SUPERSEDED]
    ):
        image = ImageRef("shop-dev", digest(str(number)))
        made.add(
            release(
                image=image,
                outcome=outcome,
                reasons=[reason()],
                detail="States.Timeout" if outcome is Outcome.FAILED else "",
            )
        )
    message = daily_digest(made)
    mail = f"Subject: {message.subject}\n\n{message.text}"
    file = GOLDEN / "digest.txt"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_text(mail)
        pytest.fail(f"{file} was written: read it")
    assert mail == file.read_text()
