"""Deployments to Amazon ECS and what runs there, with the check switched on: only what passed its gate.

The canary and the topic for a chat are switched on in the same sandbox.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.images.build import build_index
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from sandbox.settings import ACCOUNT, REGION
from tests.e2e import test_waivers
from tests.e2e.gate import Gate, running_gate
from tests.e2e.test_kept import keeps_what_fails
from tests.e2e.test_waivers import imagegate
from tests.patience import eventually

REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
CLUSTER = "prod"
PARAMETERS = (
    *("--parameter", "DeploymentCheck=on"),
    *("--parameter", "Board=on"),
    *("--parameter", "DeploymentCheckAllowedImages=public.ecr.aws/datadog"),
    *("--parameter", "CanaryRepository=canary-dev"),
    *("--parameter", "ChatTopic=on"),
)
CALLED = {"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Run a sandbox of its own, because by default there is no check, no canary and no topic for a chat."""
    with running_gate(tmp_path_factory.mktemp("deployments"), *PARAMETERS) as running:
        running.cloud.client("ecs").create_cluster(clusterName=CLUSTER)
        yield running


@pytest.fixture(scope="module")
def hooks(gate: Gate) -> list[dict[str, Any]]:
    """Attach the hooks as docs/how-to/check-deployments.md does."""
    iam, function = gate.cloud.client("iam"), gate.cloud.outputs["CheckDeploymentFunction"]
    trust = json.dumps({"Version": "2012-10-17", "Statement": [CALLED]})
    role = iam.create_role(RoleName="imagegate-hook", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    may = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}
    document = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iam.put_role_policy(RoleName="imagegate-hook", PolicyName="call", PolicyDocument=document)
    return [{"hookTargetArn": function, "roleArn": role, "lifecycleStages": ["PRE_SCALE_UP"]}]


def definition(gate: Gate, *images: str) -> str:
    containers = [{"name": f"c{number}", "image": image, "memory": 64} for number, image in enumerate(images)]
    made = gate.cloud.client("ecs").register_task_definition(
        family=f"f{uuid.uuid4().hex[:8]}", containerDefinitions=containers
    )
    return str(made["taskDefinition"]["taskDefinitionArn"])


def deployed(gate: Gate, service: str) -> dict[str, Any]:
    """Wait for the end of the service's latest deployment; return it."""

    def look() -> dict[str, Any] | None:
        answer = gate.cloud.client("ecs").list_service_deployments(cluster=CLUSTER, service=service)
        latest: dict[str, Any] = answer["serviceDeployments"][0]
        return None if latest["status"] == "IN_PROGRESS" else latest

    return gate.eventually(look, f"the deployment of {service} ends")


def deploy(
    gate: Gate, hooks: list[dict[str, Any]], *images: str, service: str = "", tasks: int = 1
) -> dict[str, Any]:
    """Deploy a new service, or a new revision of this one; return the deployment when it is over."""
    ecs, task = gate.cloud.client("ecs"), definition(gate, *images)
    if service:
        ecs.update_service(cluster=CLUSTER, service=service, taskDefinition=task)
        return deployed(gate, service)
    name = f"s{uuid.uuid4().hex[:8]}"
    ecs.create_service(
        cluster=CLUSTER,
        serviceName=name,
        taskDefinition=task,
        desiredCount=tasks,
        launchType="FARGATE",
        deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1, "lifecycleHooks": hooks},
    )
    return deployed(gate, name)


def name_of(deployment: dict[str, Any]) -> str:
    return str(deployment["serviceArn"]).rpartition("/")[2]


def messages_about(gate: Gate, service: str) -> list[dict[str, Any]]:
    """Return the messages to people about a service."""
    return [
        message for message in gate.messages() if f"{service} in {CLUSTER}:" in (message["subject"] or "")
    ]


