"""The parts of the deployment tests: images at one gate, a service that names them, and the function."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from imagegate.notices.deployment_notice import RunningTask, ServiceRevision, Workload
from imagegate.oci.image import Digest, ImageRef
from imagegate.oci.reference import Container
from imagegate.policy.policy import Policy
from imagegate.release.release import Outcome, Release, StartReason
from imagegate.workflow.watch.deployment import (
    CheckDeployment,
    DriftResult,
    FindDrift,
    HookAnswer,
    JudgeContainers,
    SendOnce,
)
from tests.fakes import (
    DEV,
    NOW,
    POLICY,
    REGISTRY,
    FakeGrants,
    FakeLedger,
    FakeNotifications,
    FakeRegistry,
    FakeServices,
)

HANDLER = Path(__file__).parents[2] / "functions" / "check_deployment" / "handler.py"
REVISION = "arn:aws:ecs:eu-central-1:123456789012:service-revision/prod/web/7"
DEFINITION = "arn:aws:ecs:eu-central-1:123456789012:task-definition/web:7"
HOOK = {
    "executionId": "e8d5a28f-eb01-4f3c-9454-a30ba6dc54bc",
    "lifecycleStage": "PRE_SCALE_UP",
    "resourceArn": "arn:aws:ecs:eu-central-1:123456789012:service-deployment/prod/web/EZe5RNVLH6PPzHXINuP28",
    "executionDetails": {
        "serviceArn": "arn:aws:ecs:eu-central-1:123456789012:service/prod/web",
        "targetServiceRevisionArn": REVISION,
        "testTrafficWeights": {},
        "productionTrafficWeights": {},
    },
}
WEB = Workload("prod", "service:web")
SIGNATURE = Digest.of(b"signature")
IMAGE = ImageRef(DEV, Digest.of(b"image"))


def image_name(image: ImageRef) -> str:
    return f"{REGISTRY}/{image}"


def attempt(number: int = 1, outcome: Outcome | None = Outcome.RELEASED, **changes: Any) -> Release:
    """Return an attempt that passed, was signed and released, unless the arguments say otherwise."""
    fields: dict[str, Any] = {
        "image": IMAGE,
        "attempt": number,
        "stage": "dev",
        "policy": POLICY.digest,
        "tags": frozenset({"1.0"}),
        "reason": StartReason.PUSH,
        "started_at": NOW,
        "outcome": outcome,
        "closed_at": NOW if outcome else None,
        "verdict": "PASS",
        "signature": SIGNATURE,
        **changes,
    }
    return Release(**fields)


def blocked(number: int = 1, **changes: Any) -> Release:
    reasons = ({"rule": "findings.critical", "message": "2 CRITICAL (at most 0)", "action": "enforce"},)
    return attempt(
        number,
        **{"outcome": Outcome.BLOCKED, "verdict": "BLOCK", "signature": None, "reasons": reasons} | changes,
    )


@dataclass
class Cluster:
    """A service in a cluster, and what checks it."""

    registry: FakeRegistry = field(default_factory=FakeRegistry)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    grants: FakeGrants = field(default_factory=FakeGrants)
    services: FakeServices = field(default_factory=FakeServices)
    notifications: FakeNotifications = field(default_factory=FakeNotifications)
    policy: Policy = POLICY
    allowed: tuple[str, ...] = ()

    def known(self, *attempts: Release) -> None:
        for one in attempts:
            self.ledger.releases[one.image, one.attempt] = one

    def serve(self, *written: Container, seen: list[Container] | None = None) -> None:
        """Set the service's next revision: as people wrote it, and with what ECS found for it."""
        self.services.definitions[DEFINITION] = list(written)
        self.services.revisions[REVISION] = DEFINITION, list(written) if seen is None else seen

    def judging(self) -> JudgeContainers:
        return JudgeContainers(
            images=self.registry,
            ledger=self.ledger,
            grants=self.grants,
            policy=self.policy,
            allowed=self.allowed,
        )

    def check(
        self, *written: Container, seen: list[Container] | None = None, now: datetime = NOW
    ) -> HookAnswer:
        self.serve(*written, seen=seen)
        deployment = ServiceRevision(WEB, REVISION, HOOK["resourceArn"])  # type: ignore[arg-type]
        return CheckDeployment(self.services, self.judging()).run(deployment, now)

    def tell(self, answer: HookAnswer, now: datetime = NOW) -> int:
        return SendOnce(ledger=self.ledger, notifications=self.notifications).run(answer.alerts, now)

    def task(self, number: int, *containers: Container, group: str = "service:web") -> RunningTask:
        arn = f"arn:aws:ecs:eu-central-1:123456789012:task/prod/{number}"
        return RunningTask(Workload("prod", group), arn, DEFINITION, containers)

    def drift(self, task: RunningTask, now: datetime = NOW) -> DriftResult:
        tell = SendOnce(ledger=self.ledger, notifications=self.notifications)
        return FindDrift(self.services, self.judging(), tell).run(task, now)


def function() -> ModuleType:
    """Load the handler's module as the Lambda runtime does."""
    spec = importlib.util.spec_from_file_location("check_deployment_handler", HANDLER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONTEXT = SimpleNamespace(
    function_name="check_deployment", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="1"
)
