"""The grants table: nothing is deleted, the first entry wins, and an unreadable entry never means one waiver less."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from imagegate.aws import clients as aws
from imagegate.aws.grants import CorruptGrantError, DynamoGrants
from imagegate.aws.sts import UsedProofs
from imagegate.errors import ThrottledError
from imagegate.grants.approval import Approval, Choice
from imagegate.grants.break_glass import BreakGlass
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.waiver import Waiver
from imagegate.ports.grants import WritableGrants
from imagegate.release.order import Order
from imagegate.release.release import ReleaseId, StartReason

TABLE = "grants"
NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ANN, BEN = "arn:aws:iam::123456789012:user/ann", "arn:aws:iam::123456789012:user/ben"
RELEASE = ReleaseId(ImageRef.of("shop", str(Digest.of(b"image"))), 1)
WAIVER = Waiver(
    owner="ann",
    reason="not reachable ✓",
    expires=date(2026, 12, 20),
    vulnerability="CVE-2026-1",
    package="pkg:deb/debian/openssl",
    repositories="shop-*",
    digest=Digest.of(b"image"),
    ticket="SHOP-1",
    until_fix=True,
    justification="vulnerable_code_not_present",
    granted_at=NOW,
    granted_by=ANN,
)


@pytest.fixture
def table(aws_account: None) -> Iterator[Any]:
    with mock_aws():
        dynamodb: Any = boto3.client("dynamodb")
        dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        yield dynamodb


@pytest.fixture
def grants() -> DynamoGrants:
    made = DynamoGrants(TABLE)
    _port: WritableGrants = made
    return made


def items(table: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.scan(TableName=TABLE)["Items"]
    return found


def test_a_waiver_is_read_back_as_it_was_granted(table: Any, grants: DynamoGrants) -> None:
    rule = Waiver("ann", "one binary", date(2026, 12, 1), rule="scan.unsupported", repositories="proxy-*")
    assert grants.waivers() == []
    assert grants.grant(WAIVER)
    assert grants.grant(rule)
    assert sorted(grants.waivers(), key=lambda one: one.reason) == [WAIVER, rule]


def test_the_item_names_the_waiver_and_who_granted_it(table: Any, grants: DynamoGrants) -> None:
    grants.grant(WAIVER)
    [item] = items(table)
    assert (item["pk"], item["sk"]) == ({"S": "WAIVER"}, {"S": WAIVER.id})
    assert json.loads(item["waiver"]["S"])["grantedBy"] == ANN


def test_the_same_waiver_is_kept_once(table: Any, grants: DynamoGrants) -> None:
    assert [grants.grant(WAIVER) for _ in range(3)] == [True, False, False]
    assert len(items(table)) == 1


def test_a_withdrawn_waiver_stays_and_says_when_and_by_whom(table: Any, grants: DynamoGrants) -> None:
    grants.grant(WAIVER)
    later = NOW + timedelta(hours=1)
    assert grants.withdraw(WAIVER.id, NOW, BEN) == replace(WAIVER, withdrawn_at=NOW)
    assert grants.withdraw(WAIVER.id, later, ANN) == replace(WAIVER, withdrawn_at=NOW)
    assert grants.waivers() == [replace(WAIVER, withdrawn_at=NOW)]
    assert [item["withdrawnBy"] for item in items(table)] == [{"S": BEN}]


def test_only_a_granted_waiver_can_be_withdrawn(table: Any, grants: DynamoGrants) -> None:
    assert grants.withdraw("w-0", NOW, BEN) is None
    assert items(table) == []


def test_a_new_grant_does_not_restore_a_withdrawn_one(table: Any, grants: DynamoGrants) -> None:
    grants.grant(WAIVER)
    grants.withdraw(WAIVER.id, NOW, BEN)
    assert not grants.grant(WAIVER)
    assert grants.waivers() == [replace(WAIVER, withdrawn_at=NOW)]


def test_all_pages_are_read(table: Any, grants: DynamoGrants) -> None:
    """A page of DynamoDB has at most 1 MB."""
    many = [replace(WAIVER, reason=f"{number} {'x' * 20_000}") for number in range(60)]
    for one in many:
        grants.grant(one)
    assert {one.id for one in grants.waivers()} == {one.id for one in many}


@pytest.mark.parametrize(
    "changes",
    [
        {"waiver": {"S": "{"}},
        {"waiver": {"S": "[]"}},
        {"waiver": {"S": "null"}},
        {"waiver": {"N": "1"}},
        {"waiver": {"S": json.dumps({**WAIVER.as_json(), "reason": "changed by hand"})}},
        {"waiver": {"S": json.dumps({**WAIVER.as_json(), "expires": "2099-01-01"})}},
        {"withdrawnAt": {"S": "long ago"}},
        {"withdrawnAt": {"BOOL": False}},
    ],
)
def test_a_waiver_that_was_changed_or_cannot_be_read_fails_closed(
    table: Any, grants: DynamoGrants, changes: dict[str, Any]
) -> None:
    grants.grant(WAIVER)
    [item] = items(table)
    table.put_item(TableName=TABLE, Item={**item, **changes})
    with pytest.raises(CorruptGrantError, match=WAIVER.id):
        grants.waivers()


def test_every_read_is_consistent_and_of_waivers_alone(aws_account: None, grants: DynamoGrants) -> None:
    asked = {
        "TableName": TABLE,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "WAIVER"}},
        "ConsistentRead": True,
    }
    with Stubber(aws.client("dynamodb")) as stub:
        stub.add_response("query", {"Items": []}, asked)
        assert grants.waivers() == []


@pytest.mark.parametrize(
    ("code", "error"),
    [("ThrottlingException", ThrottledError), ("AccessDeniedException", ClientError)],
)
def test_an_error_of_dynamodb_is_not_taken_for_an_answer(
    aws_account: None, grants: DynamoGrants, code: str, error: type[Exception]
) -> None:
    with Stubber(aws.client("dynamodb")) as stub:
        for operation in ("query", "put_item", "update_item"):
            stub.add_client_error(operation, code)
        with pytest.raises(error):
            grants.waivers()
        with pytest.raises(error):
            grants.grant(WAIVER)
        with pytest.raises(error):
            grants.withdraw(WAIVER.id, NOW, BEN)


# What was decided about one attempt


def approval(table: Any, by: str = ANN, kept_as: str = "", **changes: Any) -> Approval:
    """Return an approval as `decide` writes it."""
    told = replace(
        Approval(RELEASE, "production", Digest.of(b"policy"), Choice.APPROVE, by, NOW, "seen"), **changes
    )
    item = {
        "pk": {"S": f"APPROVAL#{RELEASE.image}#00001"},
        "sk": {"S": kept_as or by},
        "approval": {"S": json.dumps(told.as_json())},
    }
    table.put_item(TableName=TABLE, Item=item)
    return told


def test_approvals_are_read_by_their_attempt(table: Any, grants: DynamoGrants) -> None:
    told = [approval(table), approval(table, BEN)]
    assert grants.approvals(RELEASE) == told
    assert grants.approvals(replace(RELEASE, attempt=2)) == []


@pytest.mark.parametrize(
    "changes", [{"kept_as": BEN}, {"release": ReleaseId(ImageRef.of("shop", str(Digest.of(b"image"))), 2)}]
)
def test_an_approval_that_is_not_what_its_name_says_is_a_fault(
    table: Any, grants: DynamoGrants, changes: dict[str, Any]
) -> None:
    approval(table, **changes)
    with pytest.raises(CorruptGrantError, match="does not belong to its key"):
        grants.approvals(RELEASE)


def test_an_approval_that_cannot_be_read_is_a_fault(table: Any, grants: DynamoGrants) -> None:
    approval(table)
    key = {"pk": {"S": f"APPROVAL#{RELEASE.image}#00001"}, "sk": {"S": BEN}}
    table.put_item(TableName=TABLE, Item={**key, "approval": {"S": "{}"}})
    with pytest.raises(CorruptGrantError, match="cannot be read"):
        grants.approvals(RELEASE)


def decision(choice: Choice, by: str = ANN, **changes: Any) -> Approval:
    plain = Approval(RELEASE, "production", Digest.of(b"policy"), choice, by, NOW, "tested ✓")
    return replace(plain, **changes)


def test_each_person_decides_once_and_may_take_an_approval_back(table: Any, grants: DynamoGrants) -> None:
    approve, reject = decision(Choice.APPROVE), decision(Choice.REJECT)
    assert grants.decide(approve)
    assert not grants.decide(replace(approve, reason="again"))
    assert grants.approvals(RELEASE) == [approve]
    assert grants.decide(decision(Choice.APPROVE, BEN))
    assert grants.decide(reject)
    assert not grants.decide(reject)
    assert not grants.decide(approve)
    assert grants.approvals(RELEASE) == [reject, decision(Choice.APPROVE, BEN)]


def test_a_decision_about_one_attempt_is_none_about_the_next(table: Any, grants: DynamoGrants) -> None:
    grants.decide(decision(Choice.APPROVE))
    assert grants.approvals(replace(RELEASE, attempt=2)) == []


def test_a_break_glass_is_kept_once_and_ends_once(table: Any, grants: DynamoGrants) -> None:
    glass = BreakGlass("shop-*", Digest.of(b"image"), "down ✓", NOW + timedelta(hours=4), NOW, ANN)
    assert grants.break_glass(glass)
    assert not grants.break_glass(glass)
    assert grants.broken_glass() == [glass]
    ended = grants.withdraw_break_glass(glass.id, NOW + timedelta(hours=1), BEN)
    assert ended == replace(glass, withdrawn_at=NOW + timedelta(hours=1))
    assert grants.withdraw_break_glass(glass.id, NOW + timedelta(hours=2), ANN) == ended
    assert grants.broken_glass() == [ended]
    assert grants.withdraw_break_glass("b-0", NOW, ANN) is None
    assert grants.waivers() == []


# Orders of a release by hand, and proofs of who called


def test_orders_are_read_by_their_image_and_kept_one_by_one(table: Any, grants: DynamoGrants) -> None:
    first = Order(
        RELEASE.image, frozenset({"1.0"}), StartReason.OPERATOR, ANN, NOW + timedelta(microseconds=5)
    )
    second = replace(first, by=BEN, at=NOW + timedelta(microseconds=7))
    grants.order(first)
    grants.order(second)
    assert grants.orders(RELEASE.image) == [first, second]
    assert grants.orders(ImageRef.of("other", str(RELEASE.image.digest))) == []


@pytest.mark.parametrize("changes", [{"image": ImageRef.of("other", str(Digest.of(b"x")))}, None])
def test_an_order_that_is_not_what_its_name_says_is_a_fault(
    table: Any, grants: DynamoGrants, changes: dict[str, Any] | None
) -> None:
    one = Order(RELEASE.image, frozenset({"1.0"}), StartReason.OPERATOR, ANN, NOW)
    told = json.dumps(replace(one, **changes).as_json()) if changes else "{}"
    key = {"pk": {"S": f"ORDER#{RELEASE.image}"}, "sk": {"S": "2026"}}
    table.put_item(TableName=TABLE, Item={**key, "order": {"S": told}})
    with pytest.raises(CorruptGrantError):
        grants.orders(RELEASE.image)


def test_a_proof_is_remembered_until_sts_would_not_take_it_any_more(table: Any) -> None:
    used, text = UsedProofs(TABLE), Digest.of(b"a decision")
    assert used.use(text, NOW)
    assert not used.use(text, NOW + timedelta(minutes=1))
    assert used.use(Digest.of(b"another decision"), NOW)
    key = {"pk": {"S": f"PROOF#{text}"}, "sk": {"S": "PROOF"}}
    assert table.get_item(TableName=TABLE, Key=key)["Item"]["expires"] == {"N": str(int(NOW.timestamp()))}
