"""Services on a clock that is simulated: calls take time, threads call at the same time, and rates throttle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from imagegate.policy.file.load import load_policy
from imagegate.policy.policy import Policy

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_SECONDS_A_CALL = 0.05
_STAGES = ("dev", "staging", "production")
# The average waits of botocore between three attempts, in its mode "standard".
_BACKOFF = (0.5, 1.0)
POLICY = b"""
version: 1
stages:
  dev:
    repositories: "{app}-dev"
    promotes_to: staging
    findings: {max: {critical: 0, high: 0}}
  staging:
    repositories: "{app}-staging"
    promotes_to: production
    findings: {max: {critical: 0, high: 0}}
  production:
    repositories: "{app}-production"
    findings: {max: {critical: 0, high: 0}}
"""


@dataclass
class Clock:
    """The seconds of the thread that runs now."""

    now: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class SimulatedThreads(Executor):
    """Runs one call after the other, and lets each take its time on the thread that is free first."""

    def __init__(self, clock: Clock, threads: int) -> None:
        self._clock = clock
        self._free_at = [0.0] * threads

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        began = self._clock.now
        thread = self._free_at.index(min(self._free_at))
        self._clock.now = max(began, self._free_at[thread])
        future = SimulatedFuture(self._clock)
        future.set_result(fn(*args, **kwargs))
        self._free_at[thread] = future.done_at = self._clock.now
        self._clock.now = began
        return future


class SimulatedFuture(Future[Any]):
    """A result that is there at a time: whoever waits for it goes on then."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.done_at = 0.0

    def result(self, timeout: float | None = None) -> Any:
        self._clock.now = max(self._clock.now, self.done_at)
        return super().result(timeout)


@dataclass
class Cloud:
    """Repositories of equal size. `rate`: calls of one operation in a second; `rates`: of those that differ."""

    repositories: int
    images: int
    rate: int
    rates: Mapping[str, int] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    calls: Counter[str] = field(default_factory=Counter)
    throttled: int = 0
    _in_second: Counter[tuple[str, int]] = field(default_factory=Counter)

    def call(self, operation: str) -> None:
        """Let a call take its time. Raises `ClientError` if the SDK would give up after three throttled attempts."""
        for backoff in (*_BACKOFF, 0.0):
            self.calls[operation] += 1
            second = operation, int(self.clock.now)
            self._in_second[second] += 1
            self.clock.now += _SECONDS_A_CALL
            if self._in_second[second] <= self.rates.get(operation, self.rate):
                return
            self.throttled += 1
            self.clock.now += backoff
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, operation)

    def repository_page(self, start: int, size: int) -> dict[str, Any]:
        self.call("ecr:DescribeRepositories")
        names = range(start, min(start + size, self.repositories))
        return {
            "repositories": [
                {"repositoryName": f"app{number // 3}-{_STAGES[number % 3]}"} for number in names
            ]
        }


def load_simulated_policy() -> Policy:
    """Return the policy of all simulated registries."""
    policy = load_policy(POLICY).policy
    assert policy is not None
    return policy


@dataclass
class RepositoryPages:
    cloud: Cloud

    def paginate(self, PaginationConfig: dict[str, int]) -> Iterator[dict[str, Any]]:  # noqa: N803 - botocore's name
        size = PaginationConfig["PageSize"]
        for start in range(0, max(self.cloud.repositories, 1), size):
            yield self.cloud.repository_page(start, size)
