"""The calls and the simulated time of one pass of the reconciler over all repositories.

`python -m benchmarks.reconcile --repositories 10000 --images 200 --json FILE` writes one object: repositories, images,
runs, calls by operation, simulated_seconds of a full pass, longest_run_s. The product runs as it does in Lambda. Below
its adapters, Amazon ECR and DynamoDB are simulated: each call takes 50 ms, threads call at the same time, and if there
are more calls of one operation in a second than `--rate`, they are throttled. ECR publishes no rate for DescribeImages;
the default is the one of GetAuthorizationToken. `--pushed` images of each repository are as young as a day and have a
release.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.output import write_result
from imagegate import wiring
from imagegate.aws import clients, dynamodb
from imagegate.aws.ecr import images as ecr_images
from imagegate.aws.ecr import scans as ecr_scans
from imagegate.aws.grants import DynamoGrants
from imagegate.aws.ledger import DynamoLedger
from imagegate.aws.records import S3Records
from imagegate.aws.sns import SnsNotifications
from imagegate.aws.stepfunctions import LambdaStarter, StepFunctionsTasks, StepFunctionsWorkflow
from imagegate.findings.versions import VERSIONS
from imagegate.policy.file.load import load_policy
from imagegate.workflow.announce import AnnounceRelease
from imagegate.workflow.await_scan import ScanCompleted
from imagegate.workflow.stopped import ResumeStopped
from imagegate.workflow.watch.reconcile import Reconcile, Reconciled
from imagegate.workflow.watch.sweep import Workers

_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_SECONDS_A_CALL = 0.05
_EVERY = timedelta(minutes=5)
_RATE = 500
_MOST_RUNS = 1_000
_TAG = "1.0"  # of every image: a simulated ledger needs no table of tags
_STAGES = ("dev", "staging", "production")
# The average waits of botocore between three attempts, in its mode "standard".
_BACKOFF = (0.5, 1.0)
_POLICY = b"""
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


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure a pass of the reconciler over simulated services.")
    parser.add_argument("--repositories", type=int, default=1_000)
    parser.add_argument("--images", type=int, default=200, help="tagged images of each repository")
    parser.add_argument("--pushed", type=int, default=20, help="how many of them were pushed within a day")
    parser.add_argument("--rate", type=int, default=_RATE, help="calls of one operation a second")
    parser.add_argument("--json", type=Path, help="write the result there; default: print it")
    arguments = parser.parse_args(argv)
    cloud = Cloud(
        arguments.repositories, arguments.images, min(arguments.pushed, arguments.images), arguments.rate
    )
    for adapter in (ecr_images, ecr_scans, dynamodb):
        adapter.client = clients_of(cloud)  # type: ignore[attr-defined]
    write_result(measure(cloud), arguments.json)
    return 0


def measure(cloud: Cloud) -> dict[str, Any]:
    """Run the reconciler until a pass over all repositories is over: the first one, which looks at a whole day."""
    step, seconds, results = _step(cloud), list[float](), list[Reconciled]()
    for number in range(_MOST_RUNS):
        start = cloud.clock.now
        result = step.run(_NOW + number * _EVERY)
        if result is None:
            raise RuntimeError("the turn of the run before was not ended")
        seconds.append(cloud.clock.now - start)
        results.append(result)
        if result.is_over:
            break
    return {
        "repositories": cloud.repositories,
        "images": cloud.images,
        "pushed": cloud.pushed,
        "runs": len(seconds),
        "calls": dict(sorted(cloud.calls.items())),
        "throttled": cloud.throttled,
        "simulated_seconds": round(sum(seconds), 1),
        "longest_run_s": round(max(seconds), 1),
        "threads": clients.MOST_THREADS,
        "last": asdict(results[-1]),
    }


@dataclass
class Clock:
    """The seconds of the thread that runs now."""

    now: float = 0.0


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
    """ECR with repositories of equal size, a ledger that knows their images, and empty tables and topics."""

    repositories: int
    images: int
    pushed: int
    rate: int
    clock: Clock = field(default_factory=Clock)
    calls: Counter[str] = field(default_factory=Counter)
    throttled: int = 0
    turns: dict[str, Any] = field(default_factory=dict)
    notices: set[str] = field(default_factory=set)
    _in_second: Counter[tuple[str, int]] = field(default_factory=Counter)

    def call(self, operation: str) -> None:
        """Let a call take its time. Raises `ClientError` if the SDK would give up after three throttled attempts."""
        for backoff in (*_BACKOFF, 0.0):
            self.calls[operation] += 1
            second = operation, int(self.clock.now)
            self._in_second[second] += 1
            self.clock.now += _SECONDS_A_CALL
            if self._in_second[second] <= self.rate:
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

    def image_page(self, repository: str, start: int, size: int) -> dict[str, Any]:
        self.call("ecr:DescribeImages")
        return {
            "imageDetails": [
                {
                    "imageDigest": f"sha256:{sha256(f'{repository} {number}'.encode()).hexdigest()}",
                    "imageTags": [_TAG],
                    "imagePushedAt": _NOW - timedelta(minutes=number if number < self.pushed else 9_999),
                }
                for number in range(start, min(start + size, self.images))
            ]
        }


