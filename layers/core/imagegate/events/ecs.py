"""Events of Amazon ECS: the payload of a deployment's lifecycle hook, and the event of a running task.

Sources: Amazon ECS developer guide, "Lambda hooks for Amazon ECS service deployments" and "Amazon ECS task state change
events"; samples in `events/`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from imagegate.aws.ecs import container
from imagegate.events.validation import parse
from imagegate.notices.deployment_notice import RunningTask, ServiceRevision, Workload

_REVISION = r"^arn:[a-z0-9-]+:ecs:[a-z0-9-]+:\d{12}:service-revision/[^/]+/[^/]+/[^/]+$"
_CLUSTER = r"^arn:[a-z0-9-]+:ecs:[a-z0-9-]+:\d{12}:cluster/[^/]+$"


class _FromEcs(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class ExecutionDetails(_FromEcs):
    target_service_revision_arn: str = Field(pattern=_REVISION)


class DeploymentHook(_FromEcs):
    """One call of a hook. Earlier editions of the guide print the execution's details at the top level."""

    lifecycle_stage: str = ""
    resource_arn: str = ""
    execution_details: ExecutionDetails

    @model_validator(mode="before")
    @classmethod
    def _has_details(cls, event: Any) -> Any:
        if isinstance(event, dict) and "executionDetails" not in event:
            return {**event, "executionDetails": event}
        return event


class TaskContainer(_FromEcs):
    """A container of a task. ECS knows the digest only of images in Amazon ECR."""

    name: str = ""
    image: str = ""
    image_digest: str | None = None


class TaskDetail(_FromEcs):
    cluster_arn: str = Field(pattern=_CLUSTER)
    task_arn: str = Field(min_length=1)
    task_definition_arn: str = Field(min_length=1)
    group: str | None = None
    containers: list[TaskContainer]


class TaskStateChange(_FromEcs):
    detail_type: Literal["ECS Task State Change"] = Field(alias="detail-type")
    detail: TaskDetail


def parse_hook(event: object) -> ServiceRevision:
    """Return the service revision of a hook. Raises `InvalidEventError`."""
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
        containers=tuple(container(one.name, one.model_dump(by_alias=True)) for one in detail.containers),
    )
