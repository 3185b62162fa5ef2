"""Tasks of Amazon ECS: which images run now, in which clusters and services."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imagegate.aws.clients import client, translated
from imagegate.errors import AccessRefusedError, ImageGateError, RejectedInputError, ServiceUnavailableError
from imagegate.oci.image import ImageRef
from imagegate.oci.reference import Reference
from imagegate.ports.risks import RunningTasks
from imagegate.release.revocation import RunsIn

_DENIED: Mapping[str, type[ImageGateError]] = {"AccessDeniedException": AccessRefusedError}


class ClusterGoneError(RejectedInputError):
    """The cluster does not exist any more."""


_ERRORS_OF_CLUSTERS: Mapping[str, type[ImageGateError]] = {
    **_DENIED,
    "ClusterNotFoundException": ClusterGoneError,
}
# Amazon ECS API reference: the most tasks in one call of DescribeTasks.
_TASKS_A_CALL = 100


class EcsTasks:
    """The running tasks of the account in this Region."""

    def __init__(self, registry: str) -> None:
        self._registry = registry

    def running(self) -> RunningTasks:
        """Return where each image of the registry runs. An image whose digest ECS did not resolve is left out.

        A cluster that cannot be read does not stop the others.
        """
        running: dict[ImageRef, list[RunsIn]] = {}
        unread: dict[str, str] = {}
        with translated(_DENIED, subject="the clusters of Amazon ECS"):
            clusters = list(_list(client("ecs"), "list_clusters", "clusterArns"))
        for cluster in clusters:
            try:
                with translated(_ERRORS_OF_CLUSTERS, subject=cluster):
                    counts = self._count(cluster)
            except ClusterGoneError:
                continue  # deleted since it was listed
            except Exception as fault:  # noqa: BLE001 - the others are still read, and every fault is reported
                unread[cluster] = f"{type(fault).__name__}: {fault}"
                continue
            for (image, group), units in counts.items():
                running.setdefault(image, []).append(RunsIn(cluster, units, service=group))
        return RunningTasks(running, unread)

    def _count(self, cluster: str) -> Counter[tuple[ImageRef, str]]:
        """Count the tasks of each image and group."""
        counts: Counter[tuple[ImageRef, str]] = Counter()
        for task in list_tasks(client("ecs"), cluster):
            counts.update({(image, task.get("group", "")) for image in self._images(task)})
        return counts

    def _images(self, task: Mapping[str, Any]) -> Iterator[ImageRef]:
        for container in task.get("containers", ()):
            try:
                reference = Reference.parse(container.get("image", ""))
                if container.get("imageDigest") and reference.is_in(self._registry):
                    yield ImageRef.of(reference.path, container["imageDigest"])
            except RejectedInputError:
                continue  # an image that is not of this registry


def list_tasks(ecs: Any, cluster: str) -> Iterator[Mapping[str, Any]]:
    """Yield the tasks of the cluster that run or start. `ecs`: a client of the account and Region."""
    arns = list(_list(ecs, "list_tasks", "taskArns", cluster=cluster, desiredStatus="RUNNING"))
    for first in range(0, len(arns), _TASKS_A_CALL):
        some = arns[first : first + _TASKS_A_CALL]
        yield from described(ecs.describe_tasks(cluster=cluster, tasks=some), "tasks", len(some))


def described(response: Mapping[str, Any], name: str, number: int) -> Sequence[Mapping[str, Any]]:
    """Return what Amazon ECS describes of so many things. Some may be gone since they were listed.

    Raises `ServiceUnavailableError` if it says nothing about one, or fails for another reason: it may exist, and run.
    """
    parts: Sequence[Mapping[str, Any]] = response.get(name, ())
    failures = response.get("failures", ())
    reasons = sorted({str(one.get("reason")) for one in failures} - {"MISSING"})
    if reasons or len(parts) + len(failures) < number:
        why = ", ".join(reasons) or "no answer"
        raise ServiceUnavailableError(f"Amazon ECS described {len(parts)} of {number} {name}: {why}")
    return parts


def _list(ecs: Any, operation: str, name: str, **arguments: Any) -> Iterator[str]:
    for page in ecs.get_paginator(operation).paginate(**arguments):
        yield from page[name]
