"""One DynamoDB table: conditional writes, strongly consistent reads, batches that are repeated until all is done.

Items and values are plain Python here: text, integers, truth values, lists, mappings and sets of text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from imagegate.aws.clients import client, translated
from imagegate.errors import ThrottledError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = Mapping[str, Any]
Key = dict[str, str]

# Amazon DynamoDB API reference, BatchGetItem and BatchWriteItem.
_READS_AT_ONCE, _WRITES_AT_ONCE = 100, 25
_BATCH_TRIES = 8
# Whoever reads on gets larger pages, up to a few hundred KiB, so that many partitions can be read at once.
_PAGE_GROWS, _LARGEST_PAGE = 4, 400


def typed(item: Item) -> dict[str, Any]:
    """Return the item as DynamoDB's API takes it: `{"pk": {"S": "…"}}`."""
    return {name: _typed_value(value) for name, value in item.items()}


def plain(item: Item) -> dict[str, Any]:
    """Return an item of DynamoDB's API as plain Python. Lists are `list`, sets are `set`."""
    return {name: _plain_value(value) for name, value in item.items()}


def _typed_value(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case set() | frozenset():
            return {"SS": sorted(value)}
        case Mapping():
            return {"M": typed(value)}
        case list() | tuple():
            return {"L": [_typed_value(member) for member in value]}
    raise TypeError(f"the tables have no value of the type {type(value).__name__}")


def _plain_value(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return int(value)
        case "SS":
            return set(value)
        case "M":
            return plain(value)
        case "L":
            return [_plain_value(member) for member in value]
        case "S" | "BOOL":
            return value
    raise TypeError(f"the tables have no value of the type {kind}")


def key(pk: str, sk: str) -> Key:
    """Return the key of one item."""
    return {"pk": pk, "sk": sk}


@dataclass(frozen=True, slots=True)
class Between:
    """Bounds of a sort key, both included."""

    attribute: str
    low: str
    high: str


class DynamoTable:
    """A table with the key attributes `pk` and `sk`."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def _client(self) -> DynamoDBClient:
        dynamodb: DynamoDBClient = client("dynamodb")
        return dynamodb

    def get(self, key: Key) -> Item | None:
        """Return one item, or None if there is no such item."""
        with translated({}, subject=key["pk"]):
            item = self._client.get_item(TableName=self._name, Key=typed(key), ConsistentRead=True).get(
                "Item"
            )
        return None if item is None else plain(item)

    def put(self, item: Item, condition: str = "", values: Item | None = None) -> bool:
        """Write the whole item. Return False if the condition does not hold."""
        return self._write(self._client.put_item, condition, values, Item=typed(item)) is not None

    def update(
        self,
        key: Key,
        expression: str,
        condition: str,
        values: Item | None = None,
        names: Mapping[str, str] | None = None,
    ) -> Item | None:
        """Change attributes of one item. Return the whole item as it is now, or None if the condition does not hold."""
        more: dict[str, Any] = {"ExpressionAttributeNames": dict(names)} if names else {}
        response = self._write(
            self._client.update_item,
            condition,
            values,
            Key=typed(key),
            UpdateExpression=expression,
            ReturnValues="ALL_NEW",
            **more,
        )
        return None if response is None else plain(response["Attributes"])

    def delete(
        self,
        key: Key,
        condition: str = "",
        values: Item | None = None,
        names: Mapping[str, str] | None = None,
    ) -> bool:
        """Delete one item, if it is there. Return False if the condition does not hold."""
        more: dict[str, Any] = {"ExpressionAttributeNames": dict(names)} if names else {}
        return self._write(self._client.delete_item, condition, values, Key=typed(key), **more) is not None

    def partition(
        self, pk: str, *, prefix: str = "", newest_first: bool = False, limit: int = 0
    ) -> Iterator[Item]:
        """Yield the items of one partition key, strongly consistent. `limit`: items per page, where few are read."""
        values = {":pk": pk, ":sk": prefix} if prefix else {":pk": pk}
        return self._query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)" if prefix else "pk = :pk",
            ExpressionAttributeValues=typed(values),
            ConsistentRead=True,
            **_order(newest_first, limit),
        )

    def index(
        self,
        name: str,
        attribute: str,
        value: str,
        *,
        between: Between | None = None,
        equal: Mapping[str, str] | None = None,
        newest_first: bool = False,
        limit: int = 0,
    ) -> Iterator[Item]:
        """Yield the items of an index that have this value, eventually consistent.

        `between` bounds the sort key of the index; `equal` are attributes that an item must have, which DynamoDB
        compares after it has read the item. `limit`: items of the first page; each later page is larger.
        """
        names, values = {"#by": attribute}, {":by": value}
        conditions, filters = ["#by = :by"], list[str]()
        if between:
            names["#sort"] = between.attribute
            values |= {":low": between.low, ":high": between.high}
            conditions.append("#sort BETWEEN :low AND :high")
        for wanted, content in (equal or {}).items():
            names[f"#{wanted}"], values[f":{wanted}"] = wanted, content
            filters.append(f"#{wanted} = :{wanted}")
        return self._query(
            IndexName=name,
            KeyConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=typed(values),
            **({"FilterExpression": " AND ".join(filters)} if filters else {}),
            **_order(newest_first, limit),
        )

    def read_all(self, keys: Sequence[Key], *, attributes: Sequence[str] = ()) -> Iterator[Item]:
        """Yield the items of any number of keys, with these attributes only (default: with all).

        BatchGetItem may leave some unread; these are requested again.
        """
        names = {f"#{number}": attribute for number, attribute in enumerate(attributes)}
        part = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names} if names else {}
        for start in range(0, len(keys), _READS_AT_ONCE):
            batch = [typed(key) for key in keys[start:][:_READS_AT_ONCE]]
            request: Any = {self._name: {"Keys": batch, "ConsistentRead": True, **part}}
            for _ in range(_BATCH_TRIES):
                with translated({}):
                    response: Any = self._client.batch_get_item(RequestItems=request)
                yield from map(plain, response.get("Responses", {}).get(self._name, ()))
                request = response.get("UnprocessedKeys")
                if not request:
                    break
            else:
                raise ThrottledError(f"{self._name}: BatchGetItem leaves keys unread")

    def write_all(self, items: Sequence[Item]) -> None:
        """Write any number of items, without conditions."""
        writes: list[Any] = [{"PutRequest": {"Item": typed(item)}} for item in items]
        for start in range(0, len(writes), _WRITES_AT_ONCE):
            request: Any = {self._name: writes[start:][:_WRITES_AT_ONCE]}
            for _ in range(_BATCH_TRIES):
                with translated({}):
                    request = self._client.batch_write_item(RequestItems=request).get("UnprocessedItems")
                if not request:
                    break
            else:
                raise ThrottledError(f"{self._name}: BatchWriteItem leaves items unwritten")

    def _write(self, write: Callable[..., Any], condition: str, values: Item | None, **arguments: Any) -> Any:
        """Return the response, or None if the condition does not hold."""
        arguments |= {"ConditionExpression": condition} if condition else {}
        arguments |= {"ExpressionAttributeValues": typed(values)} if values else {}
        try:
            with translated({}):
                return write(TableName=self._name, **arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return None
            raise

    def _query(self, **arguments: Any) -> Iterator[Item]:
        """Yield items page by page, as far as the caller reads."""
        while True:
            with translated({}):
                page = self._client.query(TableName=self._name, **arguments)
            yield from map(plain, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
            if "Limit" in arguments:
                arguments["Limit"] = min(
                    arguments["Limit"] * _PAGE_GROWS, max(arguments["Limit"], _LARGEST_PAGE)
                )


def _order(newest_first: bool, limit: int) -> dict[str, Any]:
    order = {"ScanIndexForward": False} if newest_first else {}
    return order | ({"Limit": limit} if limit else {})
