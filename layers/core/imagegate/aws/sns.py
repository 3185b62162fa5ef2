"""Announcements: an EventBridge event for deployers, an SNS message for people and their tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from imagegate.aws.clients import client, translated
from imagegate.errors import RejectedInputError, ThrottledError
from imagegate.notices.message import Message, as_sns_message, event_detail, with_board, with_owner

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

SOURCE = "imagegate"

# Amazon EventBridge API reference, PutEvents: error codes of entries that may be sent again as they are.
_TRANSIENT = frozenset({"InternalException", "InternalFailure", "ThrottlingException", "ServiceUnavailable"})


class EventRefusedError(RejectedInputError):
    """EventBridge refuses the event, and would refuse it again."""


class SnsNotifications:
    """Publishes to one topic and to the account's default bus.

    `owner_of` names the owner of a repository, if any; `board` is the link to the board, if there is one.
    """

    def __init__(
        self, topic_arn: str, owner_of: Callable[[str], str | None] = lambda _: None, board: str = ""
    ) -> None:
        self._topic_arn = topic_arn
        self._owner_of = owner_of
        self._board = board

    def publish(self, announcement: Message) -> str:
        """Publish the event before the message: if this is repeated, a second event costs less than a second mail."""
        routed = with_board(with_owner(announcement, self._owner_of), self._board)
        self._put_event(routed)
        return self.send(routed)

    def _put_event(self, announcement: Message) -> None:
        events: EventBridgeClient = client("events")
        with translated({}):
            response = events.put_events(
                Entries=[
                    {
                        "Source": SOURCE,
                        "DetailType": announcement.detail_type,
                        "Detail": json.dumps(event_detail(announcement), sort_keys=True),
                    }
                ]
            )
        # PutEvents answers 200 also if it did not take an entry.
        if response["FailedEntryCount"]:
            code = response["Entries"][0].get("ErrorCode", "unknown")
            message = f"{announcement.subject}: EventBridge did not take the event: {code}"
            raise (ThrottledError if code in _TRANSIENT else EventRefusedError)(message)

    def send(self, announcement: Message) -> str:
        """Send to the topic only."""
        sns: SNSClient = client("sns")
        attributes: dict[str, MessageAttributeValueTypeDef] = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in announcement.attributes.items()
        }
        with translated({}):
            response = sns.publish(
                TopicArn=self._topic_arn,
                Subject=announcement.subject,
                Message=as_sns_message(announcement),
                MessageStructure="json",
                MessageAttributes=attributes,
            )
        return response["MessageId"]
