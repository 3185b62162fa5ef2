"""What was granted at run time, in a DynamoDB table of its own: it gives power, so one function alone writes it.

| item | pk | sk |
| --- | --- | --- |
| waiver | `WAIVER` | id of the waiver |
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from imagegate.adapters.aws import client, translated
from imagegate.domain.canonical import timestamp
from imagegate.domain.errors import RejectedInputError
from imagegate.domain.waiver import Waiver

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_WAIVER = {"S": "WAIVER"}


class CorruptGrantError(RejectedInputError):
    """A waiver in the table cannot be read, or is not the one that its name says."""


class DynamoGrants:
    """Nothing is ever deleted: a waiver that is withdrawn says so, and by whom."""

    def __init__(self, table: str) -> None:
        self._table = table

    @property
    def _client(self) -> DynamoDBClient:
        made: DynamoDBClient = client("dynamodb")
        return made

    def waivers(self) -> list[Waiver]:
        return [_read(item) for item in self._items()]

    def _items(self) -> Iterator[Mapping[str, Any]]:
        asked: dict[str, Any] = {}
        while True:
            with translated({}):
                page = self._client.query(
                    TableName=self._table,
                    KeyConditionExpression="pk = :pk",
                    ExpressionAttributeValues={":pk": _WAIVER},
                    ConsistentRead=True,
                    **asked,
                )
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            asked = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def grant(self, waiver: Waiver) -> bool:
        item = {"pk": _WAIVER, "sk": {"S": waiver.id}, "waiver": {"S": json.dumps(waiver.as_json())}}
        try:
            with translated({}, asked=waiver.id):
                self._client.put_item(
                    TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)"
                )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def withdraw(self, waiver_id: str, at: datetime, by: str) -> Waiver | None:
        key = {"pk": _WAIVER, "sk": {"S": waiver_id}}
        try:
            with translated({}, asked=waiver_id):
                item = self._client.update_item(
                    TableName=self._table,
                    Key=key,
                    # The first withdrawal stands.
                    UpdateExpression="SET withdrawnAt = if_not_exists(withdrawnAt, :at), "
                    "withdrawnBy = if_not_exists(withdrawnBy, :by)",
                    ConditionExpression="attribute_exists(pk)",
                    ExpressionAttributeValues={":at": {"S": timestamp(at)}, ":by": {"S": by}},
                    ReturnValues="ALL_NEW",
                )["Attributes"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return None
        return _read(item)


def _read(item: Mapping[str, Any]) -> Waiver:
    """Fails closed: a waiver that cannot be read is a fault, not one waiver less to look at."""
    name = item["sk"]["S"]
    try:
        raw = json.loads(item["waiver"]["S"])
        if "withdrawnAt" in item:
            raw["withdrawnAt"] = item["withdrawnAt"]["S"]
        waiver = Waiver.from_json(raw)
    except (KeyError, TypeError, ValueError, RejectedInputError) as error:
        raise CorruptGrantError(f"the waiver {name} cannot be read: {error!r}") from error
    if waiver.id != name:
        raise CorruptGrantError(f"the waiver {name} says what {waiver.id} would say")
    return waiver
