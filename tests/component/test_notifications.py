"""The messages at the end of a release: one for people, one event for deployers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from imagegate.aws import clients as aws
from imagegate.aws.sns import EventRefusedError, SnsNotifications
from imagegate.errors import ThrottledError
from imagegate.notices.announcement import announce
from imagegate.notices.digest import Digested, DigestRow, daily_digest
from imagegate.notices.later_mail import without_mail
from imagegate.notices.message import Message, event_detail
from imagegate.oci.image import Digest, ImageRef
from imagegate.ports.services import Notifications
from imagegate.release.release import Outcome, Release, StartReason

DAY = date(2026, 11, 21)
IMAGE = ImageRef("shop-dev", Digest.of(b"image"))
RELEASE = Release(
    image=IMAGE,
    attempt=1,
    stage="dev",
    policy=Digest.of(b"policy"),
    tags=frozenset({"v1"}),
    reason=StartReason.PUSH,
    started_at=datetime(2026, 11, 21, tzinfo=UTC),
    outcome=Outcome.BLOCKED,
    verdict="BLOCK",
    reasons=({"rule": "findings.critical", "message": "1 CRITICAL (at most 0)", "action": "enforce"},),
)

pytestmark = pytest.mark.usefixtures("aws_account")


@pytest.fixture
def blocked() -> Message:
    return announce(RELEASE, Outcome.BLOCKED)


@dataclass
class Subscribed:
    """Queues behind the topic and behind a rule for our events."""

    topic: str
    sqs: Any
    messages: str
    events: str

    def received(self, queue: str) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


@pytest.fixture
def subscribed(aws_account: None) -> Iterator[Subscribed]:
    with mock_aws():
        sns: Any = boto3.client("sns")
        sqs: Any = boto3.client("sqs")
        rules: Any = boto3.client("events")
        topic = sns.create_topic(Name="alerts")["TopicArn"]
        messages, events = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("messages", "events"))
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn(sqs, messages))
        rules.put_rule(Name="ours", EventPattern=json.dumps({"source": ["imagegate"]}))
        rules.put_targets(Rule="ours", Targets=[{"Id": "queue", "Arn": arn(sqs, events)}])
        yield Subscribed(topic, sqs, messages, events)


def arn(sqs: Any, queue: str) -> str:
    answer = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    return str(answer["Attributes"]["QueueArn"])


def test_a_message_can_be_filtered_and_read_by_machines(subscribed: Subscribed, blocked: Message) -> None:
    notifications: Notifications = SnsNotifications(subscribed.topic)
    message_id = notifications.publish(blocked)
    (message,) = subscribed.received(subscribed.messages)
    assert (message["MessageId"], message["Subject"]) == (message_id, blocked.subject)
    assert json.loads(message["Message"]) == blocked.detail
    assert {name: sent["Value"] for name, sent in message["MessageAttributes"].items()} == blocked.attributes


def test_deployers_get_an_event_on_the_default_bus(subscribed: Subscribed, blocked: Message) -> None:
    SnsNotifications(subscribed.topic).publish(blocked)
    (event,) = subscribed.received(subscribed.events)
    assert (event["source"], event["detail-type"]) == ("imagegate", "Image Blocked")
    assert event["detail"] == event_detail(blocked)
    assert blocked.detail.items() <= event["detail"].items()


def test_a_team_gets_its_own_messages_only(subscribed: Subscribed, blocked: Message) -> None:
    boto3.client("sns").set_subscription_attributes(
        SubscriptionArn=boto3.client("sns").list_subscriptions()["Subscriptions"][0]["SubscriptionArn"],
        AttributeName="FilterPolicy",
        AttributeValue=json.dumps({"owner": ["payments"], "alert": ["alert", "block"]}),
    )
    for owner in ("payments", "others", None):
        SnsNotifications(subscribed.topic, {"shop-dev": owner}.get).publish(blocked)
    (message,) = subscribed.received(subscribed.messages)
    assert message["MessageAttributes"]["owner"]["Value"] == "payments"


def test_a_team_that_subscribes_as_the_page_says_gets_its_own_digest_only(subscribed: Subscribed) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/send-messages.md").read_text()
    [attributes] = re.findall(r"--attributes '(.*)'", page)
    boto3.client("sns").set_subscription_attributes(
        SubscriptionArn=boto3.client("sns").list_subscriptions()["Subscriptions"][0]["SubscriptionArn"],
        AttributeName="FilterPolicy",
        AttributeValue=json.loads(attributes)["FilterPolicy"],
    )
    digested = Digested(DAY, DAY, waiting=[DigestRow("shop-dev", "shop-dev:1.0 into staging")])
    for owner in ("payments", "platform", ""):
        SnsNotifications(subscribed.topic).publish(daily_digest(digested, owner))
    (message,) = subscribed.received(subscribed.messages)
    assert message["Subject"].startswith(f"DIGEST {DAY} for payments: 1 waits for approval")


def test_a_team_that_subscribes_as_the_page_says_gets_no_mail_that_comes_in_its_summary(
    subscribed: Subscribed, blocked: Message
) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/send-messages.md").read_text()
    [attributes] = re.findall(r"--attributes '(.*)'", page)
    boto3.client("sns").set_subscription_attributes(
        SubscriptionArn=boto3.client("sns").list_subscriptions()["Subscriptions"][0]["SubscriptionArn"],
        AttributeName="FilterPolicy",
        AttributeValue=json.loads(attributes)["FilterPolicy"],
    )
    for message in (blocked, without_mail(blocked, for_owner=False), without_mail(blocked, for_owner=True)):
        SnsNotifications(subscribed.topic, {"shop-dev": "payments"}.get).publish(message)
    received = subscribed.received(subscribed.messages)
    later = [one["MessageAttributes"].get("later", {}).get("Value") for one in received]
    assert sorted(map(str, later)) == ["None", "all"]
    events = subscribed.received(subscribed.events)
    assert [event["detail"] for event in events] == [events[0]["detail"]] * 3


def test_a_message_names_the_owner_of_its_repository(subscribed: Subscribed, blocked: Message) -> None:
    SnsNotifications(subscribed.topic, {"shop-dev": "payments"}.get).publish(blocked)
    (message,) = subscribed.received(subscribed.messages)
    (event,) = subscribed.received(subscribed.events)
    assert message["MessageAttributes"]["owner"]["Value"] == event["detail"]["owner"] == "payments"


@pytest.mark.parametrize(
    ("code", "error"), [("ThrottlingException", ThrottledError), ("MalformedDetail", EventRefusedError)]
)
def test_an_event_that_was_not_taken_is_an_error_before_anybody_gets_a_mail(
    blocked: Message, code: str, error: type[Exception]
) -> None:
    answer = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": code, "ErrorMessage": "no"}]}
    with Stubber(aws.client("events")) as events, Stubber(aws.client("sns")):
        events.add_response("put_events", answer)
        with pytest.raises(error, match=code):
            SnsNotifications("arn:aws:sns:us-east-1:123456789012:alerts").publish(blocked)
