"""DynamoDB: conditional writes and consistent reads of one throw-away table."""

from __future__ import annotations

from typing import Any

from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench

CHAPTER = "DynamoDB"
_INDEX = "by-state"
_REFUSED = "ConditionalCheckFailedException"


@behaviour(
    CHAPTER,
    "model, PutItem and UpdateItem",
    ("ok", _REFUSED, _REFUSED),
)
def a_conditional_write_happens_whole_or_not_at_all(bench: Bench) -> None:
    """Two writes require that the item is absent: the second is refused."""
    table = _table(bench)
    item = {"pk": {"S": "release"}, "sk": {"S": "1"}}
    absent = "attribute_not_exists(pk)"
    for _ in range(2):
        bench.ask("dynamodb", "PutItem", TableName=table, Item=item, ConditionExpression=absent)
    bench.ask(
        "dynamodb",
        "UpdateItem",
        TableName=table,
        Key={"pk": {"S": "absent"}, "sk": {"S": "1"}},
        UpdateExpression="SET outcome = :value",
        ConditionExpression="attribute_exists(pk)",
        ExpressionAttributeValues={":value": {"S": "released"}},
    )


@behaviour(CHAPTER, "model, PutItemInput.ReturnValuesOnConditionCheckFailure", ("ok", "ok"))
def a_consistent_read_sees_the_write_before_it(bench: Bench) -> None:
    """A consistent read gives what was written just before."""
    table = _table(bench)
    item = {"pk": {"S": "read"}, "sk": {"S": "1"}}
    bench.ask("dynamodb", "PutItem", TableName=table, Item=item)
    bench.ask("dynamodb", "GetItem", show="Item", TableName=table, Key=item, ConsistentRead=True)


@behaviour(CHAPTER, "model, `QueryInput.ConsistentRead`", ("ValidationException",))
def an_index_is_not_read_consistently(bench: Bench) -> None:
    """A consistent read of a global index is refused."""
    bench.ask(
        "dynamodb",
        "Query",
        **_query(_table(bench), "state", "held"),
        IndexName=_INDEX,
        ConsistentRead=True,
    )


@behaviour(CHAPTER, 'DynamoDB guide, "Data types"', ("ok", "yes"))
def text_is_ordered_by_its_bytes(bench: Bench) -> None:
    """Sort keys are compared by their UTF-8 bytes."""
    table = _table(bench)
    texts = ("a", "B", "é", "10", "9")
    for text in texts:
        bench.do("dynamodb", "PutItem", TableName=table, Item={"pk": {"S": "order"}, "sk": {"S": text}})
    query = _query(table, "pk", "order")
    answer = bench.ask("dynamodb", "Query", show="Items[].sk.S", **query, ConsistentRead=True)
    found = [item["sk"]["S"] for item in answer.content["Items"]]
    bench.observe("in the order of their bytes", found == sorted(texts, key=str.encode))


@behaviour(CHAPTER, "model, Query", ("yes",))
def a_page_has_at_most_a_megabyte(bench: Bench) -> None:
    """Items that do not fit on one page come after `LastEvaluatedKey`."""
    table = _table(bench)
    for number in range(4):
        item = {"pk": {"S": "large"}, "sk": {"S": str(number)}, "text": {"S": "x" * 390_000}}
        bench.do("dynamodb", "PutItem", TableName=table, Item=item)
    answer = bench.do("dynamodb", "Query", **_query(table, "pk", "large"), ConsistentRead=True)
    bench.observe("more than one page", "LastEvaluatedKey" in answer and len(answer["Items"]) < 4)


def _query(table: str, name: str, value: str) -> dict[str, Any]:
    return {
        "TableName": table,
        "KeyConditionExpression": "#s = :s",
        "ExpressionAttributeNames": {"#s": name},
        "ExpressionAttributeValues": {":s": {"S": value}},
    }


def _table(bench: Bench) -> str:
    made: str = bench.shared("table", lambda: _make(bench))
    return made


def _make(bench: Bench) -> str:
    name = bench.run
    bench.make(
        f"table {name}",
        lambda: bench.do("dynamodb", "DeleteTable", TableName=name),
        "dynamodb",
        "CreateTable",
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk", "state")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": _INDEX,
                "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )

    def is_ready() -> bool:
        return bool(bench.do("dynamodb", "DescribeTable", TableName=name)["Table"]["TableStatus"] == "ACTIVE")

    bench.until(is_ready, 120)
    return name
