"""Tasks of Amazon ECS: which images run now, in which clusters and services."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imagegate.aws.clients import client, translated
from imagegate.errors import AccessRefusedError, ImageGateError, RejectedInputError
from imagegate.oci.image import ImageRef
from imagegate.oci.reference import Reference
from imagegate.release.revocation import RunsIn

_DENIED: Mapping[str, type[ImageGateError]] = {"AccessDeniedException": AccessRefusedError}
# Amazon ECS API reference: the most tasks in one call of DescribeTasks.
_TASKS_A_CALL = 100


class EcsTasks:
    """The running tasks of the account in this Region."""

    def __init__(self, registry: str) -> None:
        self._registry = registry

    def running(self) -> Mapping[ImageRef, Sequence[RunsIn]]:
        """Return where each image of the registry runs. An image whose digest ECS did not resolve is left out."""
        counts: Counter[tuple[ImageRef, str, str]] = Counter()
        with translated(_DENIED, subject="the tasks of Amazon ECS"):
            for cluster in _list("list_clusters", "clusterArns"):
                for task in _tasks(cluster):
                    group = task.get("group", "")
                    counts.update({(image, cluster, group) for image in self._images(task)})
        running: dict[ImageRef, list[RunsIn]] = {}
        for (image, cluster, group), units in counts.items():
            running.setdefault(image, []).append(RunsIn(cluster, units, service=group))
        return running

    def _images(self, task: Mapping[str, Any]) -> Iterator[ImageRef]:
        for container in task.get("containers", ()):
            try:
                reference = Reference.parse(container.get("image", ""))
                if container.get("imageDigest") and reference.is_in(self._registry):
                    yield ImageRef.of(reference.path, container["imageDigest"])
            except RejectedInputError:
                continue  # an image that is not of this registry


def _tasks(cluster: str) -> Iterator[Mapping[str, Any]]:
    arns = list(_list("list_tasks", "taskArns", cluster=cluster, desiredStatus="RUNNING"))
    for first in range(0, len(arns), _TASKS_A_CALL):
        some = arns[first : first + _TASKS_A_CALL]
        yield from client("ecs").describe_tasks(cluster=cluster, tasks=some).get("tasks", ())


def _list(operation: str, name: str, **arguments: Any) -> Iterator[str]:
    for page in client("ecs").get_paginator(operation).paginate(**arguments):
        yield from page[name]
