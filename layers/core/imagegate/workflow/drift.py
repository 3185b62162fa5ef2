"""Drift: a task runs, whoever started it and however; tell of images in it that did not pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from imagegate.deployment.check import DeploymentRuling
from imagegate.errors import RecordNotFoundError
from imagegate.notices.deployment_notice import RunningTask, of_task
from imagegate.ports import Services
from imagegate.workflow.deployment import JudgeContainers, TellOnce


@dataclass(frozen=True, slots=True)
class Drift:
    """`told`: how many of the rulings were news."""

    rulings: tuple[DeploymentRuling, ...]
    told: int = 0


@dataclass(frozen=True, slots=True)
class FindDrift:
    services: Services
    judge: JudgeContainers
    tell: TellOnce

    def run(self, task: RunningTask, now: datetime) -> Drift:
        """Raises as its ports do: the event is tried again, and is a dead letter in the end."""
        found = [ruling for ruling in self.judge.run(task.containers, now) if not ruling.may_run]
        if not found:
            return Drift(())
        refused = tuple(ruling for ruling in found if self._is_peoples(task, ruling))
        return Drift(refused, self.tell.run([of_task(task, ruling) for ruling in refused], now))

    def _is_peoples(self, task: RunningTask, ruling: DeploymentRuling) -> bool:
        """Amazon ECS adds containers of its own to tasks; the task definition does not name those."""
        try:
            written = self.services.written(task.definition)
        except RecordNotFoundError:
            return True  # it was deleted: then nobody knows, and it is told
        return ruling.container.name in {container.name for container in written}
