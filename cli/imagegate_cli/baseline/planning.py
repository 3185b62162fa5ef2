"""Plans for the repositories of a policy and for the registry, and their application, one subject after the other.

A subject is read again right before it is changed, and read back after that. If somebody else has changed it in
between, it is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from imagegate.aws.ecr_settings import EcrSettings
from imagegate.baseline.plan import FoundRepository, SettingsPlan, plan_repository
from imagegate.baseline.registry import REGISTRY, plan_registry
from imagegate.baseline.repository_policy import GateRegistry
from imagegate.baseline.section import RegistryBaseline
from imagegate.errors import ThrottledError
from imagegate.policy.policy import Policy
from imagegate_cli.faults import explain

T = TypeVar("T")
# Seconds to wait after each refusal for too many requests.
_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


@dataclass(frozen=True, slots=True)
class Failure:
    """A subject that could not be read or changed, and why."""

    subject: str
    why: str


@dataclass(frozen=True, slots=True)
class Planner:
    """Compares what the policy's baseline says with what ECR has."""

    policy: Policy
    baseline: RegistryBaseline
    registry: GateRegistry
    settings: EcrSettings
    sleep: Callable[[float], None]

    def plans(self, names: Sequence[str] = ()) -> Iterator[SettingsPlan | Failure]:
        """Yield the plan of each repository of the baseline, or of these alone. A failure stops no other."""
        for name in names or [REGISTRY, *self.paced(lambda: list(self.settings.names()))]:
            plan = self._attempt(name, lambda name=name: self.plan(name))  # type: ignore[misc]
            if plan is not None:
                yield plan

    def found(self) -> dict[str | None, list[FoundRepository]]:
        """Return the repositories of this registry's stages as they are, by stage. Raises `ImageGateError`."""
        found: dict[str | None, list[FoundRepository]] = {}
        for name in self.paced(lambda: list(self.settings.names())):
            stage = self.policy.stage_of(name)
            repository = self.paced(lambda name=name: self.settings.repository(name)) if stage else None  # type: ignore[misc]
            if stage is not None and repository is not None:
                found.setdefault(stage.name, []).append(repository)
        return found

    def plan(self, name: str) -> SettingsPlan | None:
        """Return the plan of a repository or of REGISTRY, or None if the baseline says nothing about it."""
        if name == REGISTRY:
            return self._plan_registry()
        stage = self.policy.stage_of(name)
        terms = self.baseline.terms_of(name, stage.name if stage else None)
        if terms is None:
            return None
        return plan_repository(name, terms, self.paced(lambda: self.settings.repository(name)), self.registry)

    def _plan_registry(self) -> SettingsPlan:
        local = [stage for stage in self.policy.stages.values() if stage.remote is None]
        globs = {stage.name: stage.repositories.repository_of("*") for stage in local}
        patterns = self.baseline.patterns_of_registry(globs)
        terms = self.baseline.registry
        has_templates = any(one.create_on_push for one in patterns.values())
        found = self.paced(
            lambda: self.settings.registry(has_cache=bool(terms.cache), has_templates=has_templates)
        )
        return plan_registry(terms, patterns, found, self.registry)

    def apply(self, plan: SettingsPlan) -> SettingsPlan | Failure:
        """Change what the plan says, and return the plan that is left: an empty one if all is done."""
        result = self._attempt(plan.subject, lambda: self._apply(plan))
        return result or SettingsPlan(plan.subject)

    def _apply(self, plan: SettingsPlan) -> SettingsPlan | Failure | None:
        current = self.plan(plan.subject)
        if current is None or not current.changes:
            return current
        if any(change not in plan.changes for change in current.changes):
            return Failure(plan.subject, "somebody has changed it since it was planned: plan again")
        for change in current.changes:
            self.paced(lambda change=change: self.settings.send(change))  # type: ignore[misc]
        return self.plan(plan.subject)

    def _attempt(
        self, subject: str, action: Callable[[], SettingsPlan | Failure | None]
    ) -> SettingsPlan | Failure | None:
        from botocore.exceptions import ClientError

        from imagegate.errors import ImageGateError

        try:
            return action()
        except (ClientError, ImageGateError) as error:
            return Failure(subject, explain(error))

    def paced(self, call: Callable[[], T]) -> T:
        """Return the result of a call; wait while ECR gets too many requests. Raises `ThrottledError` in the end."""
        for wait in _WAITS:
            try:
                return call()
            except ThrottledError:
                self.sleep(wait)
        return call()
