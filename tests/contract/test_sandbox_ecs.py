"""Amazon ECS deploys nothing in plain moto: one canary per gap that sandbox/aws/ecs.py closes."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.iam.policies import is_permitted
from sandbox.aws.iam.resource_arns import ServiceCall, condition_keys, needs
from tests.contract.served_cloud import ServedCloud
from tests.patience import eventually

ARN = "arn:aws:ecs:eu-central-1:123456789012"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


@pytest.fixture(scope="module")
def ecs(cloud: ServedCloud) -> Any:
    client = cloud.client("ecs")
    client.create_cluster(clusterName="c")
    return client


@pytest.fixture
def role(cloud: ServedCloud) -> str:
    iam, name = cloud.client("iam"), f"hook-{uuid.uuid4().hex[:8]}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    may = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
    return str(arn)


def definition(ecs: Any, *images: str) -> str:
    containers = [{"name": f"c{number}", "image": image, "memory": 64} for number, image in enumerate(images)]
    made = ecs.register_task_definition(family=f"f{uuid.uuid4().hex[:8]}", containerDefinitions=containers)
    return str(made["taskDefinition"]["taskDefinitionArn"])


def create(ecs: Any, task: str, *hooks: dict[str, Any], tasks: int = 0) -> str:
    name = f"s{uuid.uuid4().hex[:8]}"
    ecs.create_service(
        cluster="c",
        serviceName=name,
        taskDefinition=task,
        desiredCount=tasks,
        launchType="FARGATE",
        deploymentConfiguration={"lifecycleHooks": list(hooks)},
    )
    return name


def ended(ecs: Any, service: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        latest: dict[str, Any] = ecs.list_service_deployments(cluster="c", service=service)[
            "serviceDeployments"
        ][0]
        return None if latest["status"] == "IN_PROGRESS" else latest

    return eventually(look)


def hook(cloud: ServedCloud, role: str, function: str, stage: str = "PRE_SCALE_UP") -> dict[str, Any]:
    return {"hookTargetArn": cloud.outputs[function], "roleArn": role, "lifecycleStages": [stage]}


def test_a_service_has_a_revision_with_the_images_of_its_task_definition(ecs: Any) -> None:
    digest = "sha256:" + "0" * 64
    task = definition(ecs, "nginx:1", f"{REGISTRY}/shop@{digest}", f"{REGISTRY}/none:1")
    service = create(ecs, task)
    first = ended(ecs, service)
    assert first["status"] == "SUCCESSFUL"
    assert first["targetServiceRevisionArn"].startswith(f"{ARN}:service-revision/c/{service}/")
    absent = f"{ARN}:service-revision/c/{service}/1"
    answer = ecs.describe_service_revisions(serviceRevisionArns=[first["targetServiceRevisionArn"], absent])
    [revision] = answer["serviceRevisions"]
    assert revision["taskDefinition"] == task
    assert revision["containerImages"] == [
        {"containerName": "c0", "image": "nginx:1"},
        {"containerName": "c1", "image": f"{REGISTRY}/shop@{digest}", "imageDigest": digest},
        {"containerName": "c2", "image": f"{REGISTRY}/none:1"},
    ]
    assert answer["failures"] == [{"arn": absent, "reason": "MISSING"}]


def test_an_update_is_a_revision_of_its_own_unless_nothing_is_deployed(ecs: Any) -> None:
    service = create(ecs, definition(ecs, "nginx:1"))
    first = ended(ecs, service)["targetServiceRevisionArn"]
    ecs.update_service(cluster="c", service=service, desiredCount=2)
    assert ended(ecs, service)["targetServiceRevisionArn"] == first
    ecs.update_service(cluster="c", service=service, taskDefinition=definition(ecs, "nginx:2"))
    assert ended(ecs, service)["targetServiceRevisionArn"] != first


def test_a_hook_without_an_answer_rolls_back_and_hooks_of_other_stages_are_not_called(
    cloud: ServedCloud, ecs: Any, role: str
) -> None:
    """The fixture's function answers something, and nothing that a hook may answer."""
    later = hook(cloud, role, "WhereFunction", "POST_SCALE_UP")
    task = definition(ecs, "nginx:1")
    service = create(ecs, task, later)
    assert ended(ecs, service)["status"] == "SUCCESSFUL"
    ecs.update_service(
        cluster="c",
        service=service,
        taskDefinition=definition(ecs, "nginx:2"),
        deploymentConfiguration={"lifecycleHooks": [hook(cloud, role, "WhereFunction")]},
    )
    refused = ended(ecs, service)
    assert refused["status"] == "ROLLBACK_SUCCESSFUL"
    assert "Service deployment rolled back because of lifecycle hook" in refused["statusReason"]
    runs = ecs.describe_services(cluster="c", services=[service])["services"][0]
    assert runs["taskDefinition"] == task


def test_a_hook_is_called_in_the_name_of_its_role(cloud: ServedCloud, ecs: Any, role: str) -> None:
    name = role.rpartition("/")[2]
    cloud.client("iam").delete_role_policy(RoleName=name, PolicyName="p")
    service = create(ecs, definition(ecs, "nginx:1"), hook(cloud, role, "WhereFunction"))
    assert "the hook's role may not invoke" in ended(ecs, service)["statusReason"]


def test_reading_a_revision_needs_permission_for_its_service_too() -> None:
    revision = f"{ARN}:service-revision/c/s/1"
    call = ServiceCall(
        "ecs", "DescribeServiceRevisions", {"serviceRevisionArns": [revision]}, "123456789012", "x"
    )
    action = "ecs:DescribeServiceRevisions"
    assert needs(call) == [(action, f"{ARN}:service/c/s"), (action, revision)]
    other = ServiceCall("ecs", "DescribeTaskDefinition", {}, "123456789012", "x")
    assert needs(other) == [("ecs:DescribeTaskDefinition", "*")]


def test_reading_a_revision_needs_a_permission(cloud: ServedCloud, ecs: Any) -> None:
    iam, name = cloud.client("iam"), f"u{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("ecs", **keys).describe_service_revisions(
            serviceRevisionArns=[f"{ARN}:service-revision/c/s/1"]
        )


@pytest.mark.parametrize(
    ("key", "allowed"), [("NOTICE#drift", True), ("IMAGE#shop-dev@sha256:0", False), (None, False)]
)
def test_a_policy_can_be_limited_to_some_items_of_a_table(key: str | None, allowed: bool) -> None:
    """IAM user guide, "Condition operators": ForAllValues holds where there is no value at all."""
    statement = {
        "Effect": "Allow",
        "Action": "dynamodb:PutItem",
        "Resource": "*",
        "Condition": {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["NOTICE#*"]},
            "Null": {"dynamodb:LeadingKeys": "false"},
        },
    }
    parameters: dict[str, Any] = {"Item": {"pk": {"S": key}}} if key else {}
    context = condition_keys(ServiceCall("dynamodb", "PutItem", parameters, "1", "x"))
    assert is_permitted([statement], "dynamodb:PutItem", "table", context) is allowed
    del statement["Condition"]["Null"]  # type: ignore[attr-defined]
    assert is_permitted([statement], "dynamodb:PutItem", "table", context) is (allowed or key is None)