def quiet(gate: Gate, service: str, number: int) -> list[dict[str, Any]]:
    """Check that there are exactly so many messages; return them."""
    gate.eventually(
        lambda: len(messages_about(gate, service)) >= number, f"{number} messages about {service}"
    )
    time.sleep(2.0)
    return messages_about(gate, service)


def released(gate: Gate, application: str, tag: str = "1.0") -> str:
    digest = gate.push(f"{application}-dev", tag)
    assert gate.ended(f"{application}-dev", digest)["outcome"] == "released"
    return digest


def blocked(gate: Gate, application: str, tag: str = "2.0") -> str:
    gate.findings(f"{application}-dev:{tag}", CRITICAL=2)
    digest = gate.push(f"{application}-dev", tag, "bad")
    assert gate.ended(f"{application}-dev", digest)["outcome"] == "blocked"
    return digest


def test_a_released_image_is_deployed_in_every_stage_where_it_passed(gate: Gate, hooks: list[Any]) -> None:
    digest = released(gate, "good")
    staged = gate.ended("good-staging", digest)
    assert staged["outcome"] in ("released", "held")
    for image in (f"good-dev@{digest}", "good-dev:1.0", f"good-staging@{digest}"):
        done = deploy(gate, hooks, f"{REGISTRY}/{image}", "public.ecr.aws/datadog/agent:7")
        assert (done["status"], done["statusReason"]) == ("SUCCESSFUL", ""), image
    assert not [
        m for m in gate.messages() if "RUNS UNGATED" in (m["subject"] or "") and "good-" in m["subject"]
    ]


def test_a_blocked_image_is_refused_rolled_back_and_announced_once(gate: Gate, hooks: list[Any]) -> None:
    digest = released(gate, "rolled")
    first = deploy(gate, hooks, f"{REGISTRY}/rolled-dev@{digest}")
    service = name_of(first)
    bad = blocked(gate, "rolled")
    for _ in range(2):
        again = deploy(gate, hooks, f"{REGISTRY}/rolled-dev:2.0", service=service)
        assert again["status"] == "ROLLBACK_SUCCESSFUL"
        assert f"rolled-dev@{bad}: did not pass the dev gate: blocked in attempt 1" in again["statusReason"]
    runs = gate.cloud.client("ecs").describe_services(cluster=CLUSTER, services=[service])["services"][0]
    task = gate.cloud.client("ecs").describe_task_definition(taskDefinition=runs["taskDefinition"])
    assert task["taskDefinition"]["containerDefinitions"][0]["image"].endswith(digest)  # as before
    [message] = quiet(gate, service, 1)
    assert message["subject"].startswith(f"REFUSED: {service} in prod: rolled-dev@{bad[:19]}: did not pass")
    text = json.loads(message["message"])["email"]
    assert "2 CRITICAL (at most 0)" in text
    assert f"imagegate status rolled-dev@{bad}" in text
    assert message["attributes"]["alert"] == "block"


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("nginx:1.27", "it is not in this registry, but in docker.io"),
        (f"{REGISTRY}/tools/proxy:1", "no stage of the policy guards tools/proxy"),
        (f"{REGISTRY}/never-dev@sha256:{'0' * 64}", "no dev gate has seen it"),
        (f"{REGISTRY}/never-dev:1.0", "never-dev:1.0 does not exist"),
    ],
)
def test_an_image_that_no_gate_has_judged_is_refused(
    gate: Gate, hooks: list[Any], image: str, why: str
) -> None:
    done = deploy(gate, hooks, image)
    assert done["status"] == "ROLLBACK_FAILED"  # there is nothing to roll back to
    assert why in done["statusReason"]
    assert len(quiet(gate, name_of(done), 1)) == 1


