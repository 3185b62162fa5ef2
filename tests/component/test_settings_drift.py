"""Drift of settings over moto: each change is one message with who did it, and a difference is announced once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from samtranslator.yaml_helper import yaml_parse

from imagegate.aws.ecr.settings import EcrSettings
from imagegate.baseline.drift import SETTING_CALLS, SettingsCall
from imagegate.baseline.registry import REGISTRY
from imagegate.baseline.repository_policy import GateRegistry
from imagegate.errors import InvalidEventError, ThrottledError
from imagegate.events.watched import parse_settings_call
from imagegate.notices.message import Message
from imagegate.policy.file.load import parse_file
from imagegate.workflow.settings.compare import CompareSettings
from imagegate.workflow.settings.drift import WatchSettings, is_compared
from tests.component.baselines import GATE_ROLE, MODEL, Shop, document, gate, shop, statement
from tests.fakes import NOW, FakeLedger, FakeNotifications

__all__ = ["gate", "shop"]

ROOT = Path(__file__).parents[2]
ANN = "arn:aws:sts::123456789012:assumed-role/Admin/ann"
TERMS: dict[str, Any] = {
    "tag_mutability": "immutable",
    "scan_on_push": True,
    "lifecycle": {"max_images": 5},
    "access": {"read_accounts": ["210987654321"]},
    "tags": {"Owner": "shop"},
}


@dataclass
class Run:
    """A run of the reconciler. It ends when `reads` repositories were compared."""

    elapsed: Callable[[], float] = lambda: 0.0
    faults: dict[str, Exception] = field(default_factory=dict)


@dataclass
class Watched:
    """A registry at its baseline, and what watches it."""

    shop: Shop
    ledger: FakeLedger = field(default_factory=FakeLedger)
    notifications: FakeNotifications = field(default_factory=FakeNotifications)
    notes: dict[str, Any] = field(default_factory=dict)
    run: Run = field(default_factory=Run)
    day: int = 0

    def watch(self) -> WatchSettings:
        content = self.shop.gate.policy_content
        registry = GateRegistry("123456789012", "eu-central-1", "aws", (GATE_ROLE,))
        compare = CompareSettings(*parse_file(content), registry, EcrSettings())
        return WatchSettings(compare=compare, ledger=self.ledger, notifications=self.notifications)

    def call(self, operation: str, subject: str = "shop-dev", by: str = ANN) -> list[Message]:
        """Return the messages that a recorded call causes."""
        before = len(self.notifications.messages)
        call = SettingsCall(subject, operation, by, "203.0.113.12", NOW)
        told = self.watch().on_call(call, NOW)
        assert told is (len(self.notifications.messages) > before)
        return self.notifications.messages[before:]

    def next_day(self) -> list[Message]:
        """Return the messages of the next day's comparison, however many runs it takes."""
        before, self.day = len(self.notifications.messages), self.day + 1
        now = NOW + timedelta(days=self.day)
        for _ in range(1000):
            self.watch().run(self.run, self.notes, now, 1.0)
            if self.run.faults or is_compared(self.notes, self.watch().compare.policy.digest, now):
                break
        return self.notifications.messages[before:]


@pytest.fixture
def watched(shop: Shop) -> Watched:
    shop.makes("shop-dev", "web-dev")
    shop.says(stages={"dev": TERMS})
    assert shop.apply().code == 0
    return Watched(shop)


def change(watched: Watched, operation: str, name: str = "shop-dev") -> None:
    """Make a call of ECR that leads away from the baseline."""
    ecr, repository = watched.shop.ecr, {"repositoryName": name}
    rule = {
        "rulePriority": 1,
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9},
        "action": {"type": "expire"},
    }
    theirs = document(statement("Theirs", "ecr:PutImage", principal={"AWS": "333333333333"}))
    arn = f"arn:aws:ecr:eu-central-1:123456789012:repository/{name}"
    calls: dict[str, Callable[[], Any]] = {
        "PutImageTagMutability": lambda: ecr.put_image_tag_mutability(
            **repository, imageTagMutability="MUTABLE"
        ),
        "PutImageScanningConfiguration": lambda: ecr.put_image_scanning_configuration(
            **repository, imageScanningConfiguration={"scanOnPush": False}
        ),
        "PutLifecyclePolicy": lambda: ecr.put_lifecycle_policy(
            **repository, lifecyclePolicyText=json.dumps({"rules": [rule]})
        ),
        "DeleteLifecyclePolicy": lambda: ecr.delete_lifecycle_policy(**repository),
        "SetRepositoryPolicy": lambda: ecr.set_repository_policy(**repository, policyText=theirs),
        "DeleteRepositoryPolicy": lambda: ecr.delete_repository_policy(**repository),
        "TagResource": lambda: ecr.tag_resource(resourceArn=arn, tags=[{"Key": "Owner", "Value": "else"}]),
        "UntagResource": lambda: ecr.untag_resource(resourceArn=arn, tagKeys=["Owner"]),
    }
    calls[operation]()


