"""SNS: the limits of a message to a throw-away topic without subscribers."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench

CHAPTER = "SNS"
_REFUSED = "InvalidParameter"


@behaviour(CHAPTER, "model, Publish", ("ok", _REFUSED, _REFUSED), looser="the sandbox takes line breaks")
def a_subject_is_one_short_line(bench: Bench) -> None:
    """A subject has fewer than 100 characters, and no line break."""
    for subject in ("x" * 99, "x" * 101, "two\nlines"):
        _publish(bench, Subject=subject, Message="text")


@behaviour(CHAPTER, "model, Publish", None)
def a_subject_may_have_a_hundred_characters_or_not(bench: Bench) -> None:
    """A subject of exactly 100 characters, an empty one, one that is not ASCII: the pages do not agree."""
    for subject in ("x" * 100, "", "größer"):
        _publish(bench, Subject=subject, Message="text")


@behaviour(
    CHAPTER,
    "model, Publish",
    ("ok", _REFUSED, _REFUSED, _REFUSED),
    looser="the sandbox does not look into them",
)
def a_message_per_protocol_has_a_default(bench: Bench) -> None:
    """`MessageStructure=json`: valid JSON, `default` among its names, all values text."""
    for message in ({"default": "text", "email": "text"}, {"email": "text"}, {"default": {"a": 1}}):
        _publish(bench, Message=json.dumps(message), MessageStructure="json")
    _publish(bench, Message="no JSON", MessageStructure="json")


@behaviour(CHAPTER, "model, Publish", ("ok", _REFUSED))
def a_message_has_at_most_256_kibibytes(bench: Bench) -> None:
    """A message of 262,144 bytes is taken, one more is not."""
    for size in (262_144, 262_145):
        _publish(bench, Message="x" * size)


@behaviour(CHAPTER, 'Amazon SNS developer guide, "Message attributes"', None)
def an_attribute_is_not_empty(bench: Bench) -> None:
    """An empty attribute is refused; a list of texts is taken."""
    for kind, value in (("String", ""), ("String.Array", '["a", "b"]')):
        attributes = {"outcome": {"DataType": kind, "StringValue": value}}
        _publish(bench, Message="text", MessageAttributes=attributes)


@behaviour(CHAPTER, 'Amazon SNS developer guide, "Subscription filter policies"', ("yes", "yes", "yes"))
def a_subscriber_gets_the_messages_of_its_owner(bench: Bench) -> None:
    """A subscription with `owner` in its filter gets the messages of that owner, and none without the attribute.

    With `exists: false` beside it, it gets those without the attribute, too.
    """
    filters = {"own": ["team"], "both": [{"exists": False}, "team"]}
    queues = {name: _subscriber(bench, name, {"owner": values}) for name, values in filters.items()}
    for owner in ("other", "team", ""):
        attributes = {"owner": {"DataType": "String", "StringValue": owner}} if owner else {}
        bench.do(
            "sns", "Publish", TopicArn=_topic(bench), Message=owner or "nobody", MessageAttributes=attributes
        )
    got = {name: _received(bench, queue) for name, queue in queues.items()}
    bench.observe("the owner's message comes", "team" in got["own"] and "team" in got["both"])
    bench.observe("that of another owner does not", "other" not in got["own"] | got["both"])
    bench.observe(
        "one without an owner comes only to who asks", "nobody" in got["both"] and "nobody" not in got["own"]
    )


def _subscriber(bench: Bench, name: str, policy: dict[str, Any]) -> str:
    """Make a queue that gets the topic's messages by this filter; return its address."""
    queue, topic = f"{bench.run}-{name}", _topic(bench)
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": bench.arn("sqs", queue),
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})

    def delete() -> None:
        bench.do("sqs", "DeleteQueue", QueueUrl=bench.do("sqs", "GetQueueUrl", QueueName=queue)["QueueUrl"])

    made = bench.make(
        f"queue {queue}", delete, "sqs", "CreateQueue", QueueName=queue, Attributes={"Policy": document}
    )
    attributes = {"FilterPolicy": json.dumps(policy), "RawMessageDelivery": "true"}
    bench.do(
        "sns",
        "Subscribe",
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=bench.arn("sqs", queue),
        Attributes=attributes,
    )
    return str(made["QueueUrl"])


def _received(bench: Bench, queue: str) -> set[str]:
    """Return the texts that come within some seconds."""
    found: set[str] = set()
    for _ in range(1 if bench.is_loopback else 4):
        wait = 0 if bench.is_loopback else 5
        answer = bench.do(
            "sqs", "ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=wait
        )
        found |= {one["Body"] for one in answer.get("Messages", ())}
    return found


def _publish(bench: Bench, **parameters: Any) -> None:
    bench.ask("sns", "Publish", TopicArn=_topic(bench), **parameters)


def _topic(bench: Bench) -> str:
    made: str = bench.shared("topic", lambda: _make(bench))
    return made


def _make(bench: Bench) -> str:
    arn = bench.arn("sns", bench.run)
    delete = partial(bench.do, "sns", "DeleteTopic", TopicArn=arn)
    bench.make(f"topic {bench.run}", delete, "sns", "CreateTopic", Name=bench.run)
    return arn