def test_a_platform_of_a_released_index_counts(gate: Gate, hooks: list[Any]) -> None:
    files = {platform: {"app": f"for {platform}".encode()} for platform in ("linux/amd64", "linux/arm64")}
    index = build_index(gate.work / "multi", platforms=files)
    digest = push(index.folder, SandboxReference.parse("multi-dev:1.0"), gate.session).digest
    assert gate.ended("multi-dev", digest)["outcome"] == "released"
    for image in (digest, *index.platforms.values()):
        assert deploy(gate, hooks, f"{REGISTRY}/multi-dev@{image}")["status"] == "SUCCESSFUL"


def test_the_last_verdict_counts_whichever_way_it_turned(gate: Gate, hooks: list[Any]) -> None:
    """Blocked, then freed by a waiver, then blocked again without it."""
    digest = test_waivers.blocked(gate, "turned")
    image = f"{REGISTRY}/turned-dev@{digest}"
    assert "blocked in attempt 1" in deploy(gate, hooks, image)["statusReason"]
    granted = imagegate(
        gate, "decide", "waive", "turned-*", *test_waivers.FINDING, *test_waivers.WHY, "--json"
    )
    assert gate.ended("turned-dev", digest, attempt=2)["outcome"] == "released"
    first = deploy(gate, hooks, image)
    assert first["status"] == "SUCCESSFUL"
    assert imagegate(gate, "decide", "withdraw", granted.json["waiver"]["id"]).code == 0
    assert imagegate(gate, "release", "turned-dev:1.0", "--wait").code == 1
    done = deploy(gate, hooks, image, service=name_of(first))
    assert done["status"] == "ROLLBACK_SUCCESSFUL"
    assert "blocked in attempt 3" in done["statusReason"]


def test_drift_is_announced_once_for_ten_tasks(gate: Gate) -> None:
    """Nobody attached the hook to this service; its events come twice."""
    bad = blocked(gate, "drift")
    gate.quirks(event_copies=2)
    done = deploy(gate, [], f"{REGISTRY}/drift-dev@{bad}", "public.ecr.aws/datadog/agent:7", tasks=10)
    assert done["status"] == "SUCCESSFUL"
    service = name_of(done)
    [message] = quiet(gate, service, 1)
    assert message["subject"].startswith(f"RUNS UNGATED: {service} in prod: drift-dev@{bad[:19]}")
    text = json.loads(message["message"])["email"]
    assert f"runs in service {service} in cluster prod. Nothing was stopped." in text
    assert f"aws ecs stop-task --cluster {CLUSTER} --task arn:aws:ecs:" in text
    assert gate.dead_letters() == []


def test_events_that_the_check_cannot_handle_are_kept(gate: Gate) -> None:
    keeps_what_fails(gate)


def test_tasks_started_by_hand_are_announced_by_their_group(gate: Gate) -> None:
    task = definition(gate, "docker.io/library/busybox:1")
    family = task.rpartition("/")[2].partition(":")[0]
    gate.cloud.client("ecs").run_task(cluster=CLUSTER, taskDefinition=task, count=3, launchType="FARGATE")
    [message] = quiet(gate, f"family:{family}", 1)
    assert "it is not in this registry, but in docker.io" in json.loads(message["message"])["email"]


def test_a_failed_check_refuses_the_deployment_and_is_announced(gate: Gate, hooks: list[Any]) -> None:
    """The role lacks what it needs, as after a mistake in a policy."""
    iam = gate.cloud.client("iam")
    function = gate.cloud.outputs["CheckDeploymentFunction"].rpartition(":")[0]
    role = gate.cloud.client("lambda").get_function(FunctionName=function)["Configuration"]["Role"]
    deny = {"Effect": "Deny", "Action": "ecs:DescribeTaskDefinition", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    name = role.rpartition("/")[2]
    iam.put_role_policy(RoleName=name, PolicyName="mistake", PolicyDocument=document)
    try:
        done = deploy(gate, hooks, f"{REGISTRY}/unchecked-dev:1.0")
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="mistake")
    assert "not checked: AccessRefusedError" in done["statusReason"]
    service = name_of(done)

    def unchecked() -> list[dict[str, Any]]:
        start = f"REFUSED UNCHECKED: service {service} in cluster prod: AccessRefusedError"
        return [m for m in gate.messages() if (m["subject"] or "").startswith(start)]

    [message] = gate.eventually(unchecked, "somebody is told")
    assert "DeploymentCheckOnError" in json.loads(message["message"])["email"]


