"""Inspector's GetClustersForImage: the clusters of Amazon ECS in the sandbox that run an image.

Rules where AWS's guides are silent: a task counts while it runs, and an image that nothing runs has no clusters. EKS is
left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.models import ecs_backends
from moto.inspector2 import urls
from moto.inspector2.responses import Inspector2Response

from sandbox.aws import ecs
from sandbox.aws.ecs_images import images_of
from sandbox.aws.inspector.errors import InspectorError
from sandbox.registry.errors import EcrError
from sandbox.registry.paging import page
from sandbox.settings import ACCOUNT, REGION, Settings

LARGEST_PAGE = 100
_Place = tuple[str, str, str]  # ARN of the cluster, group, ARN of the task definition
_RESOURCE = re.compile(
    r"arn:[^:]*:ecr:[^:]*:\d{12}:repository/(?P<repository>[a-zA-Z0-9._/-]+?)(/(?P<digest>sha256:[a-z0-9]{64}))?"
)
_REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/"


class Clusters(Inspector2Response):
    """The operation that moto lacks."""

    def get_clusters_for_image(self) -> ActionResult:
        resource = _RESOURCE.fullmatch((self._get_param("filter") or {}).get("resourceId") or "")
        size = self._get_param("maxResults")
        size = LARGEST_PAGE if size is None else size
        if resource is None:
            raise InspectorError("filter.resourceId must be the ARN of a repository or of an image in it")
        if not 1 <= size <= LARGEST_PAGE:
            raise InspectorError(f"maxResults must be between 1 and {LARGEST_PAGE}")
        try:
            listed, token = page(_clusters(resource), self._get_param("nextToken"), size)
        except EcrError as error:
            raise InspectorError("Invalid next token") from error
        return ActionResult({"cluster": listed} | ({"nextToken": token} if token else {}))


def _clusters(resource: re.Match[str]) -> list[dict[str, Any]]:
    counts: Counter[_Place] = Counter()
    for place, tasks, images in _running_images():
        if any(_is_of(image, resource) for image in images):
            counts[place] += tasks
    return [
        {
            "clusterArn": cluster,
            "clusterDetails": [_details(one, counts[one]) for one in counts if one[0] == cluster],
        }
        for cluster in dict.fromkeys(cluster for cluster, *_ in counts)
    ]


def _running_images() -> Iterator[tuple[_Place, int, list[dict[str, str]]]]:
    """Yield each place, its number of tasks, and their images."""
    backend = ecs_backends[ACCOUNT][REGION]
    for one in ecs.successful_deployments():
        service = one.service
        if service.status == "ACTIVE" and service.desired_count:
            place = service.cluster_arn, f"service:{service.name}", one.task_definition
            yield place, service.desired_count, one.images
    for task in [one for tasks in backend.tasks.values() for one in tasks.values()]:
        if task.last_status == "RUNNING" and not task.group.startswith("service:"):
            yield (
                (task.cluster_arn, task.group, task.task_definition_arn),
                1,
                images_of(task.task_definition_arn),
            )


def _details(one: _Place, tasks: int) -> dict[str, Any]:
    _, group, definition = one
    return {
        "lastInUse": datetime.now(UTC),
        "runningUnitCount": tasks,
        "stoppedUnitCount": 0,
        "clusterMetadata": {
            "awsEcsMetadataDetails": {"detailsGroup": group, "taskDefinitionArn": definition}
        },
    }


def _is_of(image: dict[str, str], resource: re.Match[str]) -> bool:
    name = image["image"].partition("@")[0]
    if not name.startswith(_REGISTRY):
        return False
    repository = name.removeprefix(_REGISTRY).partition(":")[0]
    return repository == resource["repository"] and resource["digest"] in (None, image.get("imageDigest"))


def install(_settings: Settings) -> None:
    urls.url_paths["{0}/cluster/get$"] = Clusters.dispatch
