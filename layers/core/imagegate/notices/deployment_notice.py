"""Messages about deployments and running tasks, for a person who is woken at night and knows none of the names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from imagegate.notices.message import Message, aligned
from imagegate.policy.rules import Attention
from imagegate.text import one_line

if TYPE_CHECKING:
    from imagegate.deployment.check import DeploymentRuling
    from imagegate.oci.reference import Container

DEPLOYMENT_REFUSED = "Deployment Refused"
DEPLOYMENT_OBSERVED = "Deployment Would Be Refused"
DEPLOYMENT_UNCHECKED = "Deployment Not Checked"
UNGATED_IMAGE_RUNS = "Ungated Image Runs"

_SERVICE = "service:"


class OnError(StrEnum):
    """The answer for a deployment that could not be checked: `closed` refuses it, `open` lets it through."""

    CLOSED = "closed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Workload:
    """A service (`service:web`), or tasks that were started in another way (`family:batch`)."""

    cluster: str
    group: str

    @property
    def name(self) -> str:
        return self.group.removeprefix(_SERVICE)

    def __str__(self) -> str:
        kind = "service" if self.group.startswith(_SERVICE) else "tasks"
        return f"{kind} {self.name} in cluster {self.cluster}"


@dataclass(frozen=True, slots=True)
class ServiceRevision:
    """A service revision that Amazon ECS is about to start."""

    workload: Workload
    revision: str  # its ARN
    arn: str  # of the deployment


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that Amazon ECS has started."""

    workload: Workload
    arn: str
    definition: str  # ARN of its task definition
    containers: tuple[Container, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """A message that is sent once. `notice` names its subject, the same for every call that notices it."""

    notice: str
    announcement: Message
    insists: bool = False  # send it even if the ledger cannot note it: twice is better than never


def of_deployment(deployment: ServiceRevision, ruling: DeploymentRuling) -> Alert:
    """Return the alert about a refused deployment: one per service and image, until there is a new verdict."""
    kind = DEPLOYMENT_REFUSED if ruling.stops else DEPLOYMENT_OBSERVED
    head, happened = (
        ("REFUSED", "was refused. Amazon ECS rolls it back.")
        if ruling.stops
        else ("WOULD BE REFUSED", "was not stopped for this image: its stage only observes.")
    )
    return _about(
        kind,
        deployment.workload,
        ruling,
        head=head,
        happened=f"The deployment of {deployment.workload} {happened}",
        todo=ruling.todo,
        more={"Revision": deployment.revision, "Deployment": deployment.arn},
    )


def of_task(task: RunningTask, ruling: DeploymentRuling) -> Alert:
    """Return the alert about a running task: one per service (or task group) and image, for any number of tasks."""
    stop = f"aws ecs stop-task --cluster {task.workload.cluster} --task {task.arn}"
    return _about(
        UNGATED_IMAGE_RUNS,
        task.workload,
        ruling,
        head="RUNS UNGATED",
        happened=f"An image that did not pass its gate runs in {task.workload}. Nothing was stopped.",
        todo=[*ruling.todo, f"To stop this one task: {stop}"],
        more={"Task": task.arn, "Definition": task.definition},
    )


def unchecked(deployment: ServiceRevision | None, fault: str, on_error: OnError) -> Alert:
    """Return the alert that the check itself failed, with what was done with the deployment."""
    workload = str(deployment.workload) if deployment else "a service that the request does not name"
    is_open = on_error is OnError.OPEN
    done = "LET THROUGH UNCHECKED" if is_open else "REFUSED UNCHECKED"
    what = "let through without a check" if is_open else "refused without a check, and is rolled back"
    facts = {
        "Cause": fault,
        "On error": f"{on_error}: the stack's parameter DeploymentCheckOnError",
        "Revision": deployment.revision if deployment else "unknown",
        "Deployment": deployment.arn if deployment else "unknown",
    }
    todo = (
        "Check the images that run now, and fix the cause."
        if is_open
        else "Fix the cause and deploy again. If the deployment is urgent, detach the hook from the service."
    )
    notice = one_line(f"unchecked {deployment.arn if deployment else fault[:200]}")
    return Alert(
        notice,
        Message(
            subject=f"{done}: {workload}: {fault}",
            lines=_lines([f"The deployment of {workload} was {what}."], [todo], facts),
            detail_type=DEPLOYMENT_UNCHECKED,
            detail={
                "schema": 1,
                "id": _id(notice),
                "onError": str(on_error),
                "cause": fault,
                "cluster": deployment.workload.cluster if deployment else None,
                "group": deployment.workload.group if deployment else None,
                "revision": deployment.revision if deployment else None,
            },
            attributes={"alert": str(Attention.ALERT), "deployment": "unchecked"},
        ),
        insists=True,
    )


def _about(
    kind: str,
    workload: Workload,
    ruling: DeploymentRuling,
    *,
    head: str,
    happened: str,
    todo: Sequence[str],
    more: dict[str, str],
) -> Alert:
    stage = ruling.stage.name if ruling.stage else "none"
    notice = _notice(kind, workload, ruling)
    facts = {
        "Container": ruling.container.name,
        "Image": ruling.container.image,
        "Digest": str(ruling.image.digest if ruling.image else ruling.container.digest or "unknown"),
        "Stage": stage,
        **more,
    }
    detail: dict[str, Any] = {
        "schema": 1,
        "id": _id(notice),
        "cluster": workload.cluster,
        "group": workload.group,
        "container": ruling.container.name,
        "image": ruling.container.image,
        "repository": ruling.image.repository if ruling.image else None,
        "digest": str(ruling.image.digest) if ruling.image else None,
        "stage": ruling.stage.name if ruling.stage else None,
        "rule": str(ruling.rule),
        "reason": ruling.why,
        "attempt": ruling.decided_by.attempt if ruling.decided_by else None,
        **{name.lower(): value for name, value in more.items()},
    }
    attributes = {
        "alert": "block" if kind == DEPLOYMENT_REFUSED else str(Attention.ALERT),
        "deployment": {DEPLOYMENT_REFUSED: "refused", DEPLOYMENT_OBSERVED: "observed"}.get(kind, "runs"),
        "rule": str(ruling.rule),
        **({"repository": ruling.image.repository} if ruling.image else {}),
        **({"stage": stage} if ruling.stage else {}),
    }
    why = f"{_short(ruling)}: {ruling.why}"
    subject = f"{head}: {workload.name} in {workload.cluster}: {why}"
    lines = _lines([happened, "", f"  {why}"], todo, facts)
    return Alert(notice, Message(subject, lines, kind, detail, attributes))


def _notice(kind: str, workload: Workload, ruling: DeploymentRuling) -> str:
    """Return the name of an alert. It has the attempt that decided: a new verdict about the same image is news."""
    attempt = ruling.decided_by.attempt if ruling.decided_by else 0
    return one_line(f"{kind} {workload.cluster} {workload.group} {ruling.subject} {attempt}")


def _id(notice: str) -> str:
    """Return the event's ID, the same for the same notice."""
    return hashlib.sha256(notice.encode()).hexdigest()[:40]


def _short(ruling: DeploymentRuling) -> str:
    if ruling.image:
        return f"{ruling.image.repository}@{ruling.image.digest.short}"
    return ruling.container.image


def _lines(happened: Sequence[str], todo: Sequence[str], facts: dict[str, str]) -> list[str]:
    steps = [f"  {line}" for line in todo]
    return [*happened, "", "What to do:", *steps, "", *aligned(facts)]
