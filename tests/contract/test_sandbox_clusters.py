"""GetClustersForImage answers from what the sandbox's Amazon ECS runs: moto has no such operation."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.served_cloud import ServedCloud
from tests.patience import eventually

ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"
DIGEST, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.fixture(scope="module")
def ecs(cloud: ServedCloud) -> Any:
    return cloud.client("ecs")


@pytest.fixture(scope="module")
def inspector(cloud: ServedCloud) -> Any:
    return cloud.client("inspector2")


@pytest.fixture
def app() -> str:
    return f"app-{uuid.uuid4().hex[:8]}"


def cluster(ecs: Any) -> str:
    return str(ecs.create_cluster(clusterName=f"c{uuid.uuid4().hex[:8]}")["cluster"]["clusterArn"])


def definition(ecs: Any, *images: str) -> str:
    containers = [{"name": f"c{number}", "image": image, "memory": 64} for number, image in enumerate(images)]
    made = ecs.register_task_definition(family=f"f{uuid.uuid4().hex[:8]}", containerDefinitions=containers)
    return str(made["taskDefinition"]["taskDefinitionArn"])


def service(ecs: Any, where: str, task: str, tasks: int) -> str:
    name = f"s{uuid.uuid4().hex[:8]}"
    ecs.create_service(
        cluster=where, serviceName=name, taskDefinition=task, desiredCount=tasks, launchType="FARGATE"
    )
    return name


def arn(repository: str, digest: str = "") -> str:
    return f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/{repository}" + (f"/{digest}" if digest else "")


def clusters(inspector: Any, resource: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = inspector.get_clusters_for_image(filter={"resourceId": resource})["cluster"]
    return found


def test_clusters_list_the_services_that_run_an_image_with_their_task_counts(
    ecs: Any, inspector: Any, app: str
) -> None:
    where, task = cluster(ecs), definition(ecs, "nginx:1", f"{REGISTRY}/{app}:1.0@{DIGEST}")
    name = service(ecs, where, task, 3)
    [found] = eventually(lambda: clusters(inspector, arn(app, DIGEST)))
    assert found["clusterArn"] == where
    [details] = found["clusterDetails"]
    assert (details["runningUnitCount"], details["stoppedUnitCount"]) == (3, 0)
    assert details["lastInUse"]
    assert details["clusterMetadata"]["awsEcsMetadataDetails"] == {
        "detailsGroup": f"service:{name}",
        "taskDefinitionArn": task,
    }
    assert len(clusters(inspector, arn(app))) == 1
    assert clusters(inspector, arn(app, OTHER)) == []
    assert clusters(inspector, arn(f"{app}-dev", DIGEST)) == []


def test_an_image_that_no_longer_runs_has_no_clusters(ecs: Any, inspector: Any, app: str) -> None:
    where = cluster(ecs)
    old, new = (definition(ecs, f"{REGISTRY}/{app}@{digest}") for digest in (DIGEST, OTHER))
    name = service(ecs, where, old, 1)
    assert eventually(lambda: clusters(inspector, arn(app, DIGEST)))
    ecs.update_service(cluster=where, service=name, taskDefinition=new)
    assert eventually(lambda: clusters(inspector, arn(app, OTHER)))
    assert clusters(inspector, arn(app, DIGEST)) == []
    ecs.update_service(cluster=where, service=name, desiredCount=0)
    assert clusters(inspector, arn(app, OTHER)) == []


def test_tasks_that_run_by_themselves_count_until_they_are_stopped(
    ecs: Any, inspector: Any, app: str
) -> None:
    where, task = cluster(ecs), definition(ecs, f"{REGISTRY}/{app}@{DIGEST}")
    ran = ecs.run_task(cluster=where, taskDefinition=task, count=2, launchType="FARGATE")["tasks"]
    [found] = clusters(inspector, arn(app, DIGEST))
    [details] = found["clusterDetails"]
    assert details["runningUnitCount"] == 2
    for one in ran:
        ecs.stop_task(cluster=where, task=one["taskArn"])
    assert clusters(inspector, arn(app, DIGEST)) == []


def test_several_clusters_come_in_pages(ecs: Any, inspector: Any, app: str) -> None:
    task = definition(ecs, f"{REGISTRY}/{app}@{DIGEST}")
    places = {cluster(ecs) for _ in range(3)}
    for where in places:
        service(ecs, where, task, 1)
    assert eventually(lambda: len(clusters(inspector, arn(app, DIGEST))) == 3)
    asked: dict[str, Any] = {"filter": {"resourceId": arn(app, DIGEST)}, "maxResults": 2}
    first = inspector.get_clusters_for_image(**asked)
    second = inspector.get_clusters_for_image(**asked, nextToken=first["nextToken"])
    listed = [one["clusterArn"] for one in (*first["cluster"], *second["cluster"])]
    assert (set(listed), len(listed)) == (places, 3)
    assert "nextToken" not in second


@pytest.mark.parametrize(
    "wrong",
    [
        {"filter": {"resourceId": "shop"}},
        {"filter": {"resourceId": arn("shop", "sha256:1")}},
        {"filter": {"resourceId": arn("shop")}, "maxResults": 101},
        {"filter": {"resourceId": arn("shop")}, "nextToken": "bm8="},
    ],
)
def test_wrong_questions_are_refused(inspector: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as caught:
        inspector.get_clusters_for_image(**wrong)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