class SimulatedEcr:
    """The operations of ECR that the walk uses."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def get_paginator(self, operation: str) -> Any:
        return {"describe_repositories": RepositoryPages, "describe_images": ImagePages}[operation](
            self._cloud
        )


@dataclass
class RepositoryPages:
    cloud: Cloud

    def paginate(self, PaginationConfig: dict[str, int]) -> Iterator[dict[str, Any]]:  # noqa: N803 - botocore's name
        size = PaginationConfig["PageSize"]
        for start in range(0, max(self.cloud.repositories, 1), size):
            yield self.cloud.repository_page(start, size)


@dataclass
class ImagePages:
    cloud: Cloud

    def paginate(self, *, repositoryName: str, **paging: Any) -> Iterator[dict[str, Any]]:  # noqa: N803 - as above
        size = paging["PaginationConfig"]["PageSize"]
        for start in range(0, max(self.cloud.images, 1), size):
            yield self.cloud.image_page(repositoryName, start, size)


class SimulatedDynamo:
    """Tables in which all images have a release, and nothing waits or was granted. Turns and notices are kept."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def query(self, **_: Any) -> dict[str, Any]:
        self._cloud.call("dynamodb:Query")
        return {"Items": []}

    def get_item(self, Key: Any, **_: Any) -> dict[str, Any]:  # noqa: N803 - as above
        self._cloud.call("dynamodb:GetItem")
        return {"Item": self._cloud.turns} if Key["pk"]["S"].startswith("TURN#") else {}

    def put_item(self, Item: Any, **_: Any) -> dict[str, Any]:  # noqa: N803 - as above
        self._cloud.call("dynamodb:PutItem")
        self._cloud.notices.add(Item["pk"]["S"])
        return {}

    def update_item(self, ExpressionAttributeValues: Any, **_: Any) -> dict[str, Any]:  # noqa: N803 - as above
        self._cloud.call("dynamodb:UpdateItem")
        if ":notes" in ExpressionAttributeValues:
            self._cloud.turns = {"notes": ExpressionAttributeValues[":notes"]}
        return {"Attributes": self._cloud.turns}

    def batch_get_item(self, RequestItems: Any) -> dict[str, Any]:  # noqa: N803 - as above
        self._cloud.call("dynamodb:BatchGetItem")
        [(table, request)] = RequestItems.items()
        known = [key for key in request["Keys"] if self._knows(key["pk"]["S"])]
        return {"Responses": {table: [{**key, "tags": {"SS": [_TAG]}} for key in known]}}

    def _knows(self, pk: str) -> bool:
        return pk.startswith("IMAGE#") or pk in self._cloud.notices


def clients_of(cloud: Cloud) -> Callable[[str], Any]:
    """Return what takes the place of `imagegate.aws.clients.client` in the adapters."""
    return {"ecr": SimulatedEcr(cloud), "dynamodb": SimulatedDynamo(cloud)}.__getitem__


def _step(cloud: Cloud) -> Reconcile:
    policy = load_policy(_POLICY).policy
    if policy is None:
        raise RuntimeError("the policy has faults")
    ledger, images = (
        DynamoLedger("ledger"),
        ecr_images.EcrImages("123456789012.dkr.ecr.eu-central-1.amazonaws.com"),
    )
    starter, records, alerts = LambdaStarter("start"), S3Records("records"), SnsNotifications("alerts")
    return Reconcile(
        images=images,
        ledger=ledger,
        completed=ScanCompleted(
            scans=ecr_scans.EcrScans(images), ledger=ledger, tasks=StepFunctionsTasks(), starter=starter
        ),
        stopped=ResumeStopped(
            ledger=ledger,
            executions=StepFunctionsWorkflow("release"),
            starter=starter,
            announcing=AnnounceRelease(
                ledger=ledger,
                records=records,
                notifications=alerts,
                links=wiring.approval_links,
                mails=lambda: alerts,
            ),
        ),
        grants=DynamoGrants("grants"),
        records=records,
        notifications=alerts,
        policy=policy,
        installed_at=_NOW - timedelta(days=365),
        versions=VERSIONS,
        workers=Workers(SimulatedThreads(cloud.clock, clients.MOST_THREADS), clients.MOST_THREADS),
        stopwatch=lambda: _stopwatch(cloud.clock),
    )


def _stopwatch(clock: Clock) -> Callable[[], float]:
    start = clock.now
    return lambda: clock.now - start


if __name__ == "__main__":
    raise SystemExit(main())
