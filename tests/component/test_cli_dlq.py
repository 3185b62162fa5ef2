"""`imagegate dlq`: every envelope is opened, reading takes nothing away, and a release starts by its image alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imagegate.canonical_json import timestamp
from imagegate.oci.image import ImageRef
from imagegate.release.release import ReleaseId
from imagegate_cli.dead_letters.letter import read_message
from tests.component.cli_gate import CliGate, gate
from tests.fakes import DEV, NOW

__all__ = ["gate"]

EVENTS = Path(__file__).parents[2] / "events"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:imagegate-StartReleaseFunction-x1"
Put = Callable[..., str]


@pytest.fixture
def queue(gate: CliGate, aws_account: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a queue of moto, which needs no long polls."""
    monkeypatch.setattr("imagegate_cli.dead_letters.queue._POLL_SECONDS", 0)
    with mock_aws():
        sqs = boto3.client("sqs")
        gate.outputs["DeadLettersQueue"] = sqs.create_queue(QueueName="dead")["QueueUrl"]
        yield sqs


@pytest.fixture
def put(gate: CliGate, queue: Any) -> Put:
    def put_message(body: Any, **attributes: str) -> str:
        sent = queue.send_message(
            QueueUrl=gate.outputs["DeadLettersQueue"],
            MessageBody=body if isinstance(body, str) else json.dumps(body),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )
        return str(sent["MessageId"])

    return put_message


def by_rule(put: Put, event: Any) -> str:
    error = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "not authorized", "RETRY_ATTEMPTS": "0"}
    return put(event, RULE_ARN="arn:aws:events:r:1:rule/x", TARGET_ARN=f"{FUNCTION}:live", **error)


def by_destination(put: Put, event: Any) -> str:
    context = {"requestId": "1", "functionArn": f"{FUNCTION}:live", "condition": "RetriesExhausted"}
    response = {"errorType": "ServiceUnavailableError", "errorMessage": "dynamodb:Query answered 503"}
    record = {"version": "1.0", "requestContext": context, "requestPayload": event}
    return put({**record, "responseContext": {"functionError": "Unhandled"}, "responsePayload": response})


def by_lambda_queue(put: Put, event: Any) -> str:
    return put(event, RequestID="1", ErrorCode="200", ErrorMessage="TimedOut")


ENVELOPES = {
    by_rule: ("imagegate-StartReleaseFunction-x1", "NO_PERMISSIONS: not authorized"),
    by_destination: (
        "imagegate-StartReleaseFunction-x1",
        "ServiceUnavailableError: dynamodb:Query answered 503",
    ),
    by_lambda_queue: ("", "200: TimedOut"),
}


def pushed(image: ImageRef, **detail: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / "ecr_image_action_push.json").read_text())
    named = {"repository-name": image.repository, "image-digest": str(image.digest)}
    return {**event, "time": timestamp(NOW), "detail": {**event["detail"], **named, **detail}}


def scanned(image: ImageRef, name: str = "ecr_image_scan_complete_basic") -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    named = {"repository-name": image.repository, "image-digest": str(image.digest)}
    return {**event, "time": timestamp(NOW), "detail": {**event["detail"], **named}}


def stopped(image: ImageRef) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / "step_functions_execution_aborted.json").read_text())
    named = {"repository": image.repository, "digest": str(image.digest), "attempt": 1}
    given = json.dumps({"schema": 1, "release": named, "scanTimeoutSeconds": 1800})
    return {**event, "time": timestamp(NOW), "detail": {**event["detail"], "input": given}}


def requested(image: ImageRef) -> dict[str, Any]:
    wanted = {
        "repository": image.repository,
        "digest": str(image.digest),
        "tags": ["1.0"],
        "reason": "new waiver",
    }
    return {"schema": 1, "request": wanted}


def left(gate: CliGate) -> list[str]:
    return [one["id"] for one in gate.call("dlq", "list", "--json").json]


def image_of(gate: CliGate, tag: str = "1.0") -> ImageRef:
    return gate.world.registry.push_image(DEV, tag, seed=tag, at=NOW)


# Reading


@pytest.mark.parametrize("envelope", ENVELOPES, ids=lambda one: one.__name__)
@pytest.mark.parametrize(
    ("event", "kind"),
    [(pushed, "arrival"), (scanned, "scan"), (stopped, "stopped"), (requested, "request")],
    ids=["push", "scan", "stopped execution", "request"],
)
def test_every_envelope_is_opened(gate: CliGate, put: Put, envelope: Any, event: Any, kind: str) -> None:
    image = image_of(gate)
    id_ = envelope(put, event(image))
    [letter] = gate.call("dlq", "list", "--json").json
    function, error = ENVELOPES[envelope]
    assert (letter["id"], letter["kind"], letter["image"]) == (id_, kind, str(image))
    assert (letter["function"], letter["error"]) == (function, error)
    assert letter["body"] == event(image)


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_event_that_a_function_takes_is_shown_with_what_to_do(
    gate: CliGate, put: Put, path: Path
) -> None:
    id_ = by_rule(put, json.loads(path.read_text()))
    shown = gate.call("dlq", "show", id_[:8])
    assert shown.code == 0
    assert "remedy" in shown.out
    assert shown.out.index("body") < shown.out.index("{")


