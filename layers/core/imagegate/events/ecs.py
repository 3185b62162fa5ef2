"""Events of Amazon ECS: the payload of a deployment's lifecycle hook, and the event of a running task.

Sources: Amazon ECS developer guide, "Lambda hooks for Amazon ECS service deployments" and "Amazon ECS task state change
events"; samples in `events/`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field, to_builtins

from imagegate.aws.ecs.revisions import container
from imagegate.events.validation import parse
from imagegate.notices.deployment_notice import RunningTask, ServiceRevision, Workload

_REVISION = r"\Aarn:[a-z0-9-]+:ecs:[a-z0-9-]+:[0-9]{12}:service-revision/[^/]+/[^/]+/[^/]+\Z"
_CLUSTER = r"\Aarn:[a-z0-9-]+:ecs:[a-z0-9-]+:[0-9]{12}:cluster/[^/]+\Z"


_Text = Annotated[str, Meta(min_length=1)]


class _FromEcs(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class ExecutionDetails(_FromEcs, frozen=True, kw_only=True, rename="camel"):
    target_service_revision_arn: Annotated[str, Meta(pattern=_REVISION)]


class DeploymentHook(_FromEcs, frozen=True, kw_only=True, rename="camel"):
    """One call of a hook."""

    lifecycle_stage: str = ""
    resource_arn: str = ""
    execution_details: ExecutionDetails


class TaskContainer(_FromEcs, frozen=True, kw_only=True, rename="camel"):
    """A container of a task. ECS knows the digest only of images in Amazon ECR."""

    name: str = ""
    image: str = ""
    image_digest: str | None = None


class TaskDetail(_FromEcs, frozen=True, kw_only=True, rename="camel"):
    cluster_arn: Annotated[str, Meta(pattern=_CLUSTER)]
    task_arn: _Text
    task_definition_arn: _Text
    group: str | None = None
    containers: list[TaskContainer]


class TaskStateChange(_FromEcs, frozen=True, kw_only=True, rename="camel"):
    detail_type: Literal["ECS Task State Change"] = field(name="detail-type")
    detail: TaskDetail


def parse_hook(event: object) -> ServiceRevision:
    """Return the service revision of a hook. Raises `InvalidEventError`."""
    # Earlier editions of the guide print the execution's details at the top level.
    if isinstance(event, dict) and "executionDetails" not in event:
        event = {**event, "executionDetails": event}
    hook = parse(DeploymentHook, event)
    revision = hook.execution_details.target_service_revision_arn
    _, cluster, service, _ = revision.split("/")
    return ServiceRevision(Workload(cluster, f"service:{service}"), revision, hook.resource_arn or revision)


def parse_task(event: object) -> RunningTask:
    """Return the task of an event. Raises `InvalidEventError`, or `InvalidDigestError` for a malformed digest."""
    detail = parse(TaskStateChange, event).detail
    family = detail.task_definition_arn.rpartition("/")[2].partition(":")[0]
    return RunningTask(
        Workload(detail.cluster_arn.rpartition("/")[2], detail.group or f"family:{family}"),
        arn=detail.task_arn,
        definition=detail.task_definition_arn,
        containers=tuple(container(one.name, to_builtins(one)) for one in detail.containers),
    )
