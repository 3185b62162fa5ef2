"""A DynamoDB table: conditional writes, strongly consistent reads, batches that are asked for until they are whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from imagegate.aws.clients import client, translated
from imagegate.errors import ThrottledError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = Mapping[str, Any]

# Amazon DynamoDB API reference, BatchGetItem and BatchWriteItem.
_READS_AT_ONCE, _WRITES_AT_ONCE = 100, 25
_BATCH_TRIES = 8


class DynamoTable:
    """What the ledger and the grants have in common."""

    def __init__(self, table: str) -> None:
        self._table = table

    @property
    def _client(self) -> DynamoDBClient:
        made: DynamoDBClient = client("dynamodb")
        return made

    def _get(self, key: dict[str, Any]) -> Item | None:
        with translated({}, asked=key["pk"]["S"]):
            return self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")

    def _put(self, item: dict[str, Any], condition: str = "", values: dict[str, Any] | None = None) -> bool:
        more: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
        if values:
            more["ExpressionAttributeValues"] = values
        return self._conditional(self._client.put_item, Item=item, **more)

    def _conditional(self, write: Callable[..., Any], **arguments: Any) -> bool:
        """False: the condition did not hold."""
        try:
            with translated({}):
                write(TableName=self._table, **arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _read_all(self, keys: Sequence[dict[str, Any]]) -> Iterator[Item]:
        """Any number of them. BatchGetItem answers with what it could not read, too: that is asked for again."""
        for start in range(0, len(keys), _READS_AT_ONCE):
            asked: Any = {self._table: {"Keys": keys[start:][:_READS_AT_ONCE], "ConsistentRead": True}}
            for _ in range(_BATCH_TRIES):
                with translated({}):
                    answer: Any = self._client.batch_get_item(RequestItems=asked)
                yield from answer.get("Responses", {}).get(self._table, ())
                asked = answer.get("UnprocessedKeys")
                if not asked:
                    break
            else:
                raise ThrottledError(f"{self._table}: BatchGetItem leaves keys unread")

    def _write_all(self, written: Sequence[Item]) -> None:
        """Any number of them, without conditions."""
        requests: list[Any] = [{"PutRequest": {"Item": item}} for item in written]
        for start in range(0, len(requests), _WRITES_AT_ONCE):
            asked: Any = {self._table: requests[start:][:_WRITES_AT_ONCE]}
            for _ in range(_BATCH_TRIES):
                with translated({}):
                    asked = self._client.batch_write_item(RequestItems=asked).get("UnprocessedItems")
                if not asked:
                    break
            else:
                raise ThrottledError(f"{self._table}: BatchWriteItem leaves items unwritten")

    def _query(self, **arguments: Any) -> Iterator[Item]:
        """Page by page, as far as the caller reads."""
        while True:
            with translated({}):
                page = self._client.query(TableName=self._table, **arguments)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
