"""Dead letters: one unwrapper for the envelopes in which services put what they could not deliver.

- A rule or schedule of EventBridge: the body is the event, the message attributes have the error (EventBridge user
  guide, "Using dead-letter queues to process undelivered events").
- A failure destination of AWS Lambda: the body wraps the event as `requestPayload` (Lambda developer guide, "Capturing
  records of Lambda asynchronous invocations").
- A dead-letter queue of AWS Lambda: the body is the event, other message attributes have the error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from imagegate.canonical_json import parse_timestamp, timestamp
from imagegate.errors import ImageGateError, RejectedInputError
from imagegate.oci.image import ImageRef

# Of no event that a release begins or goes on with: what replaces them.
_REPLACED = {
    "Scheduled Event": "The next run of the schedule replaces it.",
    "DELETE": "The reconciler reports a deleted image within the hour.",
    "AWS API Call via CloudTrail": "Who pushed this image is not known: let somebody approve it who did not.",
    "ECS Task State Change": "A task is checked when it starts: start it again to have it checked.",
    "Inspector2 Finding": "Each image in use is judged again every day.",
    "CloudFormation": "Deploy the stack again.",
}
_UNKNOWN = "imagegate does not know it: read it with imagegate dlq show."


class Event(StrEnum):
    """The kind of an event, as far as it can be replaced by starting a release again."""

    ARRIVAL = "arrival"  # an image was pushed, replicated or pulled through a cache
    SCAN = "scan"
    STOPPED = "stopped"  # an execution ended, perhaps without an outcome of its release
    REQUEST = "request"  # one of our functions requested a release
    SETTINGS = "settings"  # somebody changed a repository or the registry
    AUDIT = "audit"  # a step of an audit
    BOARD = "board"  # the board was to be made anew
    OTHER = "other"


# Of kinds that need no release: what replaces them.
_WITHOUT_RELEASE = {
    Event.SETTINGS: "The daily comparison reports what differs, but not who did it: imagegate baseline plan.",
    Event.AUDIT: "The next audit replaces it; imagegate audit makes a report now.",
    Event.BOARD: "The board is made anew within the hour; imagegate board makes one now.",
}


@dataclass(frozen=True, slots=True)
class OpenedEnvelope:
    """One service's envelope, opened: the event, the function that did not handle it, and the error."""

    event: Any
    function: str
    error: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of the dead-letter queue. `receipt` is the handle by which this reader may delete it."""

    id: str
    receipt: str
    since: datetime  # when it came into the queue
    envelope: OpenedEnvelope
    kind: Event
    name: str  # of the event, as its sender calls it
    image: ImageRef | None
    happened_at: datetime

    @property
    def remedy(self) -> str:
        """The advice about it, as a sentence."""
        if self.kind is Event.OTHER:
            return _REPLACED.get(self.name, _UNKNOWN)
        if self.kind in _WITHOUT_RELEASE:
            return _WITHOUT_RELEASE[self.kind]
        return "imagegate dlq redrive starts the release of this image again, if it still needs it."

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "since": timestamp(self.since),
            "event": self.name,
            "kind": str(self.kind),
            "function": self.envelope.function,
            "error": self.envelope.error,
            "image": str(self.image) if self.image else None,
            "happenedAt": timestamp(self.happened_at),
            "remedy": self.remedy,
            "body": self.envelope.event,
        }


def read_message(message: Mapping[str, Any]) -> DeadLetter:
    """Read one message as `ReceiveMessage` of Amazon SQS returns it, with all attributes. No message is an error."""
    sent = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) // 1000, UTC)
    attributes = {
        name: one.get("StringValue", "") for name, one in message.get("MessageAttributes", {}).items()
    }
    envelope = open_envelope(message["Body"], attributes)
    kind, name, image = _read_event(envelope.event)
    return DeadLetter(
        id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        since=sent,
        envelope=envelope,
        kind=kind,
        name=name,
        image=image,
        happened_at=_time_of(envelope.event) or sent,
    )


def open_envelope(body: str, attributes: Mapping[str, str]) -> OpenedEnvelope:
    """Return what the envelope holds; a body that is no JSON is the event itself, as text."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = body
    if (
        isinstance(document, dict)
        and isinstance(document.get("requestContext"), dict)
        and "requestPayload" in document
    ):
        return _from_destination(document)
    if "RULE_ARN" in attributes or "TARGET_ARN" in attributes:
        error = ": ".join(filter(None, (attributes.get("ERROR_CODE"), attributes.get("ERROR_MESSAGE"))))
        return OpenedEnvelope(
            document, _function_name(attributes.get("TARGET_ARN", "")), error or "not delivered"
        )
    error = ": ".join(filter(None, (attributes.get("ErrorCode"), attributes.get("ErrorMessage"))))
    return OpenedEnvelope(document, "", error or "unknown")