def test_a_warm_check_takes_less_than_two_seconds(gate: Gate, hooks: list[Any]) -> None:
    digest = released(gate, "fast")
    done = deploy(gate, hooks, f"{REGISTRY}/fast-dev@{digest}")
    [latest] = gate.cloud.client("ecs").list_service_deployments(cluster=CLUSTER, service=name_of(done))[
        "serviceDeployments"
    ]
    event = {"executionDetails": {"targetServiceRevisionArn": latest["targetServiceRevisionArn"]}}
    took = []
    for _ in range(5):
        start = time.perf_counter()
        assert gate.cloud.invoke("CheckDeploymentFunction", event) == {"hookStatus": "SUCCEEDED"}
        took.append(time.perf_counter() - start)
    print(f"warm check: {sorted(took)[2] * 1000:.0f} ms (median of 5)")
    assert sorted(took)[2] < 2.0


def test_the_board_is_made_after_a_release_and_its_link_is_in_the_message(gate: Gate) -> None:
    digest = gate.push("board-dev", "1.0")
    assert gate.ended("board-dev", digest)["outcome"] == "released"
    bucket = gate.cloud.outputs["BoardBucket"]
    s3 = gate.cloud.client("s3")

    def shown() -> bool:
        objects = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        if "index.html" not in objects:
            return False
        return b"board-dev:1.0" in s3.get_object(Bucket=bucket, Key="index.html")["Body"].read()

    eventually(shown)
    assert s3.head_object(Bucket=bucket, Key="index.html")["ContentType"] == "text/html; charset=utf-8"
    link = imagegate(gate, "board", "--link").out.strip()  # the sandbox knows no log-in by an address
    assert f"/{bucket}/index.html?" in link
    mails = [json.loads(one["message"]).get("email", "") for one in gate.messages()]  # cards have none
    assert any(f"/s3/object/{bucket}?" in mail and "board-dev" in mail for mail in mails)


# The daily canary, and cards for a chat


def test_the_daily_canary_gets_through_its_gate(gate: Gate) -> None:
    first = gate.push("canary-dev", "canary")
    assert gate.ended("canary-dev", first)["outcome"] == "released"

    def todays() -> str | None:
        images = gate.cloud.client("ecr").describe_images(repositoryName="canary-dev")["imageDetails"]
        tagged = {tag: one["imageDigest"] for one in images for tag in one.get("imageTags", ())}
        return next((digest for tag, digest in tagged.items() if tag.startswith("canary-")), None)

    pushed = gate.eventually(todays, "the reconciler pushes today's canary")
    assert pushed != first
    assert gate.ended("canary-dev", pushed)["outcome"] == "released"


def test_a_card_comes_to_the_topic_of_the_chat_for_what_somebody_should_read(gate: Gate) -> None:
    sqs, topic = gate.cloud.client("sqs"), gate.cloud.outputs["ChatTopicArn"]
    queue = sqs.create_queue(QueueName="chat")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    gate.cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    gate.findings("chat-dev:1.0", CRITICAL=1)
    digest = gate.push("chat-dev", "1.0", "a bad one")
    assert gate.ended("chat-dev", digest)["outcome"] == "blocked"
    cards: list[dict[str, Any]] = []

    def look() -> bool:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        cards.extend(json.loads(json.loads(message["Body"])["Message"]) for message in found)
        return any("chat-dev:1.0" in card["content"]["title"] for card in cards)

    gate.eventually(look, "a card about the blocked image")
    assert {card["version"] for card in cards} == {"1.0"}