CHANGES = [
    "PutImageTagMutability",
    "PutImageScanningConfiguration",
    "PutLifecyclePolicy",
    "DeleteLifecyclePolicy",
    "SetRepositoryPolicy",
    "DeleteRepositoryPolicy",
    "TagResource",
    "UntagResource",
]


@pytest.mark.parametrize("operation", CHANGES)
def test_a_change_is_one_message_with_who_did_it_and_never_again(watched: Watched, operation: str) -> None:
    change(watched, operation)
    [message] = watched.call(operation)
    assert message.subject.startswith("DRIFT: shop-dev: ")
    assert f"By           {ANN}" in message.lines
    assert "From         203.0.113.12" in message.lines
    assert "imagegate baseline plan shop-dev" in message.text
    assert message.attributes == {"alert": "alert", "repository": "shop-dev"}
    assert watched.call(operation) == []
    assert watched.next_day() == []
    assert watched.next_day() == []


@pytest.mark.parametrize("operation", CHANGES)
def test_without_an_event_the_daily_comparison_finds_it_once(watched: Watched, operation: str) -> None:
    assert watched.next_day() == []
    change(watched, operation)
    [message] = watched.next_day()
    assert "nobody knows who did it" in message.text
    assert watched.next_day() == []
    # What was put right and is changed again is news.
    assert watched.shop.apply().code == 0
    if operation == "SetRepositoryPolicy":  # a foreign statement stays, and stays known
        return
    assert watched.next_day() == []
    change(watched, operation)
    assert len(watched.next_day()) == 1


@pytest.mark.parametrize("operation", CHANGES)
def test_a_policy_that_says_restore_puts_it_back(watched: Watched, operation: str) -> None:
    watched.shop.says(stages={"dev": TERMS}, drift="restore")
    change(watched, operation)
    messages = watched.call(operation)
    assert [message.subject.split(":")[0] for message in messages] == (
        ["DRIFT"] if operation == "SetRepositoryPolicy" else ["PUT BACK"]
    )
    assert watched.shop.plan()["changes"] == []
    assert watched.call(operation) == []
    assert watched.next_day() == []
    # The same change again is put back again.
    change(watched, operation)
    assert len(watched.next_day()) == 1
    assert watched.shop.plan()["changes"] == []


