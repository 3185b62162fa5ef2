"""Items of both tables at rest, attribute by attribute: tables that exist are read and written by every version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imagegate.aws.dynamodb import DynamoTable
from imagegate.aws.grants import DynamoGrants
from imagegate.aws.ledger.cleaned import DynamoCleanedImages
from imagegate.aws.ledger.ledger import DynamoLedger
from imagegate.aws.sts import UsedProofs
from imagegate.cleanup.cleaned import CleanedImage
from imagegate.cleanup.selection import CleanupAction
from imagegate.deployment.rollback import Rollback
from imagegate.evidence.sbom import Sbom
from imagegate.gate.facts import BaseImage
from imagegate.gate.finding_rules import Clock
from imagegate.grants.approval import Approval, Choice
from imagegate.grants.break_glass import BreakGlass
from imagegate.notices.later_mail import LaterMail
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Arrival
from imagegate.policy.waiver import Waiver
from imagegate.release.order import Order
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
from imagegate.risk.past import PastRisk
from imagegate.risk.risk import DueImage
from tests.component.test_risks_ledger import JUDGED
from tests.component.test_risks_ledger import RISK as ANY_RISK

TABLES = ("ledger", "grants")
KNOWN = Path(__file__).parent / "fixtures" / "items_at_rest.json"
NOW = datetime(2026, 11, 21, 7, 52, 38, 12, tzinfo=UTC)
MORNING = NOW.replace(microsecond=0)
LATER = NOW + timedelta(hours=30)
ANN = "arn:aws:iam::123456789012:user/ann"
IMAGE = ImageRef("shop/web-dev", Digest.of(b"image"))
FIRST, SECOND = ReleaseId(IMAGE, 1), ReleaseId(IMAGE, 2)
AMD64, ARM64 = Digest.of(b"amd64"), Digest.of(b"arm64")
REASON = {"rule": "findings.critical", "message": "1 CRITICAL ✓", "action": "enforce", "image": str(AMD64)}
BARE = Release(IMAGE, 1, "dev", Digest.of(b"policy"), frozenset(), StartReason.PUSH, NOW)
TAGGED = replace(
    BARE,
    attempt=2,
    tags=frozenset({"v1", "latest"}),
    reason=StartReason.OPERATOR,
    pushed_at=LATER,
    started_by=ANN,
)
TOKEN = WaitingScan(ImageRef(IMAGE.repository, AMD64), SECOND, "token ✓", (AMD64, ARM64), NOW)
BASE = BaseImage(IMAGE, "base", "sha256:chain", 3, MORNING, Digest.of(b"decision"), ("12", "12.1"))
WAIVER = Waiver(
    "ann", "not reachable ✓", date(2026, 12, 20), vulnerability="CVE-2026-1", granted_at=NOW, granted_by=ANN
)
GLASS = BreakGlass("shop/*", IMAGE.digest, "outage ✓", MORNING + timedelta(days=1), MORNING, ANN, (AMD64,))
IGNORED = IgnoredImage(
    IMAGE, "artifact", NOW, frozenset({"b", "a"}), Arrival.REPLICATION, Digest.of(b"policy")
)
OTHER = replace(IGNORED, image=replace(IMAGE, repository="other"), arrival=Arrival.PUSH, policy=None)
RELEASED = CurrentRelease("shop/web-staging", IMAGE, Digest.of(b"decision"), NOW)

LATER_MAIL = LaterMail(SECOND, Outcome.BLOCKED, "shop/web-dev:v1", "1 CRITICAL ✓", NOW, for_owner=True)
OTHER_MAIL = replace(LATER_MAIL, release=FIRST, why="", for_owner=False)
RISK = replace(ANY_RISK, image=IMAGE)


@pytest.fixture
def tables(aws_account: None) -> Iterator[Any]:
    with mock_aws():
        dynamodb: Any = boto3.client("dynamodb")
        for table in TABLES:
            dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
                KeySchema=[
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            )
        yield dynamodb


def at_rest(dynamodb: Any) -> dict[str, list[Any]]:
    """Return all items of both tables; of random attributes and packed ones only that they are there."""
    items = {table: dynamodb.scan(TableName=table)["Items"] for table in TABLES}
    for item in (item for table in TABLES for item in items[table]):
        for name in {"claimedBy", "usedBy", "names"} & item.keys():
            item[name] = {"S": "random"}
        if "tags" in item:
            item["tags"]["SS"].sort()
    return {
        table: sorted(found, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
        for table, found in items.items()
    }


def fill_ledger() -> None:
    ledger = DynamoLedger("ledger")
    ledger.begin(BARE)
    ledger.begin(TAGGED)
    ledger.join(SECOND, frozenset({"v1", "v2"}), LATER + timedelta(seconds=1))
    ledger.record(
        SECOND,
        verdict="BLOCK",
        attention="alert",
        reasons=(REASON,),
        remedies=("update openssl ✓",),
        decision=Digest.of(b"decision"),
        judged_at=NOW,
        criticals=0,
        signature=Digest.of(b"signature"),
        signature_ends=LATER,
        evidence=(AMD64, ARM64),
        sbom=Sbom("attached", (ARM64,)),
        platforms=(AMD64, ARM64),
        promotion=Promotion("shop/web-staging", IMAGE.digest, ("v1", "latest")),
        uploads={AMD64: "https://registry.example/upload/1", ARM64: ""},
        break_glass="by ann",
        ending=Ending(Outcome.RELEASED, 2, "to staging"),
        soaks_until=LATER,
        clean_since={AMD64: NOW, ARM64: LATER},
        replicating_since=NOW,
    )
    ledger.record(SECOND, evidence=(), soaks_until=None)
    ledger.note_announcement(SECOND, "message")
    ledger.revoke(SECOND, Revocation(NOW, ANN, "stolen ✓"))
    ledger.close(SECOND, Outcome.RELEASED, 1, LATER, "done ✓", proof=ledger.get(SECOND))
    ledger.note_platforms(replace(BARE, platforms=(AMD64,)))
    ledger.keep_token(TOKEN)
    ledger.hold(SECOND, NOW)
    ledger.request_again(IMAGE, NOW)
    ledger.note_ignored(IGNORED)
    ledger.note_ignored(OTHER)
    ledger.note_pusher(IMAGE, ANN)
    ledger.note_rollback(Rollback(IMAGE.repository, AMD64, ARM64, ANN, NOW, "slow ✓"))
    ledger.claim_tag("shop/web-staging", "v1", IMAGE.digest, NOW)
    ledger.keep_clocks(
        "shop/web", {("CVE-2026-1", "lib#1"): Clock(NOW), ("CVE-2026-2", "lib"): Clock(NOW, LATER)}
    )
    ledger.note_base(BASE)
    ledger.note_current_release(RELEASED)
    ledger.judge_by(IMAGE, NOW)
    ledger.keep_judgement(DueImage(IMAGE, NOW), JUDGED, LATER)
    ledger.keep_risk(RISK)
    ledger.end_risk(
        PastRisk(replace(IMAGE, repository="other"), "dev", NOW, LATER, MORNING, is_replaced=True)
    )
    ledger.note_vulnerabilities("shop/web", ["CVE-2026-1"])
    ledger.note("w-1 ending")
    ledger.claim("drift", NOW)
    ledger.keep_drifts("shop/web-dev", {"1f0c", "2a9e"})
    ledger.installed_at(NOW)
    ledger.count_mail("payments", FIRST, NOW, 10)
    ledger.count_mail("", FIRST, NOW, 10)
    ledger.keep_later(LATER_MAIL)
    ledger.keep_later(OTHER_MAIL)
    ledger.note_summary(OTHER_MAIL, LATER)
    turn = ledger.take_turn("reconcile", NOW, timedelta(minutes=2))
    assert turn is not None
    ledger.end_turn(turn, {"after": "shop/web"})
    cleaned = CleanedImage(IMAGE, CleanupAction.DELETE, Digest.of(b"plan"), NOW, "old ✓")
    DynamoCleanedImages(DynamoTable("ledger")).note_cleaned([cleaned])
    UsedProofs("ledger").use(Digest.of(b"proof"), LATER)


def fill_grants() -> None:
    grants = DynamoGrants("grants")
    grants.grant(WAIVER)
    grants.grant(replace(WAIVER, vulnerability="CVE-2026-2"))
    grants.withdraw(WAIVER.id, LATER, ANN)
    grants.break_glass(GLASS)
    grants.decide(
        Approval(SECOND, "staging", Digest.of(b"policy"), Choice.APPROVE, ANN, NOW, "looked at it ✓")
    )
    grants.order(Order(IMAGE, frozenset({"b", "a"}), StartReason.OPERATOR, ANN, NOW))


def test_every_kind_of_item_is_written_as_it_always_was(tables: Any) -> None:
    fill_ledger()
    fill_grants()
    written = at_rest(tables)
    assert written == json.loads(KNOWN.read_text())
    assert len({item["pk"]["S"].partition("#")[0] for table in TABLES for item in written[table]}) == 28


def test_the_reference_lists_every_kind_of_item() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "ledger.md").read_text()
    items = [item for table in json.loads(KNOWN.read_text()).values() for item in table]
    listed = re.findall(r"^\| [^|]+ \| `([A-Z_]+)[#`]", page, re.MULTILINE)
    assert set(listed) == {item["pk"]["S"].partition("#")[0] for item in items}


def test_items_of_earlier_versions_are_read_back(tables: Any) -> None:
    for table, items in json.loads(KNOWN.read_text()).items():
        for item in items:
            tables.put_item(TableName=table, Item=item)
    ledger, grants = DynamoLedger("ledger"), DynamoGrants("grants")
    assert ledger.get(FIRST) == BARE
    release = ledger.get(SECOND)
    assert (set(release.tags), release.changes) == ({"v1", "v2", "latest"}, 1)
    assert (release.reasons, release.clean_since) == ((REASON,), {AMD64: NOW, ARM64: LATER})
    assert release.ending == Ending(Outcome.RELEASED, 2, "to staging")
    assert ledger.history(ImageRef(IMAGE.repository, AMD64)).indexes == (IMAGE.digest,)
    assert ledger.tokens_of(TOKEN.image) == [TOKEN]
    assert [ledger.ignored(one.image) for one in (IGNORED, OTHER)] == [IGNORED, OTHER]
    assert ledger.pushers(IMAGE) == (ANN,)
    assert [(one.to, one.came_from, one.at) for one in ledger.rollbacks(IMAGE.repository)] == [
        (AMD64, ARM64, NOW)
    ]
    assert ledger.holder("shop/web-staging", "v1") == IMAGE.digest
    assert ledger.clocks("shop/web")["CVE-2026-2", "lib"] == Clock(NOW, LATER)
    assert ledger.bases([BASE.chain_id], [BASE.stage]) == [BASE] == [ledger.latest_base(IMAGE.repository)]
    assert ledger.current_release(RELEASED.repository) == RELEASED
    assert ledger.due_image(IMAGE) == DueImage(IMAGE, LATER, JUDGED)
    assert ledger.risk(IMAGE) == RISK
    assert ledger.applications_with("CVE-2026-1") == ["shop/web"]
    assert ledger.is_noted("w-1 ending")
    assert [ledger.count_mail(owner, SECOND, NOW, 1) for owner in ("payments", "")] == [None, None]
    assert ledger.known_drifts(["shop/web-dev", "shop/web"]) == {"shop/web-dev": {"1f0c", "2a9e"}}
    assert ledger.installed_at(LATER) == NOW
    assert {waiver.id: waiver.withdrawn_at is None for waiver in grants.waivers()}[WAIVER.id] is False
    assert grants.broken_glass() == [GLASS]
    assert [approval.choice for approval in grants.approvals(SECOND)] == [Choice.APPROVE]
    assert [order.at for order in grants.orders(IMAGE)] == [NOW]