@pytest.mark.parametrize(
    ("sample", "kind", "name", "command"),
    [
        (
            "cloudtrail_put_image_tag_mutability",
            "settings",
            "PutImageTagMutability: shop-dev",
            "imagegate baseline plan",
        ),
        ("audit", "audit", "audit: audit", "imagegate audit"),
        ("image_at_risk", "board", "Image At Risk", "imagegate board"),
    ],
)
def test_an_event_that_needs_no_release_is_named_and_kept_with_the_command_that_replaces_it(
    gate: CliGate, put: Put, sample: str, kind: str, name: str, command: str
) -> None:
    id_ = by_destination(put, json.loads((EVENTS / f"{sample}.json").read_text()))
    [planned] = gate.call("dlq", "redrive", "--all", "--yes", "--json").json
    assert (planned["kind"], planned["event"], planned["step"]) == (kind, name, "keep")
    assert planned["why"] == planned["remedy"]
    assert command in planned["remedy"]
    assert left(gate) == [id_]


def test_every_rule_of_the_stack_has_events_that_are_named(gate: CliGate, put: Put) -> None:
    """Requests to function URLs and steps of releases are answered to their caller: they never come here."""
    samples = {path.stem: json.loads(path.read_text()) for path in EVENTS.glob("*.json")}
    for event in (one for one in samples.values() if "detail-type" in one):
        by_rule(put, event)
    letters = gate.call("dlq", "list", "--json").json
    assert letters
    for letter in letters:
        assert letter["event"] != "unknown", letter
        assert "does not know it" not in letter["remedy"], letter


@pytest.mark.parametrize(
    "body",
    ["", "no json", "[]", "null", '"text"', '{"requestContext": 1, "requestPayload": 2}', '{"detail-type": 7}',
     '{"detail-type": "ECR Image Action", "detail": null}', '{"request": {}}', '{"time": 1, "detail-type": "x"}',
     '{"step": 7}', json.dumps({"requestContext": {}, "requestPayload": {"\x1b[2J": "\u202e"}})],
)  # fmt: skip
def test_an_unknown_body_is_kept_and_harms_no_other(gate: CliGate, put: Put, body: str) -> None:
    id_ = put(body or " ")
    by_rule(put, pushed(image_of(gate)))
    result = gate.call("dlq", "redrive", "--all", "--yes")
    assert (result.code, left(gate)) == (1, [id_])
    assert "\x1b" not in gate.call("dlq", "show", id_).out
    assert len(gate.world.starter.requests) == 1


def test_reading_takes_nothing_away(gate: CliGate, put: Put) -> None:
    ids = {by_rule(put, pushed(image_of(gate, f"{number}"))) for number in range(23)}
    for _ in range(2):
        assert set(left(gate)) == ids
    table = gate.call("dlq", "list")
    assert all(id_[:8] in table.out for id_ in ids)
    assert gate.call("dlq", "redrive", "--all", "--dry-run").code == 0
    assert (set(left(gate)), gate.world.starter.requests) == (ids, [])


def test_an_empty_queue_is_said(gate: CliGate, queue: Any) -> None:
    assert gate.call("dlq", "list").err == "no event is in the queue\n"
    assert gate.call("dlq", "list", "--json").json == []


# Redriving


@pytest.mark.parametrize("event", [pushed, requested], ids=["push", "request"])
def test_a_release_starts_again_by_the_tags_that_the_image_has_now(
    gate: CliGate, put: Put, event: Any
) -> None:
    image = image_of(gate, "2.0")  # the events say 1.0 or latest
    by_destination(put, event(image))
    result = gate.call("dlq", "redrive", "--all", "--yes", "--json")
    assert (result.code, [one["step"] for one in result.json]) == (0, ["start"])
    assert gate.world.starter.requests == [(image, ("2.0",), "operator")]
    assert left(gate) == []


