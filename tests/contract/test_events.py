"""The samples in `events/` against the models: what AWS sends is understood, what is broken is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.events.models import EventPattern
from msgspec import Struct

from imagegate.approval_page.http import ShowPage, parse_request
from imagegate.errors import InvalidEventError
from imagegate.events.cloudformation import (
    RESPONSE_BYTES,
    CustomResourceRequest,
    response_body,
    settings_digest,
)
from imagegate.events.decide_call import parse_call
from imagegate.events.ecs import DeploymentHook, TaskStateChange, parse_hook, parse_task
from imagegate.events.eventbridge import (
    CloudTrailPutImage,
    EcrImageAction,
    EcrImageScan,
    parse_finding,
)
from imagegate.events.proven import CheckCaller
from imagegate.events.step_requests import (
    AnnounceRequest,
    AttachSbomRequest,
    AwaitScanRequest,
    JudgeRequest,
    PromoteRequest,
    SignRequest,
    StartEnvelope,
)
from imagegate.events.validation import parse
from imagegate.events.watched import CloudTrailSettingsCall
from imagegate.evidence.sbom import Export
from imagegate.grants.caller_proof import Identity
from sandbox.images.seed import SAMPLE_DIGEST, SAMPLE_REPOSITORY, SAMPLE_TAG

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
MODELS: dict[str, type[Struct]] = {
    "ecr_image_action_push": EcrImageAction,
    "ecr_image_action_delete": EcrImageAction,
    "ecr_image_scan_complete_basic": EcrImageScan,
    "start_release": EcrImageAction,
    "cloudtrail_put_image": CloudTrailPutImage,
    "cloudtrail_put_image_tag_mutability": CloudTrailSettingsCall,
    "on_scan_completed": EcrImageScan,
    "await_scan": AwaitScanRequest,
    "judge_image": JudgeRequest,
    "sign_image": SignRequest,
    "attach_sbom": AttachSbomRequest,
    "promote_image": PromoteRequest,
    "announce": AnnounceRequest,
    "publish_policy": CustomResourceRequest,
    "check_deployment": DeploymentHook,
    "ecs_task_running": TaskStateChange,
}


def sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


@pytest.mark.parametrize("name", MODELS)
def test_samples_are_understood(name: str) -> None:
    parse(MODELS[name], sample(name))


def test_each_function_has_a_sample_of_its_own_name() -> None:
    functions = {handler.parent.name for handler in ROOT.glob("functions/*/handler.py")}
    assert functions <= {path.stem for path in EVENTS.glob("*.json")}


@pytest.mark.parametrize("name", ["start_release", "on_scan_completed"])
def test_a_functions_sample_event_names_the_image_that_the_sandbox_holds(name: str) -> None:
    detail = sample(name)["detail"]
    assert detail["repository-name"] == SAMPLE_REPOSITORY
    assert detail["image-digest"] == SAMPLE_DIGEST
    assert SAMPLE_TAG in (detail.get("image-tag"), *detail.get("image-tags", []))


@pytest.mark.parametrize("name", ["await_scan", "judge_image", "attach_sbom", "promote_image", "announce"])
def test_a_functions_sample_request_names_the_release_of_that_image(name: str) -> None:
    release = {"repository": SAMPLE_REPOSITORY, "digest": SAMPLE_DIGEST, "attempt": 1}
    assert sample(name)["release"] == release


def test_the_sample_of_a_decision_names_its_caller_and_is_understood() -> None:
    event = sample("decide")
    identity = Identity("arn:aws:iam::123456789012:user/ann", "AIDACKCEVSQ6C2EXAMPLE", "123456789012")
    believed: Any = SimpleNamespace(identity=lambda *_: identity, use=lambda *_: True)
    check = CheckCaller(lambda: believed, lambda: believed)
    function = "arn:aws:lambda:eu-central-1:123456789012:function:imagegate-decide:waive"
    caller, request = parse_call(event, function, check, datetime(2026, 11, 21, 12, tzinfo=UTC))
    assert (caller, request.action) == (identity, "withdraw")


def test_the_sample_of_the_approval_page_opens_a_link() -> None:
    request = parse_request(sample("approval_page"))
    assert isinstance(request, ShowPage)
    assert request.token.startswith("1.")


@pytest.mark.parametrize("name", ["check_deployment", "ecs_deployment_hook_flat"])
def test_the_sample_of_a_hook_names_service_and_revision(name: str) -> None:
    """Older editions of the developer guide print the details without what is around them."""
    deployment = parse_hook(sample(name))
    assert str(deployment.workload) == "service my-service in cluster my-cluster"
    assert deployment.revision.endswith(":service-revision/my-cluster/my-service/9313423515462893900")


@pytest.mark.parametrize("revision", [None, "", "my-service", "arn:aws:ecs:eu-central-1:1:service/a/b"])
def test_a_hook_without_the_arn_of_a_revision_is_refused(revision: object) -> None:
    event = sample("check_deployment")
    event["executionDetails"]["targetServiceRevisionArn"] = revision
    with pytest.raises(InvalidEventError, match="targetServiceRevisionArn"):
        parse_hook(event)


def test_the_sample_of_a_task_names_the_image_that_the_sandbox_holds() -> None:
    task = parse_task(sample("ecs_task_running"))
    assert str(task.workload) == "service my-service in cluster my-cluster"
    [container] = task.containers
    assert container.image.endswith(f"/{SAMPLE_REPOSITORY}:{SAMPLE_TAG}")
    assert str(container.digest) == SAMPLE_DIGEST


@pytest.mark.parametrize("field", ["clusterArn", "taskArn", "taskDefinitionArn", "containers"])
def test_a_task_event_without_its_identifiers_is_refused_by_name(field: str) -> None:
    event = sample("ecs_task_running")
    del event["detail"][field]
    with pytest.raises(InvalidEventError, match=field):
        parse_task(event)


def test_unknown_fields_are_fine() -> None:
    event = sample("ecr_image_action_push")
    event["detail"]["something-new"] = {"a": 1}
    assert parse(EcrImageAction, {**event, "extra": 1}).detail.image_tag == "latest"


@pytest.mark.parametrize("field", ["image-tag", "manifest-media-type", "artifact-media-type"])
def test_optional_fields_may_be_absent(field: str) -> None:
    event = sample("ecr_image_action_push")
    event["detail"].pop(field, None)
    parse(EcrImageAction, event)


@pytest.mark.parametrize("field", ["repository-name", "image-digest", "action-type", "result"])
def test_a_missing_field_is_refused_by_name(field: str) -> None:
    event = sample("ecr_image_action_push")
    del event["detail"][field]
    with pytest.raises(InvalidEventError, match=field):
        parse(EcrImageAction, event)


@pytest.mark.parametrize(
    "digest", ["", "latest", "sha256:xyz", "sha256:" + "0" * 63, "sha512:" + "0" * 128, None, 7]
)
def test_a_malformed_digest_is_refused(digest: object) -> None:
    event = sample("ecr_image_action_push")
    event["detail"]["image-digest"] = digest
    with pytest.raises(InvalidEventError, match="image-digest"):
        parse(EcrImageAction, event)


@pytest.mark.parametrize(
    "event", [None, [], "text", {}, {"detail": None}, {"detail-type": "ECR Image Action"}]
)
def test_anything_else_is_refused_without_a_crash(event: object) -> None:
    with pytest.raises(InvalidEventError):
        parse(EcrImageAction, event)


def test_an_export_has_the_form_of_the_state_machines_variable() -> None:
    """The definition assigns this to its variable `export`, and nothing else."""
    request = sample("attach_sbom")
    assert parse(AttachSbomRequest, request).export is None
    export = {"report": "r", "status": "FAILED", "why": "X: y", "batch": 1, "polls": 3}
    given = parse(AttachSbomRequest, {**request, "export": export}).export
    assert given
    assert given.export == Export("r", "FAILED", "X: y", 1)
    for broken in ({**export, "batch": -1}, {**export, "more": 1}, {"report": "r"}):
        with pytest.raises(InvalidEventError, match="export"):
            parse(AttachSbomRequest, {**request, "export": broken})


def test_our_own_requests_are_versioned_and_strict() -> None:
    request = {"schema": 1, "decision": "sha256:" + "0" * 64}
    assert parse(SignRequest, request).digest.hex == "0" * 64
    for broken in ({**request, "schema": 2}, {**request, "verdict": "PASS"}, {"schema": 1}):
        with pytest.raises(InvalidEventError):
            parse(SignRequest, broken)
    image = {"repository": "shop-dev", "digest": "sha256:" + "0" * 64}
    with pytest.raises(InvalidEventError, match="attempt"):
        parse(AwaitScanRequest, {"schema": 1, "release": {**image, "attempt": 0}, "token": "t"})
    with pytest.raises(InvalidEventError, match="reason"):
        parse(StartEnvelope, {"schema": 1, "request": {**image, "tags": ["1"], "reason": "because"}})


@pytest.mark.parametrize("kind", ["Update", "Delete"])
def test_a_custom_resource_has_an_id_once_it_is_created(kind: str) -> None:
    created = {
        "RequestType": "Create",
        "ResponseURL": "https://bucket.test/answer",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "PublishedPolicy",
        "ResourceType": "Custom::PublishedPolicy",
    }
    assert parse(CustomResourceRequest, created).PhysicalResourceId is None
    later = {**created, "RequestType": kind}
    assert parse(CustomResourceRequest, {**later, "PhysicalResourceId": "id"}).PhysicalResourceId == "id"
    with pytest.raises(InvalidEventError, match="PhysicalResourceId"):
        parse(CustomResourceRequest, later)


# Also what JSON escapes, what takes four bytes, and what UTF-8 cannot express. Hypothesis makes no long texts.
ANY_TEXT = st.text(st.characters(), min_size=1)


@given(reason=ANY_TEXT, times=st.integers(1, 5000), data=st.sampled_from([{}, {"Parsed": "1" * 900}]))
def test_a_response_has_room_for_as_much_of_any_reason_as_cloudformation_takes(
    reason: str, times: int, data: dict[str, str]
) -> None:
    request, text = parse(CustomResourceRequest, sample("publish_policy")), (reason * times)[:9000]
    content = response_body(request, "id", data, text)
    answer = json.loads(content)
    assert len(content) <= RESPONSE_BYTES
    assert (answer["Status"], answer["Data"]) == ("FAILED", data)
    whole = text.encode(errors="replace").decode()
    if answer["Reason"] != whole:
        assert whole.startswith(answer["Reason"].removesuffix("…"))
        # Another character, with its escapes, may not have fitted.
        assert len(content) > RESPONSE_BYTES - len(json.dumps("\0")) - len("…".encode())


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_other_settings_have_another_digest(one: list[str], other: list[str]) -> None:
    def digest(values: list[str]) -> str:
        sample = json.loads((EVENTS / "publish_policy.json").read_text())
        request = {**sample, "ResourceProperties": {"ServiceToken": "arn", "Settings": values}}
        return settings_digest(parse(CustomResourceRequest, request))

    assert (digest(one) == digest(other)) is (one == other)
    assert len(digest(one)) == 32


def test_a_finding_names_its_images() -> None:
    finding = json.loads((ROOT / "events/inspector2_finding.json").read_text())
    [image] = parse_finding(finding) or []
    assert (image.repository, image.digest.short) == ("inspector2", "sha256:84f507df33c6")
    of_a_machine = {**finding, "detail": {"resources": [{"type": "AWS_EC2_INSTANCE", "details": {}}]}}
    assert parse_finding(of_a_machine) == []
    assert parse_finding({"detail-type": "Scheduled Event"}) is None
    for broken in ({**finding, "detail": {}}, {**finding, "detail-type": "ECR Image Action"}, {}):
        with pytest.raises(InvalidEventError, match="Inspector2Finding"):
            parse_finding(broken)


def test_the_rule_takes_findings_of_images_only() -> None:
    """The pattern of `JudgeAgainFunction`, with the account and Region of the sample."""
    finding = json.loads((ROOT / "events/inspector2_finding.json").read_text())
    text = (ROOT / "template.yaml").read_text().partition("FindingChanged:")[2].partition("RetryPolicy")[0]
    assert "- prefix: !Sub arn:${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}:repository/" in text
    prefix = f"arn:aws:ecr:{finding['region']}:{finding['account']}:repository/"
    pattern = {"source": ["aws.inspector2"], "resources": [{"prefix": prefix}]}
    matches = EventPattern.load(json.dumps(pattern)).matches_event
    assert matches(finding)
    assert not matches({**finding, "resources": ["arn:aws:ec2:eu-central-1:123456789012:instance/i-1"]})
