"""The ledger against a DynamoDB table: who wins a race, and what is read back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from benchmarks import ledger as benchmark
from imagegate.aws import clients as aws
from imagegate.aws import dynamodb
from imagegate.aws.dynamodb import Item, plain, typed
from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import CorruptLedgerError, moment
from imagegate.aws.ledger.ledger import DynamoLedger
from imagegate.aws.ledger.release_item import read_release, write_release
from imagegate.aws.ledger.waiting import read_token, write_token
from imagegate.errors import RecordNotFoundError, ThrottledError
from imagegate.evidence.sbom import Sbom
from imagegate.gate.facts import BaseImage
from imagegate.gate.finding_rules import Clock
from imagegate.notices.later_mail import LaterMail
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Arrival
from imagegate.ports.ledger import Ledger, StepResults
from imagegate.release.promotion import Promotion
from imagegate.release.release import (
    CurrentRelease,
    Ending,
    Outcome,
    Release,
    ReleaseId,
    StartReason,
    WaitingScan,
)
from imagegate.release.revocation import Revocation
from imagegate.release.start import IgnoredImage

TABLE = "ledger"
NOW = datetime(2026, 11, 21, 7, 52, 38, tzinfo=UTC)
POLICY = Digest.of(b"policy")
IMAGE = ImageRef("shop-dev", Digest.of(b"image"))
FIRST = ReleaseId(IMAGE, 1)
OPEN = Release(IMAGE, 1, "dev", POLICY, frozenset({"v1"}), StartReason.PUSH, NOW, NOW)
REASON = {"rule": "findings.critical", "message": "1 CRITICAL", "action": "enforce"}


def index(name: str, partition: str, sort: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [
            {"AttributeName": partition, "KeyType": "HASH"},
            {"AttributeName": sort, "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }


@pytest.fixture
def table(aws_account: None) -> Iterator[Any]:
    with mock_aws():
        names = ("pk", "sk", "repository", "startedAt", "day", "waiting", "since")
        dynamodb: Any = boto3.client("dynamodb")
        dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                index("by-repository", "repository", "startedAt"),
                index("by-day", "day", "startedAt"),
                index("waiting", "waiting", "since"),
            ],
        )
        yield dynamodb


@pytest.fixture
def ledger(table: Any) -> DynamoLedger:
    made = DynamoLedger(TABLE)
    _port: Ledger = made
    return made


def token(value: str = "t1", attempt: int = 1) -> WaitingScan:
    platforms = (Digest.of(b"amd64"), Digest.of(b"arm64"))
    image = ImageRef(IMAGE.repository, platforms[0])
    return WaitingScan(image, ReleaseId(IMAGE, attempt), value, platforms, NOW)


# attempts


def test_an_image_that_was_never_released_has_no_latest_attempt(ledger: DynamoLedger) -> None:
    assert ledger.latest(IMAGE) is None
    with pytest.raises(RecordNotFoundError, match=r"shop-dev@sha256:.* attempt 1 was never begun"):
        ledger.get(FIRST)


def test_attempts_are_listed_while_they_are_open(ledger: DynamoLedger) -> None:
    images = [ImageRef(IMAGE.repository, Digest.of(bytes([number]))) for number in range(40)]
    for image in images:
        ledger.begin(replace(OPEN, image=image))
        ledger.record(ReleaseId(image, 1), verdict="PASS")
    closed = images[::2]
    for image in closed:
        ledger.close(ReleaseId(image, 1), Outcome.RELEASED, 0, NOW, "", proof=ledger.get(ReleaseId(image, 1)))
    assert {release.image for release in ledger.open_releases()} == set(images) - set(closed)


def test_of_two_that_begin_the_same_attempt_one_wins(ledger: DynamoLedger) -> None:
    assert ledger.begin(OPEN)
    assert not ledger.begin(replace(OPEN, tags=frozenset({"v2"})))
    assert ledger.get(FIRST) == OPEN


def test_the_latest_attempt_is_the_one_with_the_highest_number(ledger: DynamoLedger) -> None:
    for attempt in (2, 10, 9):
        assert ledger.begin(replace(OPEN, attempt=attempt))
    latest = ledger.latest(IMAGE)
    assert latest is not None
    assert latest.attempt == 10


def test_a_tag_joins_an_open_attempt_any_number_of_times(ledger: DynamoLedger) -> None:
    ledger.begin(OPEN)
    assert ledger.join(FIRST, frozenset({"latest"}), NOW)
    assert ledger.join(FIRST, frozenset({"latest"}), NOW)
    assert ledger.get(FIRST).tags == {"v1", "latest"}


def test_a_tag_joins_an_attempt_that_has_none(ledger: DynamoLedger) -> None:
    ledger.begin(replace(OPEN, tags=frozenset()))
    assert ledger.join(FIRST, frozenset({"v1"}), NOW)
    assert ledger.get(FIRST).tags == {"v1"}


def test_no_tag_joins_a_closed_attempt(ledger: DynamoLedger) -> None:
    ledger.begin(OPEN)
    assert ledger.close(FIRST, Outcome.RELEASED, None, NOW, "")
    assert not ledger.join(FIRST, frozenset({"v2"}), NOW)
    assert ledger.get(FIRST).tags == {"v1"}


def test_nothing_is_noted_on_an_attempt_that_was_never_begun(ledger: DynamoLedger) -> None:
    for write in (
        lambda: ledger.join(FIRST, frozenset({"v1"}), NOW),
        lambda: ledger.record(FIRST, verdict="PASS"),
        lambda: ledger.close(FIRST, Outcome.RELEASED, None, NOW, ""),
        lambda: ledger.note_announcement(FIRST, "m"),
    ):
        with pytest.raises(RecordNotFoundError):
            write()
    assert ledger.latest(IMAGE) is None


def test_recorded_fields_are_read_back(ledger: DynamoLedger) -> None:
    ledger.begin(OPEN)
    decision, signature = Digest.of(b"decision"), Digest.of(b"signature")
    promotion = Promotion("shop-staging", IMAGE.digest, ("v1", "latest"))
    ledger.record(FIRST, verdict="BLOCK", reasons=[REASON], decision=decision)
    ledger.record(FIRST, signature=signature)
    ledger.record(FIRST, promotion=promotion, sbom=Sbom("attached", (signature,)))
    ledger.note_announcement(FIRST, "message")
    assert ledger.get(FIRST) == replace(
        OPEN,
        verdict="BLOCK",
        reasons=(REASON,),
        decision=decision,
        signature=signature,
        promotion=promotion,
        sbom=Sbom("attached", (signature,)),
        message_id="message",
    )


def test_a_record_returns_the_attempt_as_it_is_now(ledger: DynamoLedger) -> None:
    ledger.begin(OPEN)
    assert ledger.record(FIRST, verdict="PASS") == replace(OPEN, verdict="PASS") == ledger.get(FIRST)
    closed = ledger.close(FIRST, Outcome.RELEASED, None, NOW, "why")
    assert closed == ledger.get(FIRST)
    assert closed is not None
    assert (closed.outcome, closed.detail) == (Outcome.RELEASED, "why")


def test_a_later_judgement_leaves_no_reasons_of_the_earlier_one(ledger: DynamoLedger) -> None:
    ledger.begin(OPEN)
    ledger.record(FIRST, verdict="BLOCK", reasons=[REASON])
    ledger.record(FIRST, verdict="PASS", reasons=[])
    assert ledger.get(FIRST) == replace(OPEN, verdict="PASS")


@pytest.mark.parametrize("field", ["outcome", "tags", "closed_at", "nonsense"])
def test_fields_that_only_closing_may_change_are_not_recorded(ledger: DynamoLedger, field: str) -> None:
    ledger.begin(OPEN)
    results: Any = {field: "x"}
    with pytest.raises(TypeError, match=field):
        ledger.record(FIRST, **results)


# closing


def test_an_attempt_is_closed_after_the_changes_that_were_looked_at(ledger: DynamoLedger) -> None:
    ledger.begin(OPEN)
    for tag in ("b", "a", "c"):
        ledger.join(FIRST, frozenset({tag}), NOW)
    assert ledger.get(FIRST).changes == 3
    assert ledger.close(FIRST, Outcome.BLOCKED, 3, NOW, "why")
    closed = ledger.get(FIRST)
    assert (closed.outcome, closed.closed_at, closed.detail) == (Outcome.BLOCKED, NOW, "why")


@pytest.mark.parametrize("seen", [0, 2])
def test_a_change_that_nobody_looked_at_keeps_the_attempt_open(ledger: DynamoLedger, seen: int) -> None:
    ledger.begin(OPEN)
    ledger.join(FIRST, frozenset({"v2"}), NOW)
    assert not ledger.close(FIRST, Outcome.RELEASED, seen, NOW, "")
    assert ledger.get(FIRST).is_open
    assert ledger.close(FIRST, Outcome.FAILED, None, NOW, "")


def test_a_repeated_event_is_no_change_but_a_later_push_is(ledger: DynamoLedger) -> None:
    ledger.begin(replace(OPEN, pushed_at=NOW))
    assert ledger.join(FIRST, OPEN.tags, NOW)
    assert ledger.get(FIRST).changes == 0
    assert ledger.join(FIRST, OPEN.tags, NOW + timedelta(minutes=1))
    assert ledger.join(FIRST, OPEN.tags, NOW)
    joined = ledger.get(FIRST)
    assert (joined.changes, joined.pushed_at) == (1, NOW + timedelta(minutes=1))


def test_closing_twice_alike_is_no_error_and_changes_nothing(ledger: DynamoLedger) -> None:
    ledger.begin(OPEN)
    assert ledger.close(FIRST, Outcome.RELEASED, None, NOW, "first")
    assert ledger.close(FIRST, Outcome.RELEASED, None, NOW + timedelta(hours=1), "second")
    assert (ledger.get(FIRST).closed_at, ledger.get(FIRST).detail) == (NOW, "first")


def test_a_closed_attempt_is_not_closed_otherwise(ledger: DynamoLedger) -> None:
    ledger.begin(OPEN)
    ledger.close(FIRST, Outcome.BLOCKED, None, NOW, "")
    assert not ledger.close(FIRST, Outcome.RELEASED, None, NOW, "")
    assert ledger.get(FIRST).outcome is Outcome.BLOCKED


def test_an_attempt_without_tags_can_be_closed(ledger: DynamoLedger) -> None:
    ledger.begin(replace(OPEN, tags=frozenset()))
    assert ledger.close(FIRST, Outcome.WITHDRAWN, None, NOW, "")


PROOF: StepResults = {
    "verdict": "PASS",
    "decision": Digest.of(b"decision"),
    "signature": Digest.of(b"signature"),
    "ending": Ending(Outcome.RELEASED, 2, "to staging"),
}


def test_an_attempt_closes_while_what_proves_it_is_as_it_was_read(ledger: DynamoLedger) -> None:
    ledger.begin(OPEN)
    ledger.record(FIRST, **PROOF)
    read = ledger.get(FIRST)
    assert {name: getattr(read, name) for name in PROOF} == PROOF
    assert ledger.close(FIRST, Outcome.RELEASED, None, NOW, "", proof=read)


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "BLOCK"},
        {"decision": Digest.of(b"other")},
        {"signature": None},
        {"ending": None},
        {"ending": Ending(Outcome.RELEASED, 3, "to staging")},
        {"break_glass": "by ann"},
    ],
)
def test_it_does_not_close_by_proof_that_has_changed(ledger: DynamoLedger, change: StepResults) -> None:
    ledger.begin(OPEN)
    ledger.record(FIRST, **PROOF)
    read = ledger.get(FIRST)
    ledger.record(FIRST, **change)
    assert not ledger.close(FIRST, Outcome.RELEASED, None, NOW, "", proof=read)
    assert ledger.get(FIRST).is_open


def test_it_does_not_close_as_released_when_it_was_revoked_meanwhile(ledger: DynamoLedger) -> None:
    ledger.begin(OPEN)
    read = ledger.get(FIRST)
    ledger.revoke(FIRST, Revocation(NOW, "ann", "stolen"))
    assert not ledger.close(FIRST, Outcome.RELEASED, None, NOW, "", proof=read)


# tokens


def test_a_token_waits_under_its_platform_with_all_that_its_release_waits_for(ledger: DynamoLedger) -> None:
    ledger.keep_token(token())
    assert ledger.tokens_of(token().image) == [token()]
    assert ledger.tokens_of(IMAGE) == []
    assert list(ledger.all_tokens()) == [token()]


def test_a_retried_task_overwrites_its_own_token_only(ledger: DynamoLedger) -> None:
    for waits in (token("t1"), token("t2"), token("other", attempt=2)):
        ledger.keep_token(waits)
    assert [scan.token for scan in ledger.tokens_of(token().image)] == ["t2", "other"]


def test_forgetting_an_old_token_leaves_the_one_that_replaced_it(ledger: DynamoLedger) -> None:
    ledger.keep_token(token("t1"))
    ledger.keep_token(token("t2"))
    ledger.forget_token(token("t1"))
    assert ledger.tokens_of(token().image) == [token("t2")]
    ledger.forget_token(token("t2"))
    ledger.forget_token(token("t2"))
    assert list(ledger.all_tokens()) == []


def test_only_tokens_expire(ledger: DynamoLedger, table: Any) -> None:
    ledger.begin(OPEN)
    ledger.keep_token(token())
    ledger.claim_tag("shop-staging", "v1", IMAGE.digest, NOW)
    ledger.installed_at(NOW)
    found = table.scan(TableName=TABLE)["Items"]
    assert len(found) == 4
    expiring = [item for item in found if "expires" in item]
    assert [item["pk"]["S"] for item in expiring] == [f"SCAN#{token().image}"]
    assert int(expiring[0]["expires"]["N"]) == int((NOW + timedelta(days=2)).timestamp())


# claims


@pytest.mark.parametrize("first", ["older", "newer"])
def test_the_tag_goes_to_the_image_that_was_pushed_later_in_either_order(
    ledger: DynamoLedger, first: str
) -> None:
    pushed = {"older": NOW, "newer": NOW + timedelta(milliseconds=1)}
    order = [first, *(pushed.keys() - {first})]
    won = {
        name: ledger.claim_tag("shop-staging", "v1", Digest.of(name.encode()), pushed[name]) for name in order
    }
    assert won["newer"]
    assert won["older"] == (first == "older")
    assert not ledger.claim_tag("shop-staging", "v1", Digest.of(b"older"), pushed["older"])


def test_an_image_claims_its_tag_again_at_any_time(ledger: DynamoLedger) -> None:
    assert ledger.claim_tag("shop-staging", "v1", IMAGE.digest, NOW)
    assert ledger.claim_tag("shop-staging", "v1", IMAGE.digest, NOW - timedelta(days=1))
    middle = NOW - timedelta(hours=1)
    assert not ledger.claim_tag("shop-staging", "v1", Digest.of(b"between"), middle)


def test_claims_of_other_tags_and_repositories_do_not_meet(ledger: DynamoLedger) -> None:
    earlier = NOW - timedelta(days=1)
    assert ledger.claim_tag("shop-staging", "v1", IMAGE.digest, NOW)
    assert ledger.claim_tag("shop-staging", "v2", POLICY, earlier)
    assert ledger.claim_tag("shop-production", "v1", POLICY, earlier)


def test_the_installation_is_noted_once(ledger: DynamoLedger) -> None:
    assert ledger.installed_at(NOW) == NOW
    assert ledger.installed_at(NOW + timedelta(days=1)) == NOW


# lists


def test_releases_are_listed_newest_first_over_days(ledger: DynamoLedger) -> None:
    for age, repository in ((0, "shop-dev"), (1, "web-dev"), (40, "shop-dev"), (91, "shop-dev")):
        image = ImageRef(repository, Digest.of(str(age).encode()))
        ledger.begin(replace(OPEN, image=image, started_at=NOW - timedelta(days=age)))
    ledger.keep_token(token())

    def ages(releases: Iterable[Release]) -> list[int]:
        return [(NOW - release.started_at).days for release in releases]

    assert ages(ledger.recent_of_repository("shop-dev")) == [0, 40, 91]
    assert ages(ledger.recent(NOW - timedelta(days=90), NOW)) == [0, 1, 40]
    assert ages(ledger.recent(NOW - timedelta(days=91), NOW - timedelta(days=1))) == [1, 40, 91]


def test_the_newest_of_many_releases_are_found_in_a_page_of_each_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = benchmark.SimulatedTable(1_000)
    monkeypatch.setattr(dynamodb, "client", lambda _name: table)
    measured = benchmark.measure(table)
    assert measured["newest"]["items"] <= 8 * 25
    assert measured["all"]["items"] == 1_000


def test_further_pages_are_read(ledger: DynamoLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        ledger.keep_token(token(f"t{number}", attempt=number + 1))
    real = aws.client("dynamodb").query
    monkeypatch.setattr(aws.client("dynamodb"), "query", lambda **asked: real(**asked, Limit=2))
    assert len(ledger.tokens_of(token().image)) == 5
    assert len(list(ledger.all_tokens())) == 5


# damage


def stored(item: Item) -> dict[str, Any]:
    return plain(typed(item))


@pytest.mark.parametrize(
    "attribute", ["repository", "digest", "attempt", "stage", "policy", "reason", "startedAt"]
)
def test_an_attempt_without_a_needed_attribute_is_an_error_that_names_it(attribute: str) -> None:
    item = stored(write_release(OPEN))
    del item[attribute]
    with pytest.raises(CorruptLedgerError, match=f"IMAGE#shop-dev@.* ATTEMPT#00001 .*{attribute}"):
        read_release(item)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("attempt", {"S": "1"}),
        ("attempt", {"N": "2"}),
        ("digest", {"S": "sha256:0"}),
        ("reason", {"S": "because"}),
        ("outcome", {"S": "fine"}),
        ("startedAt", {"S": "2026-11-21T07:52:38"}),
        ("reasons", {"S": '[{"rule": "r"}]'}),
        ("reasons", {"S": "{"}),
        ("reasons", {"S": "3"}),
        ("reasons", {"S": "[3]"}),
        ("promotion", {"S": "[]"}),
        ("tags", {"S": "v1"}),
        ("detail", {"S": ""}),
    ],
)
def test_an_attempt_with_a_malformed_attribute_is_refused(attribute: str, value: dict[str, str]) -> None:
    with pytest.raises(CorruptLedgerError, match="ATTEMPT#00001"):
        read_release(plain({**typed(write_release(OPEN)), attribute: value}))


@pytest.mark.parametrize("attribute", ["token", "platforms", "since"])
def test_a_token_without_a_needed_attribute_is_refused(attribute: str) -> None:
    item = stored(write_token(token()))
    del item[attribute]
    with pytest.raises(CorruptLedgerError, match=attribute):
        read_token(item)


# the codec

digests = st.binary(max_size=8).map(Digest.of)
times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
texts = st.text(st.characters(codec="utf-8"), min_size=1)
reasons = st.fixed_dictionaries({name: st.text(st.characters(codec="utf-8")) for name in REASON})
releases = st.builds(
    Release,
    image=st.builds(ImageRef, st.from_regex(r"[a-z0-9]+(/[a-z0-9]+)?", fullmatch=True), digests),
    attempt=st.integers(1, 99_999),
    stage=texts,
    policy=digests,
    tags=st.frozensets(texts),
    reason=st.sampled_from(StartReason),
    started_at=times,
    pushed_at=st.none() | times,
    outcome=st.none() | st.sampled_from(Outcome),
    closed_at=st.none() | times,
    verdict=st.none() | texts,
    reasons=st.lists(reasons).map(tuple),
    decision=st.none() | digests,
    signature=st.none() | digests,
    promotion=st.none() | st.builds(Promotion, texts, digests, st.lists(texts).map(tuple)),
    sbom=st.none() | st.builds(Sbom, texts, st.lists(digests).map(tuple)),
    detail=st.text(st.characters(codec="utf-8")),
    message_id=st.none() | texts,
)


@given(releases)
def test_a_release_survives_the_ledger_unchanged(release: Release) -> None:
    assert read_release(stored(write_release(release))) == release


@given(times, times)
def test_times_are_ordered_as_their_text_is(one: datetime, other: datetime) -> None:
    assert (one < other) == (moment(one) < moment(other))


# what lasts from one release to the next

PLACES = [(f"CVE-2026-{number}", f"lib#{number % 7}") for number in range(130)]


def base(name: str = "base/debian", layers: int = 3, at: datetime = NOW, chain: str = "chain") -> BaseImage:
    image = ImageRef(name, Digest.of(f"{name} {at}".encode()))
    return BaseImage(image, "base", f"sha256:{chain}", layers, at, Digest.of(b"decision"), ("12",))


def test_clocks_of_an_application_are_read_back_and_are_nobody_elses(ledger: DynamoLedger) -> None:
    clocks = {place: Clock(NOW, NOW if number % 2 else None) for number, place in enumerate(PLACES)}
    ledger.keep_clocks("shop-dev", clocks)
    assert ledger.clocks("shop-dev") == clocks
    assert ledger.clocks("shop") == {}
    ledger.keep_clocks("shop-dev", {PLACES[0]: Clock(NOW, NOW)})
    assert ledger.clocks("shop-dev") == clocks | {PLACES[0]: Clock(NOW, NOW)}


def test_no_clocks_are_no_call(ledger: DynamoLedger) -> None:
    ledger.keep_clocks("shop-dev", {})
    assert ledger.bases([], ["base"]) == []


def test_bases_are_found_by_their_chains_among_the_stages_that_are_asked_for(ledger: DynamoLedger) -> None:
    known = [base(chain=f"c{number}", layers=number + 1) for number in (3, 90)]
    for one in known:
        ledger.note_base(one)
    chains = [f"sha256:c{number}" for number in range(127)]
    assert sorted(ledger.bases(chains, ["base", "other"]), key=lambda one: one.layers) == known
    assert ledger.bases(chains, ["other"]) == []


def test_the_latest_base_of_a_repository_is_not_replaced_by_an_older_one(ledger: DynamoLedger) -> None:
    newer = base(at=NOW + timedelta(days=1), chain="newer")
    ledger.note_base(newer)
    ledger.note_base(base(chain="older"))
    assert ledger.latest_base("base/debian") == newer
    assert ledger.latest_base("base/alpine") is None
    assert len(ledger.bases(["sha256:older", "sha256:newer"], ["base"])) == 2


def test_an_earlier_push_does_not_replace_the_image_in_the_next_stage(ledger: DynamoLedger) -> None:
    later = CurrentRelease("shop-staging", IMAGE, Digest.of(b"decision"), NOW)
    ledger.note_current_release(later)
    earlier = replace(
        later, image=ImageRef("shop-dev", Digest.of(b"old")), pushed_at=NOW - timedelta(hours=1)
    )
    ledger.note_current_release(earlier)
    assert ledger.current_release("shop-staging") == later
    assert ledger.current_release("shop-dev") is None


def test_a_notice_is_noted_once_and_for_all(ledger: DynamoLedger) -> None:
    assert not ledger.is_noted("w-1 ending")
    ledger.note("w-1 ending")
    ledger.note("w-1 ending")
    assert ledger.is_noted("w-1 ending")
    assert not ledger.is_noted("w-2 ending")


def test_mails_are_counted_once_up_to_the_limit_in_each_hour_and_for_each_owner(ledger: DynamoLedger) -> None:
    releases = [ReleaseId(IMAGE, number) for number in range(1, 5)]
    assert [ledger.count_mail("", one, NOW, 3) for one in releases] == [1, 2, 3, None]
    assert [ledger.count_mail("", one, NOW, 3) for one in releases] == [3, 3, 3, None]
    assert ledger.count_mail("payments", releases[3], NOW, 3) == 1
    assert ledger.count_mail("", releases[3], NOW + timedelta(hours=1), 3) == 1


def test_a_later_mail_is_in_one_summary_and_comes_back_by_no_repetition(ledger: DynamoLedger) -> None:
    early = LaterMail(FIRST, Outcome.BLOCKED, "shop-dev:1.0", "1 CRITICAL", NOW, for_owner=True)
    late = replace(early, release=ReleaseId(IMAGE, 2), at=NOW + timedelta(minutes=1), why="")
    for mail in (late, early, late):
        ledger.keep_later(mail)
    assert list(ledger.later_mails()) == [early, late]
    ledger.note_summary(early, NOW)
    ledger.keep_later(early)
    assert list(ledger.later_mails()) == [late]


@pytest.mark.parametrize("leaves", [3, 1000])
def test_unprocessed_keys_of_a_batch_are_requested_again_but_not_for_ever(
    ledger: DynamoLedger, monkeypatch: pytest.MonkeyPatch, leaves: int
) -> None:
    client: Any = aws.client("dynamodb")
    real, calls = client.batch_write_item, []

    def write_one(**arguments: Any) -> Any:
        """Write one item of each batch, as DynamoDB may do under load."""
        calls.append(1)
        [(table, requests)] = arguments["RequestItems"].items()
        if len(calls) > leaves:
            return real(**arguments)
        real(RequestItems={table: requests[:1]})
        return {"UnprocessedItems": {table: requests[1:]} if requests[1:] else {}}

    monkeypatch.setattr(client, "batch_write_item", write_one)
    clocks = {place: Clock(NOW) for place in PLACES[:20]}
    if leaves > 8:
        with pytest.raises(ThrottledError):
            ledger.keep_clocks("shop-dev", clocks)
        return
    ledger.keep_clocks("shop-dev", clocks)
    assert ledger.clocks("shop-dev") == clocks


def test_a_base_that_cannot_be_read_is_named(ledger: DynamoLedger, table: Any) -> None:
    ledger.note_base(base())
    table.update_item(
        TableName=TABLE,
        Key={"pk": {"S": "BASE#sha256:chain"}, "sk": {"S": "base"}},
        UpdateExpression="SET #base = :x",
        ExpressionAttributeNames={"#base": "base"},
        ExpressionAttributeValues={":x": {"S": "{}"}},
    )
    with pytest.raises(CorruptLedgerError, match="BASE#sha256:chain"):
        ledger.bases(["sha256:chain"], ["base"])


def test_a_release_is_listed_as_waiting_until_it_is_decided(ledger: DynamoLedger) -> None:
    second = replace(FIRST, attempt=2)
    ledger.hold(FIRST, NOW)
    ledger.hold(FIRST, NOW)
    ledger.hold(second, NOW)
    assert set(ledger.held()) == {FIRST, second}
    ledger.stop_holding(FIRST)
    ledger.stop_holding(FIRST)
    assert list(ledger.held()) == [second]


def test_why_an_image_was_ignored_is_kept_for_a_while(ledger: DynamoLedger, table: Any) -> None:
    assert ledger.ignored(IMAGE) is None
    for arrival, policy in ((Arrival.PUSH, None), (Arrival.REPLICATION, Digest.of(b"policy"))):
        ignored = IgnoredImage(IMAGE, "artifact", NOW, frozenset({"1.0", "latest"}), arrival, policy)
        ledger.note_ignored(ignored)
        assert ledger.ignored(IMAGE) == ignored
    assert ledger.latest(IMAGE) is None
    item = table.get_item(TableName=TABLE, Key=typed(keys.ignored(IMAGE)))["Item"]
    assert int(item["expires"]["N"]) == int((NOW + timedelta(days=30)).timestamp())


def test_a_pending_request_is_kept_until_it_is_sent(ledger: DynamoLedger) -> None:
    one, other = FIRST.image, ImageRef("shop-staging", FIRST.image.digest)
    ledger.hold(FIRST, NOW)
    for image in (one, one, other):
        ledger.request_again(image, NOW)
    assert set(ledger.requested_again()) == {one, other}
    for _ in range(2):
        ledger.forget_request(one)
    assert list(ledger.requested_again()) == [other]
    assert list(ledger.held()) == [FIRST]
    assert list(ledger.all_tokens()) == []


def test_the_first_revocation_is_kept_on_an_open_or_closed_attempt(ledger: DynamoLedger) -> None:
    first = Revocation(NOW, "arn:aws:iam::123456789012:user/ann", "stolen ✓")
    ledger.begin(OPEN)
    ledger.revoke(FIRST, first)
    ledger.close(FIRST, Outcome.RELEASED, None, NOW, "")
    ledger.revoke(FIRST, replace(first, reason="another"))
    assert ledger.get(FIRST).revoked == first
    with pytest.raises(RecordNotFoundError):
        ledger.revoke(replace(FIRST, attempt=2), first)


def test_every_pusher_of_an_image_is_recorded_once(ledger: DynamoLedger) -> None:
    ann, ben = (f"arn:aws:iam::123456789012:user/{name}" for name in ("ann", "ben"))
    for arn in (ann, ben, ann):
        ledger.note_pusher(IMAGE, arn)
    assert set(ledger.pushers(IMAGE)) == {ann, ben}
    assert ledger.pushers(ImageRef("other", IMAGE.digest)) == ()
    assert ledger.latest(IMAGE) is None