def test_a_letter_is_deleted_only_after_its_request_was_accepted(
    gate: CliGate, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = by_rule(put, pushed(image_of(gate)))

    def refuse(*_request: object) -> None:
        raise RuntimeError("not accepted")

    monkeypatch.setattr(gate.world.starter, "request", refuse)
    assert gate.call("dlq", "redrive", id_, "--yes").code == 2
    assert left(gate) == [id_]


@pytest.mark.parametrize("ago", [timedelta(), -timedelta(hours=1)], ids=["with it", "after it"])
def test_an_image_that_was_judged_since_is_not_judged_again(gate: CliGate, put: Put, ago: timedelta) -> None:
    gate.now = NOW - ago
    image = gate.judged("1.0", ())
    by_rule(put, pushed(image))
    result = gate.call("dlq", "redrive", "--all", "--yes")
    assert (result.code, gate.world.starter.requests, left(gate)) == (0, [], [])
    assert "attempt 1 came after it: released" in result.out


def test_a_push_after_the_last_attempt_is_judged(gate: CliGate, put: Put) -> None:
    image = gate.judged("1.0", (), ago=timedelta(hours=1))
    by_rule(put, pushed(image))
    gate.call("dlq", "redrive", "--all", "--yes")
    assert len(gate.world.starter.requests) == 1


@pytest.mark.parametrize(
    "name", ["ecr_image_scan_complete_basic", "inspector2_scan", "inspector2_scan_versioned"]
)
def test_a_scan_matters_only_to_a_release_that_waited_for_it(gate: CliGate, put: Put, name: str) -> None:
    image = gate.judged("1.0", (), ago=timedelta(hours=1))
    by_rule(put, scanned(image, name))
    gate.call("dlq", "redrive", "--all", "--yes")
    assert (gate.world.starter.requests, left(gate)) == ([], [])
    late = image_of(gate, "2.0")
    gate.world.start(late, "2.0")
    by_rule(put, scanned(late, name))
    assert "joins" in gate.call("dlq", "redrive", "--all", "--yes").out
    assert [image for image, _, _ in gate.world.starter.requests] == [late]


def test_a_stopped_execution_matters_only_to_a_release_without_an_announced_end(
    gate: CliGate, put: Put
) -> None:
    image = gate.judged("1.0", (), ago=timedelta(hours=1))
    gate.world.ledger.note_announcement(ReleaseId(image, 1), "message")
    by_rule(put, stopped(image))
    gate.call("dlq", "redrive", "--all", "--yes")
    assert (gate.world.starter.requests, left(gate)) == ([], [])
    lost = image_of(gate, "2.0")
    gate.world.start(lost, "2.0")
    by_rule(put, stopped(lost))
    gate.call("dlq", "redrive", "--all", "--yes")
    assert gate.world.starter.requests == [(lost, ("2.0",), "operator")]


def test_letters_that_no_release_replaces_are_kept(gate: CliGate, put: Put) -> None:
    image = image_of(gate)
    gone, untagged = ImageRef.of(DEV, f"sha256:{'0' * 64}"), image_of(gate, "")
    deleted = pushed(image, **{"action-type": "DELETE"})
    letters = [deleted, pushed(gone), pushed(untagged), pushed(ImageRef.of("elsewhere", str(image.digest)))]
    ids = [by_rule(put, event) for event in letters]
    result = gate.call("dlq", "redrive", *ids, "--yes", "--json")
    assert (result.code, {one["step"] for one in result.json}) == (1, {"keep"})
    assert (set(left(gate)), gate.world.starter.requests) == (set(ids), [])


# Dropping


def test_a_letter_is_dropped_by_the_beginning_of_its_id_and_printed(gate: CliGate, put: Put) -> None:
    image = image_of(gate)
    id_, other = by_rule(put, pushed(image)), put("{}")
    dropped = gate.call("dlq", "drop", id_[:8], "--yes", "--json")
    assert [one["body"] for one in dropped.json] == [pushed(image)]
    assert left(gate) == [other]


@pytest.mark.parametrize("verb", ["drop", "redrive"])
@pytest.mark.parametrize("given", [(), ("--all", "1"), ("no-such-id", "--yes"), ("--all",)])
def test_nothing_is_done_without_clear_words(
    gate: CliGate, put: Put, verb: str, given: tuple[str, ...]
) -> None:
    id_ = by_rule(put, pushed(image_of(gate)))
    assert gate.call("dlq", verb, *given).code == 2
    assert (left(gate), gate.world.starter.requests) == ([id_], [])


STRANGE: tuple[Any, ...] = (
    *(None, [], {}, "", 0, True, 1.5, 10**30),
    "\ud800",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
)


def twins(value: Any) -> Iterator[Any]:
    """Yield the document with a strange value at each of its places."""
    yield from STRANGE
    places = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for place, member in places:
        for twin in twins(member):
            copy = value.copy()
            copy[place] = twin
            yield copy


@pytest.mark.parametrize("file", sorted(EVENTS.rglob("*.json")), ids=lambda file: file.stem)
def test_a_letter_of_any_content_is_read_and_shown(file: Path) -> None:
    """One message that nobody can read would hide all others."""
    event = json.loads(file.read_text(encoding="utf-8"))
    sent = {"MessageId": "m", "ReceiptHandle": "r", "Attributes": {"SentTimestamp": "1795000000000"}}
    for body in (*map(json.dumps, twins(event)), "[" * 100_000, "", "\ud800", '{"time": NaN}'):
        letter = read_message({**sent, "Body": body})
        assert json.dumps(letter.as_json())
        assert letter.remedy
