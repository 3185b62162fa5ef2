"""Executions that end without closing their release: it goes on in another attempt, once, whoever notices first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imagegate.aws.stepfunctions import StepFunctionsWorkflow
from imagegate.errors import InvalidEventError, NewerRequestError
from imagegate.events.watched import parse_watched
from imagegate.oci.image import ImageRef
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason
from imagegate.release.start import TAKEN_OVER, Ignore
from imagegate.workflow.reasons import RequestedRelease, StartOnEvent
from imagegate.workflow.stopped import NotAnnouncedError
from tests.component.modelled_aws import ModelledAws, refused
from tests.component.modelled_aws import modelled as modelled
from tests.component.one_gate import World
from tests.fakes import DEV, NOW

SAMPLE = Path(__file__).parents[2] / "events/step_functions_execution_aborted.json"
LATE = NOW + timedelta(minutes=20)
ARN = "arn:aws:states:eu-central-1:123456789012:stateMachine:release"


@pytest.fixture
def world() -> World:
    return World()


def begun(world: World) -> ImageRef:
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    return image


def stop(world: World, image: ImageRef, attempt: int = 1) -> ReleaseId:
    """Stop the execution, as somebody does in the console; no event is sent yet."""
    release = ReleaseId(image, attempt)
    world.workflow.ended.add(world.ledger.get(release).execution_name)
    return release


def tell(world: World, release: ReleaseId) -> bool:
    """Deliver the event, and the requests that it leads to."""
    told = world.reconciling().on_event(release, LATE)
    deliver(world)
    return told


def deliver(world: World) -> None:
    step = StartOnEvent(start=world.starting(), grants=world.grants)
    while world.starter.requests:
        image, tags, reason = world.starter.requests.pop()
        step.run(RequestedRelease(image, tags, StartReason(reason)), LATE)


def attempts(world: World, image: ImageRef) -> list[tuple[int, StartReason, Outcome | None]]:
    history = world.ledger.history(image).attempts
    return [(one.attempt, one.reason, one.outcome) for one in reversed(history)]


ONCE = [(1, StartReason.PUSH, Outcome.FAILED), (2, StartReason.LOST_EXECUTION, None)]


def test_a_stopped_release_goes_on_in_another_attempt(world: World) -> None:
    image = begun(world)
    stopped = stop(world, image)
    assert tell(world, stopped)
    assert attempts(world, image) == ONCE
    assert world.ledger.get(stopped).detail == TAKEN_OVER
    assert world.notifications.messages == []  # people hear how the release ends


def test_the_same_event_again_and_late_changes_nothing(world: World) -> None:
    image = begun(world)
    stopped = stop(world, image)
    for _ in range(2):
        world.reconciling().on_event(stopped, LATE)
    deliver(world)
    for _ in range(2):
        tell(world, stopped)
    assert attempts(world, image) == ONCE


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.BLOCKED])
def test_an_execution_that_ended_properly_starts_nothing(world: World, outcome: Outcome) -> None:
    image, _ = world.judged()
    world.ledger.close(ReleaseId(image, 1), outcome, None, NOW, "")
    world.ledger.note_announcement(ReleaseId(image, 1), "message")
    assert not tell(world, stop(world, image))
    assert [one for one, *_ in attempts(world, image)] == [1]


@pytest.mark.parametrize("is_told", [True, False])
def test_a_release_that_is_stopped_twice_ends_as_failed_and_people_are_told(
    world: World, *, is_told: bool
) -> None:
    image = begun(world)
    tell(world, stop(world, image))
    second = stop(world, image, 2)
    if is_told:
        tell(world, second)
        tell(world, second)
    else:
        world.reconcile(LATE + timedelta(hours=1))
        deliver(world)
    assert attempts(world, image)[1:] == [(2, StartReason.LOST_EXECUTION, Outcome.FAILED)]
    (message,) = world.notifications.messages
    assert message.attributes["alert"] == "alert"
    assert message.detail["outcome"] == "failed"
    assert "LostExecution" in message.text
    assert f"imagegate release {DEV}" in message.text


def test_only_a_person_begins_another_attempt_after_two_losses(world: World) -> None:
    image = begun(world)
    tell(world, stop(world, image))
    stop(world, image, 2)
    assert isinstance(world.start(image), Ignore)
    again = world.starting().on_request(image, ["1.0"], StartReason.OPERATOR, LATE)
    assert isinstance(again, Release)
    assert attempts(world, image)[1:] == [
        (2, StartReason.LOST_EXECUTION, Outcome.FAILED),
        (3, StartReason.OPERATOR, None),
    ]


def test_the_reconciler_finds_what_no_event_told_once_a_start_has_had_its_time(world: World) -> None:
    stopped, never_started, running = (world.registry.push_image(DEV, tag, seed=tag) for tag in "123")
    for image, tag in ((stopped, "1"), (never_started, "2"), (running, "3")):
        world.start(image, tag)
    stop(world, stopped)
    del world.workflow.started[world.ledger.get(ReleaseId(never_started, 1)).execution_name]
    assert world.reconcile(NOW + timedelta(minutes=10)).resumed == 0
    assert world.reconcile(LATE).resumed == 2
    deliver(world)
    assert attempts(world, stopped) == ONCE
    assert attempts(world, never_started) == attempts(world, running) == [(1, StartReason.PUSH, None)]
    assert world.ledger.get(ReleaseId(never_started, 1)).execution_name in world.workflow.started


def test_a_list_of_executions_that_cannot_be_read_is_no_reason_to_begin_anything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = begun(world)
    stop(world, image)

    def broken() -> Iterator[str]:
        yield "one"
        raise RuntimeError("no more")

    monkeypatch.setattr(world.workflow, "running", broken)
    assert world.reconcile(LATE).resumed == 0
    assert world.starter.requests == []


def test_an_image_that_is_gone_ends_as_well(world: World) -> None:
    image = begun(world)
    world.registry.delete(image)
    tell(world, stop(world, image))
    assert attempts(world, image) == ONCE
    assert world.judge(image, 2).outcome is Outcome.WITHDRAWN


def test_a_start_that_is_killed_before_it_closes_the_lost_attempt_is_finished(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = begun(world)
    stopped = stop(world, image)
    with monkeypatch.context() as broken:
        broken.setattr(world.ledger, "close", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            tell(world, stopped)
    assert attempts(world, image) == [(1, StartReason.PUSH, None), (2, StartReason.LOST_EXECUTION, None)]
    world.reconcile(LATE + timedelta(minutes=20))
    deliver(world)
    assert attempts(world, image) == ONCE


def test_a_failure_that_could_not_be_announced_is_announced(world: World) -> None:
    image = begun(world)
    world.ledger.close(ReleaseId(image, 1), Outcome.FAILED, None, NOW, "SnsError: no")
    assert tell(world, stop(world, image))
    assert [message.detail["cause"] for message in world.notifications.messages] == ["SnsError: no"]


def test_an_ending_that_only_another_attempt_can_announce_becomes_a_dead_letter(world: World) -> None:
    image = world.signed()
    world.ledger.close(ReleaseId(image, 1), Outcome.RELEASED, None, NOW, "")
    with pytest.raises(NotAnnouncedError, match="imagegate release"):
        tell(world, stop(world, image))


def test_an_execution_of_no_release_is_none_of_ours(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    assert not tell(world, ReleaseId(image, 1))
    assert world.starter.requests == []


def test_the_event_names_the_release_by_the_input_of_the_execution() -> None:
    event = json.loads(SAMPLE.read_text())
    given = json.loads(event["detail"]["input"])["release"]
    assert parse_watched(event) == ReleaseId(ImageRef.of(given["repository"], given["digest"]), 1)


@pytest.mark.parametrize("given", [None, "", "no JSON", "{}", '{"schema": 1, "release": "x"}', "[]"])
def test_an_event_without_the_input_of_a_release_is_refused(given: object) -> None:
    event = json.loads(SAMPLE.read_text())
    event["detail"]["input"] = given
    with pytest.raises(InvalidEventError):
        parse_watched(event)


def test_the_input_of_a_newer_version_waits_for_it() -> None:
    event = json.loads(SAMPLE.read_text())
    event["detail"]["input"] = '{"schema": 2}'
    with pytest.raises(NewerRequestError):
        parse_watched(event)


@pytest.fixture
def step_functions(modelled: ModelledAws, monkeypatch: pytest.MonkeyPatch) -> ModelledAws:
    monkeypatch.setattr("imagegate.aws.stepfunctions.client", modelled.client)
    return modelled


def test_all_pages_of_running_executions_are_read(step_functions: ModelledAws) -> None:
    pages = {None: ("a", "next"), "next": ("b", None)}

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        assert (request["stateMachineArn"], request["statusFilter"]) == (ARN, "RUNNING")
        name, following = pages[request.get("nextToken")]
        one = {
            "executionArn": f"{ARN}:{name}",
            "stateMachineArn": ARN,
            "name": name,
            "status": "RUNNING",
            "startDate": NOW,
        }
        return {"executions": [one], **({"nextToken": following} if following else {})}

    step_functions.answers["stepfunctions:ListExecutions"] = answer
    assert list(StepFunctionsWorkflow(ARN).running()) == ["a", "b"]


def test_an_execution_that_step_functions_does_not_know_does_not_run(step_functions: ModelledAws) -> None:
    def unknown(_: dict[str, Any]) -> dict[str, Any]:
        raise refused(step_functions.client("stepfunctions"), "DescribeExecution", "ExecutionDoesNotExist")

    step_functions.answers["stepfunctions:DescribeExecution"] = unknown
    assert not StepFunctionsWorkflow(ARN).is_running("a")
