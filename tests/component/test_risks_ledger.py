"""Images in use, risks and the index of vulnerabilities against a DynamoDB table."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import CorruptLedgerError
from imagegate.aws.ledger.ledger import DynamoLedger
from imagegate.findings.finding import Severity
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.revocation import RunsIn
from imagegate.risk.past import PastRisk
from imagegate.risk.risk import Judgement, NewerRelease, Risk, RiskFinding, RiskState
from tests.component.test_ledger import IMAGE, NOW, ledger, table

__all__ = ["ledger", "table"]

HOUR = timedelta(hours=1)
JUDGED = Judgement(
    NOW, RiskState.FINE, NOW, (Digest.of(b"findings"),), (RunsIn("cluster", 2, NOW, "service:a"),), NOW
)
PAST = PastRisk(IMAGE, "dev", NOW, NOW + timedelta(days=45), NOW + HOUR, is_replaced=True)
RISK = Risk(
    image=IMAGE,
    stage="dev",
    tags=("1.0",),
    state=RiskState.AT_RISK,
    since=NOW,
    looked_at=NOW + HOUR,
    policy=Digest.of(b"policy"),
    findings=(
        RiskFinding("CVE-1", "openssl", Severity.HIGH, "3.0.9"),
        RiskFinding("CVE-2", "", Severity.LOW),
    ),
    why=("1 HIGH",),
    remedies=("upgrade",),
    runs=(RunsIn("cluster", 2),),
    newer=(NewerRelease(ImageRef("shop-dev", Digest.of(b"new")), ("1.1",), is_held=True),),
    is_current=False,
)


def due(ledger: DynamoLedger, now: datetime) -> list[ImageRef]:
    return [one.image for one in ledger.due_images(now)]


def test_the_earliest_time_counts_and_the_order_is_that_of_the_times(ledger: DynamoLedger) -> None:
    other = ImageRef("other", Digest.of(b"other"))
    ledger.judge_by(IMAGE, NOW + HOUR)
    ledger.judge_by(IMAGE, NOW + 2 * HOUR)
    ledger.judge_by(other, NOW + 3 * HOUR)
    ledger.judge_by(other, NOW)
    assert due(ledger, NOW) == [other]
    assert due(ledger, NOW + HOUR) == [other, IMAGE]
    assert {one.image for one in ledger.images_in_use()} == {other, IMAGE}


def test_a_judgement_is_read_back_and_moves_the_time(ledger: DynamoLedger) -> None:
    ledger.judge_by(IMAGE, NOW)
    [seen] = ledger.due_images(NOW)
    ledger.keep_judgement(seen, JUDGED, NOW + HOUR)
    known = ledger.due_image(IMAGE)
    assert known is not None
    assert (known.last, known.due) == (JUDGED, NOW + HOUR)


def test_an_event_that_comes_meanwhile_is_not_lost(ledger: DynamoLedger) -> None:
    ledger.judge_by(IMAGE, NOW)
    [seen] = ledger.due_images(NOW)
    ledger.judge_by(IMAGE, NOW - HOUR)
    ledger.keep_judgement(seen, JUDGED, NOW + HOUR)
    ledger.judge_later(seen, NOW + HOUR)
    ledger.forget_image(seen)
    known = ledger.due_image(IMAGE)
    assert known is not None
    assert (known.last, known.due) == (JUDGED, NOW - HOUR)


def test_an_image_that_is_forgotten_is_not_written_again(ledger: DynamoLedger) -> None:
    ledger.judge_by(IMAGE, NOW)
    [seen] = ledger.due_images(NOW)
    ledger.forget_image(seen)
    ledger.keep_judgement(seen, JUDGED, NOW)
    assert ledger.due_image(IMAGE) is None


def test_a_risk_is_read_back_until_it_is_over(ledger: DynamoLedger) -> None:
    ledger.keep_risk(RISK)
    assert (ledger.risk(IMAGE), list(ledger.risks())) == (RISK, [RISK])
    ledger.end_risk(PAST)
    assert (ledger.risk(IMAGE), list(ledger.risks())) == (None, [])


@pytest.mark.parametrize("past", [PAST, replace(PAST, fixable_since=None, is_replaced=False)])
def test_a_risk_that_is_over_is_kept_once_by_its_end(ledger: DynamoLedger, past: PastRisk) -> None:
    for _ in range(2):
        ledger.end_risk(past)
    assert list(ledger.past_risks(PAST.over_at, PAST.over_at)) == [past]
    assert list(
        ledger.past_risks(PAST.over_at - timedelta(days=400), PAST.over_at + timedelta(days=400))
    ) == [past]
    assert list(ledger.past_risks(PAST.over_at + HOUR, PAST.over_at + timedelta(days=40))) == []
    assert list(ledger.past_risks(PAST.over_at - timedelta(days=40), PAST.over_at - HOUR)) == []


def test_a_damaged_risk_is_an_error_that_names_it(ledger: DynamoLedger, table: Any) -> None:
    item = {**keys.risk(IMAGE), "risk": "{}"}
    table.put_item(TableName="ledger", Item={name: {"S": value} for name, value in item.items()})
    with pytest.raises(CorruptLedgerError, match="RISK#"):
        ledger.risk(IMAGE)


def test_only_new_vulnerabilities_are_written(ledger: DynamoLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"CVE-2026-{number}" for number in range(60)]
    ledger.note_vulnerabilities("shop-dev", names)
    ledger.note_vulnerabilities("other-dev", names[:1])
    assert ledger.applications_with(names[0]) == ["other-dev", "shop-dev"]
    assert ledger.applications_with(names[59]) == ["shop-dev"]
    assert ledger.applications_with("CVE-1") == []
    monkeypatch.setattr("imagegate.aws.dynamodb.DynamoTable.write_all", None)  # a call would fail
    ledger.note_vulnerabilities("shop-dev", names[10:20])
    ledger.note_vulnerabilities("shop-dev", [])
