"""Check a deployment: find its images, look each up in the ledger, answer; then tell people, once.

Drift: when a task runs, however it was started, tell people of images in it that have not passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from imagegate.deployment.check import (
    DeploymentRuling,
    apply_break_glass,
    find_gate,
    rule_missing_tag,
    rule_on_image,
)
from imagegate.errors import RecordNotFoundError, RejectedInputError
from imagegate.notices.deployment_notice import (
    Alert,
    OnError,
    RunningTask,
    ServiceRevision,
    of_deployment,
    of_task,
    unchecked,
)
from imagegate.oci.image import ImageRef
from imagegate.oci.reference import Container, resolve_digests
from imagegate.text import one_line

if TYPE_CHECKING:
    from imagegate.policy.policy import Policy
    from imagegate.ports.grants import Grants
    from imagegate.ports.images import Images
    from imagegate.ports.ledger import Releases
    from imagegate.ports.pending import Notices
    from imagegate.ports.services import Notifications, Services

_LONGEST_FAULT = 300


class NothingToCheckError(RejectedInputError):
    """No container was found. That must not count as if all of them had passed."""


class HookStatus(StrEnum):
    """The answers to a hook (Amazon ECS developer guide, "hookStatus values"). `IN_PROGRESS` is never needed."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class HookAnswer:
    status: HookStatus
    reason: str  # for the log and for the deployment's details
    rulings: tuple[DeploymentRuling, ...] = ()
    alerts: tuple[Alert, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the response for ECS. `hookDetails` may have any content."""
        details = (
            {"hookDetails": {"reason": one_line(self.reason)}} if self.status is HookStatus.FAILED else {}
        )
        return {"hookStatus": str(self.status), **details}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeContainers:
    """Judges containers. `allowed` are the name prefixes of images that may run without a gate."""

    images: Images
    ledger: Releases
    grants: Grants
    policy: Policy
    allowed: tuple[str, ...]

    def run(self, containers: Iterable[Container], now: datetime) -> list[DeploymentRuling]:
        """Return one ruling per container, in their order."""
        rulings = [self._ruling(container) for container in containers]
        if all(ruling.may_run for ruling in rulings):
            return rulings
        granted = self.grants.broken_glass()
        return [apply_break_glass(ruling, granted, now) for ruling in rulings]

    def _ruling(self, container: Container) -> DeploymentRuling:
        located = find_gate(container, self.images.registry, self.policy, self.allowed)
        if isinstance(located, DeploymentRuling):
            return located
        digest = located.digest or self.images.digest_of(located.repository, located.tag or "")
        if digest is None:
            return rule_missing_tag(located)
        image = ImageRef(located.repository, digest)
        own = self.ledger.history(image)
        indexes = [(it, self.ledger.history(ImageRef(image.repository, it))) for it in own.indexes]
        return rule_on_image(located, image, own, indexes)


@dataclass(frozen=True, slots=True)
class CheckDeployment:
    services: Services
    judge: JudgeContainers

    def run(self, deployment: ServiceRevision, now: datetime) -> HookAnswer:
        """Check all containers of the revision. Raises any fault; `not_checked` then makes the answer."""
        definition, seen = self.services.revision(deployment.revision)
        containers = resolve_digests(self.services.written(definition), seen)
        if not containers:
            raise NothingToCheckError(f"{deployment.revision}: ECS names no containers of {definition}")
        rulings = tuple(self.judge.run(containers, now))
        refused = [ruling for ruling in rulings if not ruling.may_run]
        stops = any(ruling.stops for ruling in refused)
        return HookAnswer(
            HookStatus.FAILED if stops else HookStatus.SUCCEEDED,
            "; ".join(f"{one.container.name}: {one.subject}: {one.why}" for one in refused or rulings),
            rulings,
            tuple(of_deployment(deployment, ruling) for ruling in refused),
        )


def not_checked(deployment: ServiceRevision | None, error: Exception, on_error: OnError) -> HookAnswer:
    """Return the answer for a deployment that could not be checked, with its alert."""
    fault = f"{type(error).__name__}: {error}"[:_LONGEST_FAULT]
    status = HookStatus.SUCCEEDED if on_error is OnError.OPEN else HookStatus.FAILED
    return HookAnswer(status, f"not checked: {fault}", alerts=(unchecked(deployment, fault, on_error),))


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOnce:
    """Sends each alert once, even if several calls notice it. If that fails, a later call sends it."""

    ledger: Notices
    notifications: Notifications

    def run(self, alerts: Sequence[Alert], now: datetime) -> int:
        """Send the alerts and return how many were sent. All are tried; then the first fault is raised."""
        faults: list[Exception] = []
        sent = 0
        for alert in {alert.notice: alert for alert in alerts}.values():
            try:
                sent += self._send(alert, now)
            except Exception as error:  # noqa: BLE001 - raised below
                faults.append(error)
        if faults:
            raise faults[0]
        return sent

    def _send(self, alert: Alert, now: datetime) -> bool:
        if not self._claim(alert, now):
            return False
        self.notifications.publish(alert.announcement)
        try:
            self.ledger.note(alert.notice)
        except Exception:
            if not alert.insists:
                raise
        return True

    def _claim(self, alert: Alert, now: datetime) -> bool:
        try:
            return self.ledger.claim(alert.notice, now)
        except Exception:
            if not alert.insists:
                raise
            return True  # the ledger itself may be broken


@dataclass(frozen=True, slots=True)
class DriftResult:
    """The refused containers of a task. `told` is the number of alerts that were sent."""

    rulings: tuple[DeploymentRuling, ...]
    told: int = 0


@dataclass(frozen=True, slots=True)
class FindDrift:
    services: Services
    judge: JudgeContainers
    tell: SendOnce

    def run(self, task: RunningTask, now: datetime) -> DriftResult:
        """Send alerts about containers of the task that may not run. Raises any fault, so that Lambda retries."""
        rulings = [ruling for ruling in self.judge.run(task.containers, now) if not ruling.may_run]
        if not rulings:
            return DriftResult(())
        refused = tuple(ruling for ruling in rulings if self._is_in_definition(task, ruling))
        return DriftResult(refused, self.tell.run([of_task(task, ruling) for ruling in refused], now))

    def _is_in_definition(self, task: RunningTask, ruling: DeploymentRuling) -> bool:
        """Say whether the task definition names the container. Amazon ECS adds containers of its own."""
        try:
            written = self.services.written(task.definition)
        except RecordNotFoundError:
            return True  # it was deleted, so nobody knows: send the alert
        return ruling.container.name in {container.name for container in written}
