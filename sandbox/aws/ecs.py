"""Amazon ECS: moto keeps services and tasks, but deploys nothing, calls no hooks, and sends no events.

Here a new service, or one with another task definition, gets a service revision and a deployment. Its hooks are called
at PRE_SCALE_UP; if they allow it, each task "runs": it sends an event, but starts no containers. Left out: every other
lifecycle stage, traffic, health, task sets. Unverified: tags are resolved to digests before the hook is called.

Sources: Amazon ECS developer guide, "Lambda hooks for Amazon ECS service deployments", "Amazon ECS service revisions".
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ecs import urls
from moto.ecs.models import ecs_backends
from moto.ecs.responses import EC2ContainerServiceResponse

from sandbox.aws import awslambda
from sandbox.aws.ecs_images import describe_task, images_of
from sandbox.aws.events import rules
from sandbox.aws.iam import principals
from sandbox.functions import Invocation
from sandbox.settings import Settings

STAGE = "PRE_SCALE_UP"
_CALL_BACK_SECONDS = 30
_LONGEST_CALLS = 20
_settings: Settings


@dataclass(slots=True)
class _Deployment:
    """The deployment of one service revision."""

    service: Any
    task_definition: str
    arn: str
    revision: str
    before: _Deployment | None
    hooks: list[dict[str, Any]]
    images: list[dict[str, str]]
    status: str = "IN_PROGRESS"
    reason: str = ""
    tasks: list[str] = field(default_factory=list)  # ARNs
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def as_json(self) -> dict[str, Any]:
        return {
            "serviceDeploymentArn": self.arn,
            "serviceArn": self.service.arn,
            "clusterArn": self.service.cluster_arn,
            "createdAt": self.created,
            "startedAt": self.created,
            "targetServiceRevisionArn": self.revision,
            "status": self.status,
            "statusReason": self.reason,
        }


_deployments: dict[str, list[_Deployment]] = {}  # key: the ARN of the service


class EcsOperations(EC2ContainerServiceResponse):
    """Operations that moto lacks or has only in part, one method each."""

    def create_service(self) -> ActionResult:
        answer = super().create_service()
        self._deploy(self._get_param("serviceName"))
        return answer

    def update_service(self) -> ActionResult:
        answer = super().update_service()
        if self._get_param("taskDefinition") or self._get_param("forceNewDeployment"):
            self._deploy(self._get_param("service"))
        return answer

    def _deploy(self, name: str) -> None:
        backend = ecs_backends[_settings.account][_settings.region]
        service = backend._get_service(self._get_param("cluster", "default"), name.rpartition("/")[2])
        earlier = _deployments.setdefault(service.arn, [])
        configured = (self._get_param("deploymentConfiguration") or {}).get("lifecycleHooks")
        hooks = configured if configured is not None else earlier[-1].hooks if earlier else []
        names = f"{service.cluster_name}/{service.name}"
        deployment = _Deployment(
            service=service,
            task_definition=backend.describe_task_definition(service.task_definition).arn,
            arn=_arn(f"service-deployment/{names}/{uuid.uuid4().hex[:21]}"),
            revision=_arn(f"service-revision/{names}/{uuid.uuid4().int % 10**19}"),
            before=next((one for one in reversed(earlier) if one.status == "SUCCESSFUL"), None),
            hooks=hooks,
            images=images_of(service.task_definition),
        )
        earlier.append(deployment)
        threading.Thread(
            target=_run_deployment, args=[deployment], name="ecs-deployment", daemon=True
        ).start()

    def run_task(self) -> ActionResult:
        answer = super().run_task()
        for task in answer.result["tasks"]:
            images = images_of(task.task_definition_arn)
            _announce_running_task(
                task.cluster_arn, task.task_definition_arn, task.task_arn, task.group, images
            )
        return answer

    def describe_service_revisions(self) -> ActionResult:
        by_arn = {one.revision: one for deployments in _deployments.values() for one in deployments}
        arns = self._get_param("serviceRevisionArns")
        revisions = [
            {
                "serviceRevisionArn": arn,
                "serviceArn": by_arn[arn].service.arn,
                "clusterArn": by_arn[arn].service.cluster_arn,
                "taskDefinition": by_arn[arn].task_definition,
                "containerImages": by_arn[arn].images,
                "createdAt": by_arn[arn].created,
            }
            for arn in arns
            if arn in by_arn
        ]
        failures = [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in by_arn]
        return ActionResult({"serviceRevisions": revisions, "failures": failures})

    def list_tasks(self) -> ActionResult:
        """List moto's tasks and those of services, which moto has not; other filters than the cluster's are ignored."""
        answer = super().list_tasks()
        arns = [task for one in self._deployed() for task in one.tasks]
        return ActionResult({"taskArns": [*answer.result["taskArns"], *arns]})

    def describe_tasks(self) -> ActionResult:
        """Describe tasks with the digests of their images."""
        arns, deployed = self._get_param("tasks", []), list(self._deployed())
        of_services = {task: one for one in deployed for task in one.tasks}
        backend = ecs_backends[_settings.account][_settings.region]
        others = [arn for arn in arns if arn not in of_services]
        single = backend.describe_tasks(self._get_param("cluster", "default"), others) if others else []
        tasks = [
            describe_task(arn, one.service.cluster_arn, f"service:{one.service.name}", one.images)
            for arn, one in of_services.items()
            if arn in arns
        ]
        tasks += [
            describe_task(one.task_arn, one.cluster_arn, one.group, images_of(one.task_definition_arn))
            for one in single
        ]
        known = {task["taskArn"] for task in tasks}
        failures = [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known]
        return ActionResult({"tasks": tasks, "failures": failures})

    def _deployed(self) -> Iterator[_Deployment]:
        """Yield the deployments in this cluster whose tasks run."""
        cluster = self._get_param("cluster", "default").rpartition("/")[2]
        for one in successful_deployments():
            if one.service.cluster_name == cluster and one.service.status == "ACTIVE":
                yield one

    def list_service_deployments(self) -> ActionResult:
        """List deployments, newest first."""
        name = self._get_param("service").rpartition("/")[2]
        backend = ecs_backends[_settings.account][_settings.region]
        service = backend._get_service(self._get_param("cluster", "default"), name)
        deployments = [one.as_json() for one in reversed(_deployments.get(service.arn, []))]
        return ActionResult({"serviceDeployments": deployments})


def successful_deployments() -> Iterator[_Deployment]:
    """Return the last successful deployment of each service."""
    for deployments in list(_deployments.values()):
        successful = [one for one in deployments if one.status == "SUCCESSFUL"]
        yield from successful[-1:]


def _arn(resource: str) -> str:
    return f"arn:aws:ecs:{_settings.region}:{_settings.account}:{resource}"


def _run_deployment(deployment: _Deployment) -> None:
    """Run the hooks of one stage; roll back if one of them refuses."""
    try:
        refusal = next(filter(None, (_call_hook(deployment, hook) for hook in deployment.hooks)), None)
    except Exception as error:  # noqa: BLE001 - a hook that cannot be called has not agreed
        refusal = str(error)
    if refusal is None:
        deployment.status = "SUCCESSFUL"
        _start_tasks(deployment)
        return
    if deployment.before:
        deployment.service.task_definition = deployment.before.task_definition
    deployment.reason = refusal
    deployment.status = "ROLLBACK_SUCCESSFUL" if deployment.before else "ROLLBACK_FAILED"


def _call_hook(deployment: _Deployment, hook: dict[str, Any]) -> str | None:
    if STAGE not in hook["lifecycleStages"] or hook.get("targetType", "AWS_LAMBDA") != "AWS_LAMBDA":
        return None
    target = hook["hookTargetArn"]
    keys = principals.role_credentials(hook["roleArn"], "ecs")
    if not principals.is_allowed(keys["aws_access_key_id"], "lambda:InvokeFunction", target):
        return f"the hook's role may not invoke {target}"
    answer: dict[str, Any] = {}
    for _ in range(_LONGEST_CALLS):
        outcome = awslambda.run(target, Invocation(_payload(deployment, hook, answer), target))
        response = None if outcome.error else json.loads(outcome.payload)
        answer = response if isinstance(response, dict) else {}
        if answer.get("hookStatus") != "IN_PROGRESS":
            break
        time.sleep(float(answer.get("callBackDelay", _CALL_BACK_SECONDS)) * _settings.time_scale)
    if answer.get("hookStatus") == "SUCCEEDED":
        return None
    return f"Service deployment rolled back because of lifecycle hook {target}: {outcome.payload.decode()}"


def _payload(deployment: _Deployment, hook: dict[str, Any], answer: dict[str, Any]) -> bytes:
    details = answer.get("hookDetails") or hook.get("hookDetails")
    payload = {
        "executionId": str(uuid.uuid4()),
        "lifecycleStage": STAGE,
        "resourceArn": deployment.arn,
        "executionDetails": {
            "serviceArn": deployment.service.arn,
            "targetServiceRevisionArn": deployment.revision,
            "testTrafficWeights": {},
            "productionTrafficWeights": {},
        },
        **({"hookDetails": details} if details else {}),
    }
    return json.dumps(payload).encode()


def _start_tasks(deployment: _Deployment) -> None:
    service = deployment.service
    for _ in range(service.desired_count):
        task = _arn(f"task/{service.cluster_name}/{uuid.uuid4().hex}")
        deployment.tasks.append(task)
        where = service.cluster_arn, deployment.task_definition, task, f"service:{service.name}"
        _announce_running_task(*where, deployment.images)


def _announce_running_task(
    cluster: str, definition: str, task: str, group: str, images: list[dict[str, str]]
) -> None:
    """Send "ECS Task State Change" as the guide prints it, without networks and resources."""
    containers = [
        {
            "containerArn": task.replace(":task/", ":container/") + f"/{uuid.uuid4()}",
            "lastStatus": "RUNNING",
            "taskArn": task,
            **{"name" if name == "containerName" else name: value for name, value in image.items()},
        }
        for image in images
    ]
    detail = {
        "clusterArn": cluster,
        "containers": containers,
        "desiredStatus": "RUNNING",
        "group": group,
        "lastStatus": "RUNNING",
        "taskArn": task,
        "taskDefinitionArn": definition,
    }
    rules.emit("aws.ecs", "ECS Task State Change", detail, [task])


def install(settings: Settings) -> None:
    """Patch ECS. Needs the store that ECR's patch opens."""
    global _settings
    _settings = settings
    _deployments.clear()
    urls.url_paths["{0}/$"] = EcsOperations.dispatch
