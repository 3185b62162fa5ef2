"""Images that run without having passed: one message each, however many tasks and functions notice it, and whoever is
killed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event
from types import ModuleType
from typing import Any

import pytest

from imagegate.deadline import OverdueError, within
from imagegate.errors import InvalidEventError, ThrottledError
from imagegate.notices.deployment_notice import OnError
from imagegate.notices.message import Message
from imagegate.oci.reference import Container
from imagegate.settings import MissingSettingError
from imagegate.workflow.watch.deployment import SendOnce, not_checked
from tests.component.deployments import (
    CONTEXT,
    DEFINITION,
    HOOK,
    IMAGE,
    REVISION,
    Cluster,
    attempt,
    blocked,
    function,
    image_name,
)
from tests.fakes import NOW, FakeLedger, FakeNotifications

APP = Container("app", image_name(IMAGE), IMAGE.digest)
A_MINUTE_LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.known(blocked())
    cluster.serve(APP)
    return cluster


# Drift


def test_nothing_is_announced_of_an_image_that_passed(cluster: Cluster) -> None:
    cluster.known(attempt(2))
    cluster.services.definitions.clear()  # nobody even looks
    assert cluster.drift(cluster.task(1, APP)).rulings == ()
    assert cluster.notifications.messages == []


def test_ten_tasks_of_a_service_are_one_alert_and_another_service_is_another(cluster: Cluster) -> None:
    told = [cluster.drift(cluster.task(number, APP)).told for number in range(10)]
    assert told == [1] + [0] * 9
    assert cluster.drift(cluster.task(11, APP, group="family:batch")).told == 1
    web, batch = cluster.notifications.messages
    assert web.subject.startswith(f"RUNS UNGATED: web in prod: shop-dev@{IMAGE.digest.short}: did not pass")
    assert "runs in service web in cluster prod. Nothing was stopped." in web.text
    assert (
        "aws ecs stop-task --cluster prod --task arn:aws:ecs:eu-central-1:123456789012:task/prod/0"
        in web.text
    )
    assert f"imagegate status {IMAGE}" in web.text
    assert (web.detail_type, web.attributes["deployment"]) == ("Ungated Image Runs", "runs")
    assert "tasks family:batch in cluster prod" in batch.text
    assert web.detail["id"] != batch.detail["id"]


def test_a_new_verdict_is_news(cluster: Cluster) -> None:
    assert cluster.drift(cluster.task(1, APP)).told == 1
    cluster.known(attempt(2))
    assert cluster.drift(cluster.task(2, APP)).told == 0
    cluster.known(blocked(3))
    assert [cluster.drift(cluster.task(number, APP)).told for number in (3, 4)] == [1, 0]


def test_an_image_from_another_registry_is_announced_by_its_name(cluster: Cluster) -> None:
    side = Container("side", "nginx:1.27")
    cluster.serve(APP, side)
    drift = cluster.drift(cluster.task(1, APP, side))
    assert [one.rule for one in drift.rulings] == ["refused", "outside"]
    assert drift.told == 2
    assert "nginx:1.27: it is not in this registry" in cluster.notifications.messages[1].subject


def test_containers_that_amazon_ecs_adds_to_a_task_are_not_told(cluster: Cluster) -> None:
    agent = Container("aws-guardduty-agent-x", "593207742271.dkr.ecr.eu-central-1.amazonaws.com/agent:1")
    cluster.known(attempt(2))
    assert cluster.drift(cluster.task(1, APP, agent)).rulings == ()
    cluster.services.definitions.clear()  # deleted: then nobody knows, and a message is sent
    assert cluster.drift(cluster.task(2, APP, agent)).told == 1


# Once


class Down(FakeNotifications):
    def publish(self, announcement: Message) -> str:
        raise ThrottledError("slow down")


def test_of_two_that_notice_it_at_once_one_tells_it(cluster: Cluster) -> None:
    class Meanwhile(FakeNotifications):
        """Before this message is out, another function has noticed the same."""

        def publish(self, announcement: Message) -> str:
            others.append(cluster.drift(cluster.task(2, APP)).told)
            return super().publish(announcement)

    others: list[int] = []
    first = replace(cluster, notifications=Meanwhile())
    assert first.drift(first.task(1, APP)).told == 1
    assert others == [0]
    assert cluster.notifications.messages == []


def test_an_unsent_message_is_sent_by_the_next_call_a_minute_later(cluster: Cluster) -> None:
    broken = replace(cluster, notifications=Down())
    with pytest.raises(ThrottledError):
        broken.drift(broken.task(1, APP))
    assert cluster.drift(cluster.task(2, APP)).told == 0  # the first may still be at it
    assert cluster.drift(cluster.task(1, APP), A_MINUTE_LATER).told == 1
    assert cluster.drift(cluster.task(3, APP), NOW + timedelta(days=30)).told == 0


def test_one_message_that_cannot_be_sent_does_not_silence_the_others(cluster: Cluster) -> None:
    class Picky(FakeNotifications):
        def publish(self, announcement: Message) -> str:
            if announcement.detail["container"] == "app":
                raise ThrottledError("slow down")
            return super().publish(announcement)

    side = Container("side", "nginx")
    cluster.serve(APP, side)
    picky = replace(cluster, notifications=Picky())
    with pytest.raises(ThrottledError):
        picky.drift(picky.task(1, APP, side))
    assert [message.detail["container"] for message in picky.notifications.messages] == ["side"]


# When the check itself fails


@pytest.mark.parametrize(("on_error", "status"), [(OnError.CLOSED, "FAILED"), (OnError.OPEN, "SUCCEEDED")])
def test_a_deployment_that_could_not_be_checked_is_announced_even_without_a_ledger(
    on_error: OnError, status: str
) -> None:
    class Broken(FakeLedger):
        def claim(self, notice: str, now: datetime) -> bool:
            raise ThrottledError("no")

        def note(self, notice: str) -> None:
            raise ThrottledError("no")

    sent = FakeNotifications()
    answer = not_checked(None, ThrottledError("x" * 1000), on_error)
    assert answer.as_json()["hookStatus"] == status
    assert SendOnce(ledger=Broken(), notifications=sent).run(answer.alerts, NOW) == 1
    assert str(on_error) in sent.messages[0].text
    assert len(sent.messages[0].text) < 1500


def test_work_that_hangs_is_given_up() -> None:
    release = Event()
    with pytest.raises(OverdueError, match=r"no end within 0\.05 s"):
        within(0.05, release.wait)
    release.set()
    assert within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


# The function


@pytest.fixture
def module(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = function()
    for name, port in {
        "images": cluster.registry,
        "ledger": cluster.ledger,
        "grants": cluster.grants,
        "ecs": cluster.services,
        "notifications": cluster.notifications,
        "policy": cluster.policy,
        "now": NOW,
    }.items():
        monkeypatch.setattr(module.wiring, name, lambda port=port: port)
    monkeypatch.setenv("ALLOWED_IMAGES", "public.ecr.aws/aws-observability")
    monkeypatch.setenv("DEPLOYMENT_CHECK_ON_ERROR", "closed")
    return module


def task_event(*containers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    detail = {
        "clusterArn": "arn:aws:ecs:eu-central-1:123456789012:cluster/prod",
        "taskArn": "arn:aws:ecs:eu-central-1:123456789012:task/prod/c13b4cb40f1f4fe4a2971f76ae5a47ad",
        "taskDefinitionArn": DEFINITION,
        "group": "service:web",
        "lastStatus": "RUNNING",
        "containers": list(containers),
    }
    return {"detail-type": "ECS Task State Change", "source": "aws.ecs", "detail": detail | changes}


APP_IN_EVENT = {"name": "app", "image": APP.image, "imageDigest": str(APP.digest), "lastStatus": "RUNNING"}


def test_a_hook_is_answered_and_announced_once(module: ModuleType, cluster: Cluster) -> None:
    flat = {"lifecycleStage": "PRE_SCALE_UP", **HOOK["executionDetails"]}  # type: ignore[dict-item]
    for event in (HOOK, HOOK, flat):
        assert module.handler(event, CONTEXT)["hookStatus"] == "FAILED"
    assert len(cluster.notifications.messages) == 1
    cluster.known(attempt(2))
    assert module.handler(HOOK, CONTEXT) == {"hookStatus": "SUCCEEDED"}


def test_an_event_is_looked_at_and_one_that_is_none_is_a_dead_letter(
    module: ModuleType, cluster: Cluster
) -> None:
    assert module.handler(task_event(APP_IN_EVENT), CONTEXT) == {"refused": 1, "told": 1}
    assert module.handler(task_event(APP_IN_EVENT), CONTEXT) == {"refused": 1, "told": 0}
    # Without a group, and without digests, as for images that are not in Amazon ECR.
    answer = module.handler(task_event({"name": "app", "image": "nginx"}, group=None), CONTEXT)
    assert answer == {"refused": 1, "told": 1}
    assert cluster.notifications.messages[1].detail["group"] == "family:web"
    with pytest.raises(InvalidEventError, match=r"detail\.containers"):
        module.handler(task_event(containers=None), CONTEXT)


FAULTS: list[Any] = [
    lambda module, cluster, patch: patch.setattr(cluster.ledger, "history", _throttled),
    lambda module, cluster, patch: cluster.services.revisions.clear(),
    lambda module, cluster, patch: cluster.services.definitions.update({DEFINITION: []}),
    lambda module, cluster, patch: patch.setattr(cluster.services, "written", lambda _: 1 / 0),
    lambda module, cluster, patch: patch.setattr(module.wiring, "policy", _throttled),
    lambda module, cluster, patch: (
        patch.setattr(module, "CHECK_SECONDS", 0.05),
        patch.setattr(cluster.services, "revision", lambda _: Event().wait(2)),
    ),
]


def _throttled(*_: Any) -> Any:
    raise ThrottledError("slow down")


@pytest.mark.parametrize("fault", FAULTS, ids=["throttled", "gone", "empty", "bug", "no policy", "hangs"])
@pytest.mark.parametrize(("on_error", "status"), [("closed", "FAILED"), ("open", "SUCCEEDED")])
def test_on_an_error_the_check_does_what_the_stack_says_and_announces_it(
    module: ModuleType,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    fault: Any,
    on_error: str,
    status: str,
) -> None:
    cluster.known(attempt(2))
    monkeypatch.setenv("DEPLOYMENT_CHECK_ON_ERROR", on_error)
    fault(module, cluster, monkeypatch)
    for _ in range(2):
        assert module.handler(HOOK, CONTEXT)["hookStatus"] == status
    [message] = cluster.notifications.messages
    done = {"closed": "REFUSED UNCHECKED", "open": "LET THROUGH UNCHECKED"}[on_error]
    assert message.subject.startswith(f"{done}: service web in cluster prod: ")
    assert REVISION in message.text
    assert f"On error     {on_error}: the stack's parameter DeploymentCheckOnError" in message.text
    assert message.detail_type == "Deployment Not Checked"
    assert message.attributes == {"alert": "alert", "deployment": "unchecked"}


@pytest.mark.parametrize(
    "event", [{}, {"executionDetails": {}}, {"executionDetails": {"targetServiceRevisionArn": "x"}}]
)
def test_a_request_that_cannot_be_read_is_no_pass(
    module: ModuleType, cluster: Cluster, event: dict[str, Any]
) -> None:
    assert module.handler(event, CONTEXT)["hookStatus"] == "FAILED"
    [message] = cluster.notifications.messages
    assert "a service that the request does not name" in message.subject


def test_the_answer_is_the_same_if_no_message_can_be_sent(
    module: ModuleType, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.wiring, "notifications", Down)
    monkeypatch.setattr(module, "TELL_SECONDS", 0.5)
    assert module.handler(HOOK, CONTEXT)["hookStatus"] == "FAILED"
    cluster.known(attempt(2))
    assert module.handler(HOOK, CONTEXT) == {"hookStatus": "SUCCEEDED"}


def test_without_its_setting_it_fails_as_a_function_does_which_rolls_back(
    module: ModuleType, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEPLOYMENT_CHECK_ON_ERROR")
    cluster.services.revisions.clear()
    with pytest.raises(MissingSettingError):
        module.handler(HOOK, CONTEXT)