def test_what_cannot_be_put_back_is_announced_with_the_reason(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ClientError(
            {"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutImageTagMutability"
        )

    watched.shop.says(stages={"dev": TERMS}, drift="restore")
    change(watched, "PutImageTagMutability")
    monkeypatch.setattr(EcrSettings, "_client", None, raising=False)
    send = EcrSettings.send

    def send_refused(self: EcrSettings, sent: Any) -> None:
        monkeypatch.setattr(self._client, sent.operation, refuse)
        send(self, sent)

    monkeypatch.setattr(EcrSettings, "send", send_refused)
    [message] = watched.call("PutImageTagMutability")
    assert message.subject.startswith("DRIFT")
    assert "They were not put back: shop-dev: tag mutability: " in message.text
    assert watched.next_day() == []


@pytest.mark.parametrize(
    ("operation", "by"),
    [
        (
            "PutImageTagMutability",
            f"{GATE_ROLE}/session".replace(":iam:", ":sts:").replace(":role/", ":assumed-role/"),
        )
    ],
)
def test_a_call_of_the_gate_itself_is_no_news(watched: Watched, operation: str, by: str) -> None:
    change(watched, operation)
    assert watched.call(operation, by=by) == []


@pytest.mark.parametrize("operation", [*CHANGES, "CreateRepository"])
def test_a_call_after_which_all_is_right_is_no_news(watched: Watched, operation: str) -> None:
    assert watched.call(operation) == []
    assert watched.call(operation, "nothing-of-the-baseline") == []
    assert watched.call(operation, "gone-dev") == []


def test_a_message_has_only_what_its_call_may_have_changed(watched: Watched) -> None:
    change(watched, "PutImageTagMutability")
    change(watched, "DeleteLifecyclePolicy")
    [first] = watched.call("DeleteLifecyclePolicy")
    [second] = watched.call("PutImageTagMutability", by="arn:aws:iam::123456789012:user/bob")
    assert ("lifecycle" in first.subject, "mutability" in first.subject) == (True, False)
    assert ("lifecycle" in second.subject, "mutability" in second.subject) == (False, True)
    assert watched.next_day() == []


def test_a_new_repository_is_compared_as_a_whole(watched: Watched) -> None:
    watched.shop.makes("new-dev")
    [message] = watched.call("CreateRepository", "new-dev")
    assert {one["setting"] for one in message.detail["drifts"][0]["settings"]} == {
        "tag mutability",
        "scan on push",
        "lifecycle",
        "policy",
        "tags",
    }


def test_the_registry_is_reported_and_never_put_back(watched: Watched) -> None:
    baseline = {"registry": {"replication_from": ["210987654321"]}}
    watched.shop.says(**baseline, drift="restore")
    assert watched.shop.apply().code == 0
    watched.shop.ecr.delete_registry_policy()
    [message] = watched.call("DeleteRegistryPolicy", REGISTRY)
    assert message.subject == "DRIFT: (registry): policy"
    assert [one["setting"] for one in watched.shop.plan()["changes"]] == ["policy"]


def test_many_differences_are_one_message_and_every_name_counts(watched: Watched) -> None:
    watched.shop.makes(*(f"app{number:03}-dev" for number in range(130)))
    [message] = watched.next_day()
    assert message.detail["number"] == 130
    assert len(message.detail["drifts"]) == 20
    assert watched.next_day() == []


def test_no_call_describes_more_repositories_than_ecr_takes(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client of botocore sends a list that is too long, and moto takes it."""
    watched.shop.makes(*(f"app{number:03}-dev" for number in range(230)))
    sizes: list[int] = []
    read = EcrSettings.read

    def noted(self: EcrSettings, operation: str, **given: Any) -> Any:
        if operation == "describe_repositories":
            sizes.append(len(given["repositoryNames"]))
        return read(self, operation, **given)

    monkeypatch.setattr(EcrSettings, "read", noted)
    watched.next_day()
    assert sum(sizes) >= 230
    assert max(sizes) <= MODEL.shape_for("RepositoryNameList").metadata["max"]


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_pass_goes_on_where_the_last_run_ended(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    names = [f"app{number}-dev" for number in range(7)]
    watched.shop.makes(*names)
    looked: list[str] = []
    read = EcrSettings.completed

    def noted(self: EcrSettings, found: Any, documents: Any) -> Any:
        looked.append(found.name)
        return read(self, found, documents)

    monkeypatch.setattr(EcrSettings, "completed", noted)

    def run_for_some() -> float:
        return 2.0 if looked and len(looked) % at_once == 0 and looked[-1] not in seen else 0.0

    seen: set[str] = set()
    now = NOW + timedelta(days=1)
    while not is_compared(watched.notes, watched.watch().compare.policy.digest, now):
        seen |= set(looked)
        watched.watch().run(Run(run_for_some), watched.notes, now, 1.0)
    assert looked == sorted([*names, "shop-dev", "web-dev"])
    told = [one["subject"] for message in watched.notifications.messages for one in message.detail["drifts"]]
    assert told == names


def test_what_cannot_be_read_is_a_fault_and_stops_no_other(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(watched, "PutImageTagMutability", "web-dev")
    read = EcrSettings.completed

    def damaged(self: EcrSettings, found: Any, documents: Any) -> Any:
        if found.name == "shop-dev":
            raise ClientError({"Error": {"Code": "InternalFailure", "Message": ""}}, "GetLifecyclePolicy")
        return read(self, found, documents)

    monkeypatch.setattr(EcrSettings, "completed", damaged)
    [message] = watched.next_day()
    assert message.attributes["repository"] == "web-dev"
    assert list(watched.run.faults) == ["settings of shop-dev"]


def test_throttling_ends_the_run_and_the_next_one_goes_on(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(watched, "PutImageTagMutability", "web-dev")
    read, reads = EcrSettings.completed, list[str]()

    def throttled(self: EcrSettings, found: Any, documents: Any) -> Any:
        reads.append(found.name)
        if len(reads) == 2:
            raise ThrottledError("slow down")
        return read(self, found, documents)

    monkeypatch.setattr(EcrSettings, "completed", throttled)
    assert watched.next_day() == []
    assert list(watched.run.faults) == ["the baseline"]
    watched.run.faults.clear()
    watched.day -= 1
    assert len(watched.next_day()) == 1
    assert reads == ["shop-dev", "web-dev", "web-dev"]


def test_another_policy_is_compared_at_once(watched: Watched) -> None:
    assert watched.next_day() == []
    watched.shop.says(stages={"dev": {**TERMS, "scan_on_push": False}})
    watched.day -= 1
    [message] = watched.next_day()
    assert message.detail["number"] == 2


def test_a_policy_without_a_baseline_reads_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.makes("shop-dev")
    shop.says(drift="restore")
    monkeypatch.setattr(EcrSettings, "read", lambda *_, **__: pytest.fail("ECR was called"))
    watched = Watched(shop)
    assert watched.call("CreateRepository") == []
    assert watched.next_day() == []


def test_a_message_that_was_not_sent_is_sent_later(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_message: Message) -> str:
        raise ThrottledError("SNS")

    change(watched, "PutImageTagMutability")
    with monkeypatch.context() as patch:
        patch.setattr(watched.notifications, "publish", fail)
        with pytest.raises(ThrottledError):
            watched.call("PutImageTagMutability")
    assert len(watched.call("PutImageTagMutability")) == 1


# Events


def sample() -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events/cloudtrail_put_image_tag_mutability.json").read_text())
    return event


def test_the_sample_names_the_caller_and_the_repository() -> None:
    call = parse_settings_call(sample())
    assert call is not None
    assert (call.subject, call.operation, call.by, call.source) == (
        "shop-dev",
        "PutImageTagMutability",
        ANN,
        "203.0.113.12",
    )


@pytest.mark.parametrize(
    ("request_parameters", "subject"),
    [
        ({"resourceArn": "arn:aws:ecr:eu-central-1:123456789012:repository/a/b"}, "a/b"),
        ({"policyText": "{}"}, REGISTRY),
        (None, REGISTRY),
    ],
)
def test_a_call_without_a_repository_is_about_the_registry(request_parameters: Any, subject: str) -> None:
    event = sample()
    event["detail"]["requestParameters"] = request_parameters
    event["detail"]["userIdentity"] = {"type": "AWSService", "invokedBy": "ecr.amazonaws.com"}
    call = parse_settings_call(event)
    assert call is not None
    assert (call.subject, call.by) == (subject, "ecr.amazonaws.com")


@pytest.mark.parametrize("damage", [{"errorCode": "AccessDenied"}, {"eventName": "PutImage"}])
def test_a_call_that_changed_nothing_is_refused(damage: dict[str, str]) -> None:
    event = sample()
    event["detail"] |= damage
    with pytest.raises(InvalidEventError, match="changed no setting"):
        parse_settings_call(event)


def test_the_rule_takes_each_call_that_changes_settings_and_no_other() -> None:
    """A call of ECR's model that changes a setting is either watched, or named here with the reason."""
    unwatched = {
        "DeleteRepository": "a repository that is gone has no settings",
        "PutImage": "an image",
    }
    named = {
        name
        for name in MODEL.operation_names
        if name.startswith(("Put", "Set", "Create", "Update", "Delete", "Tag", "Untag"))
        and name != "UpdateImageStorageClass"
    }
    assert named - set(SETTING_CALLS) == set(unwatched)
    template = yaml_parse((ROOT / "template.yaml").read_text())
    function = template["Resources"]["ReconcileFunction"]["Properties"]
    pattern = function["Events"]["SettingsChanged"]["Properties"]["Pattern"]
    assert sorted(pattern["detail"]["eventName"]) == sorted(SETTING_CALLS)


def test_each_setting_of_a_plan_has_a_call(watched: Watched) -> None:
    for operation in CHANGES:
        kind = SETTING_CALLS[operation]
        call = SettingsCall("shop-dev", operation, ANN, "", NOW)
        assert call.may_change(kind)
        assert not call.may_change(f"{kind}s")
    creation = replace(SettingsCall("shop-dev", "CreateRepository", ANN, "", NOW))
    assert all(creation.may_change(kind) for kind in SETTING_CALLS.values())
