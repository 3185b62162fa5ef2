"""Plans for the repositories of a policy and for the registry, and their application.

A few threads read repositories; changes are made one subject after the other. A failure of one subject stops no other.
Calls wait while ECR gets too many requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from botocore.exceptions import ClientError

from imagegate.baseline.plan import FoundRepository, SettingsPlan
from imagegate.baseline.registry import REGISTRY, plan_registry
from imagegate.baseline.terms import SettingsDocument
from imagegate.baseline.whole import WholeBaseline, WholeRepository, whole_repository
from imagegate.errors import ImageGateError, ThrottledError
from imagegate.workflow.settings.compare import AT_ONCE, CompareSettings
from imagegate_cli.faults import explain

T = TypeVar("T")
Item = TypeVar("Item")
# Each thread reads one repository at a time, by up to four operations of ECR, which have rates of their own.
THREADS = 8
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

    compare: CompareSettings
    sleep: Callable[[float], None]
    open_pool: Callable[[], Executor] = lambda: ThreadPoolExecutor(THREADS)

    def plans(self, names: Sequence[str] = ()) -> Iterator[SettingsPlan | Failure]:
        """Yield the plan of each repository of the baseline, or of these alone, in their order."""
        if names:
            yield from self._each(names, self.compare.plan)
            return
        yield from self._each([REGISTRY], self.compare.plan)
        covered = self.paced(self.compare.covered)
        for start in range(0, len(covered), AT_ONCE):
            yield from self._plans_of(covered[start : start + AT_ONCE])

    def _plans_of(self, names: Sequence[str]) -> Iterator[SettingsPlan | Failure]:
        try:
            described = dict(self.paced(lambda: list(self.compare.described(names))))
        except (ClientError, ImageGateError):
            yield from self._each(names, self.compare.plan)  # one of them may not be read: the others can
        else:
            yield from self._each(names, lambda name: self.compare.plan_described(name, described[name]))

    def _each(
        self, names: Sequence[str], plan: Callable[[str], SettingsPlan | None]
    ) -> Iterator[SettingsPlan | Failure]:
        planned = self._map(lambda name: self._attempt(name, partial(plan, name)), names)
        yield from (one for one in planned if one is not None)

    def _map(self, read: Callable[[Item], T], items: Sequence[Item]) -> Iterator[T]:
        """Yield the results in the order of the items, which several threads read."""
        pool = self.open_pool()
        try:
            for future in [pool.submit(read, item) for item in items]:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def found(self) -> dict[str | None, list[FoundRepository]]:
        """Return the repositories of this registry's stages as they are, by stage. Raises `ImageGateError`."""
        repositories: dict[str | None, list[FoundRepository]] = {}
        compare = self.compare
        stages = {
            name: stage.name
            for name in self.paced(lambda: list(compare.settings.names()))
            if (stage := compare.policy.stage_of(name))
        }
        described = self.paced(lambda: list(compare.described(list(stages))))
        for repository in self._map(self._completed, [one for _, one in described if one is not None]):
            repositories.setdefault(stages[repository.name], []).append(repository)
        return repositories

    def _completed(self, described: FoundRepository) -> FoundRepository:
        return self.paced(lambda: self.compare.settings.completed(described, tuple(SettingsDocument)))

    def whole(self, names: Sequence[str] = ()) -> WholeBaseline:
        """Return what the baseline says about all repositories and the registry, or about these alone.

        Raises `ImageGateError`.
        """
        compare = self.compare
        listed = names or [REGISTRY, *self.paced(compare.covered)]
        described = self.paced(lambda: list(compare.described([name for name in listed if name != REGISTRY])))
        repositories = self._map(lambda one: self._whole_repository(*one), described)
        present = tuple(one for one in repositories if one is not None)
        if REGISTRY not in listed:
            return WholeBaseline(compare.registry, present)
        terms, patterns, registry = self.paced(compare.registry_terms)
        plan = plan_registry(terms, patterns, registry, compare.registry, is_whole=True)
        return WholeBaseline(compare.registry, present, plan.changes, registry)

    def _whole_repository(self, name: str, described: FoundRepository | None) -> WholeRepository | None:
        terms = self.compare.terms_of(name)
        if terms is None:
            return None
        return whole_repository(name, terms, described and self._completed(described), self.compare.registry)

    def apply(self, plan: SettingsPlan) -> SettingsPlan | Failure:
        """Change what the plan says, and return the plan that is left: an empty one if all is done."""
        return self._attempt(plan.subject, lambda: self.compare.apply(plan)) or SettingsPlan(plan.subject)

    def _attempt(
        self, subject: str, action: Callable[[], SettingsPlan | None]
    ) -> SettingsPlan | Failure | None:
        try:
            return self.paced(action)
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
