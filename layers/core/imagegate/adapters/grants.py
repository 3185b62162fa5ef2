"""What was granted at run time, in a DynamoDB table of its own: it gives power, so one function alone writes it.

| item | pk | sk |
| --- | --- | --- |
| waiver | `WAIVER` | id of the waiver |
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from imagegate.adapters.dynamo_table import DynamoTable, Item
from imagegate.domain.canonical import timestamp
from imagegate.domain.errors import RejectedInputError
from imagegate.domain.waiver import Waiver

_WAIVER = {"S": "WAIVER"}


class CorruptGrantError(RejectedInputError):
    """A waiver in the table cannot be read, or is not the one that its name says."""


class DynamoGrants(DynamoTable):
    """Nothing is ever deleted: a waiver that is withdrawn says so, and by whom."""

    def waivers(self) -> list[Waiver]:
        found = self._query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": _WAIVER},
            ConsistentRead=True,
        )
        return [_read(item) for item in found]

    def grant(self, waiver: Waiver) -> bool:
        item = {**_key(waiver.id), "waiver": {"S": json.dumps(waiver.as_json())}}
        return self._put(item, "attribute_not_exists(pk)")

    def withdraw(self, waiver_id: str, at: datetime, by: str) -> Waiver | None:
        """The first withdrawal stands."""
        key = _key(waiver_id)
        self._conditional(
            self._client.update_item,
            Key=key,
            UpdateExpression="SET withdrawnAt = :at, withdrawnBy = :by",
            ConditionExpression="attribute_exists(pk) AND attribute_not_exists(withdrawnAt)",
            ExpressionAttributeValues={":at": {"S": timestamp(at)}, ":by": {"S": by}},
        )
        item = self._get(key)
        return None if item is None else _read(item)


def _key(waiver_id: str) -> dict[str, Any]:
    return {"pk": _WAIVER, "sk": {"S": waiver_id}}


def _read(item: Item) -> Waiver:
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
