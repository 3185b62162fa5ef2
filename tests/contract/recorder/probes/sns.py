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