def _from_destination(record: dict[str, Any]) -> OpenedEnvelope:
    context, response = record["requestContext"], record.get("responsePayload")
    error = str(context.get("condition", ""))
    if isinstance(response, dict) and "errorType" in response:
        error = f"{response['errorType']}: {response.get('errorMessage', '')}"
    return OpenedEnvelope(
        record["requestPayload"], _function_name(str(context.get("functionArn", ""))), error
    )


def _function_name(arn: str) -> str:
    """Return the name in `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME:QUALIFIER`, else the text itself."""
    parts = arn.split(":")
    return parts[6] if len(parts) > 6 and parts[5] == "function" else arn


def _read_event(event: Any) -> tuple[Event, str, ImageRef | None]:
    """Return the kind of the event, its name, and its image if it has one."""
    from imagegate.events.eventbridge import (
        EXECUTION_STATUS,
        parse_arrival,
        parse_execution,
        parse_put_image,
        parse_scan,
    )
    from imagegate.events.step_requests import StartEnvelope

    if not isinstance(event, dict):
        return Event.OTHER, "unknown", None
    name = str(event.get("detail-type", ""))
    try:
        if "request" in event:
            request = StartEnvelope.parse(event).request
            return Event.REQUEST, f"request: {request.reason}", request.image
        if known := _read_without_release(event):
            return *known, None
        if name == EXECUTION_STATUS:
            return Event.STOPPED, name, parse_execution(event).image
        if name in ("ECR Image Scan", "Inspector2 Scan"):
            return Event.SCAN, name, parse_scan(event)
        if name == "ECR Image Action" and event["detail"].get("action-type") != "PUSH":
            return Event.OTHER, "DELETE", parse_scan(event)
        if pusher := parse_put_image(event):
            return Event.OTHER, name, pusher.image
        if name.startswith("ECR "):
            return Event.ARRIVAL, name, parse_arrival(event).image
    except (ImageGateError, KeyError, AttributeError, TypeError):
        return Event.OTHER, "unknown", None
    return Event.OTHER, name or ("CloudFormation" if "ResponseURL" in event else "unknown"), None


def _read_without_release(event: dict[str, Any]) -> tuple[Event, str] | None:
    """Return the kind and the name of an event that is about no release, or None. Raises `RejectedInputError`."""
    from imagegate.baseline.drift import SETTING_CALLS
    from imagegate.events.eventbridge import CLOUDTRAIL
    from imagegate.events.step_requests import AuditRequest
    from imagegate.events.watched import parse_settings_call

    if "step" in event:
        return Event.AUDIT, f"audit: {AuditRequest.parse(event).step}"
    if event.get("source") == "imagegate":
        return Event.BOARD, str(event.get("detail-type", ""))
    if event.get("detail-type") == CLOUDTRAIL and event["detail"].get("eventName") in SETTING_CALLS:
        call = parse_settings_call(event)
        return Event.SETTINGS, f"{call.operation}: {call.subject}"
    return None


def _time_of(event: Any) -> datetime | None:
    """Return the time of an event of EventBridge, or None."""
    try:
        return parse_timestamp(event["time"])
    except (TypeError, KeyError, RejectedInputError):
        return None
