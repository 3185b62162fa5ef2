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
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.output import write_result
from benchmarks.simulated_cloud import (
    NOW,
    Clock,
    Cloud,
    RepositoryPages,
    SimulatedThreads,
    load_simulated_policy,
)
from imagegate import wiring
from imagegate.aws import clients, dynamodb
from imagegate.aws.ecr import images as ecr_images
from imagegate.aws.ecr import scans as ecr_scans
from imagegate.aws.grants import DynamoGrants
from imagegate.aws.ledger.ledger import DynamoLedger
from imagegate.aws.records import S3Records
from imagegate.aws.sns import SnsNotifications
from imagegate.aws.stepfunctions import LambdaStarter, StepFunctionsTasks, StepFunctionsWorkflow
from imagegate.findings.versions import VERSIONS
from imagegate.workflow.announce import AnnounceRelease
from imagegate.workflow.await_scan import ScanCompleted
from imagegate.workflow.stopped import ResumeStopped
from imagegate.workflow.watch.reconcile import Reconcile, Reconciled
from imagegate.workflow.watch.sweep import Workers

_EVERY = timedelta(minutes=5)
_RATE = 500
_MOST_RUNS = 1_000
_TAG = "1.0"  # of every image: a simulated ledger needs no table of tags


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure a pass of the reconciler over simulated services.")
    parser.add_argument("--repositories", type=int, default=1_000)
    parser.add_argument("--images", type=int, default=200, help="tagged images of each repository")
    parser.add_argument("--pushed", type=int, default=20, help="how many of them were pushed within a day")
    parser.add_argument("--rate", type=int, default=_RATE, help="calls of one operation a second")
    parser.add_argument("--json", type=Path, help="write the result there; default: print it")
    arguments = parser.parse_args(argv)
    pushed = min(arguments.pushed, arguments.images)
    cloud = ReconciledCloud(arguments.repositories, arguments.images, arguments.rate, pushed=pushed)
    for adapter in (ecr_images, ecr_scans, dynamodb):
        adapter.client = clients_of(cloud)  # type: ignore[attr-defined]
    write_result(measure(cloud), arguments.json)
    return 0


def measure(cloud: ReconciledCloud) -> dict[str, Any]:
    """Run the reconciler until a pass over all repositories is over: the first one, which looks at a whole day."""
    step, seconds, results = _step(cloud), list[float](), list[Reconciled]()
    for number in range(_MOST_RUNS):
        start = cloud.clock.now
        result = step.run(NOW + number * _EVERY)
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
class ReconciledCloud(Cloud):
    """ECR, a ledger that knows the images, and empty tables and topics. `pushed`: images of a repository's last day."""

    pushed: int = field(kw_only=True)
    turns: dict[str, Any] = field(default_factory=dict)
    notices: set[str] = field(default_factory=set)

    def image_page(self, repository: str, start: int, size: int) -> dict[str, Any]:
        self.call("ecr:DescribeImages")
        return {
            "imageDetails": [
                {
                    "imageDigest": f"sha256:{sha256(f'{repository} {number}'.encode()).hexdigest()}",
                    "imageTags": [_TAG],
                    "imagePushedAt": NOW - timedelta(minutes=number if number < self.pushed else 9_999),
                }
                for number in range(start, min(start + size, self.images))
            ]
        }


class SimulatedEcr:
    """The operations of ECR that the walk uses."""

    def __init__(self, cloud: ReconciledCloud) -> None:
        self._cloud = cloud

    def get_paginator(self, operation: str) -> Any:
        return {"describe_repositories": RepositoryPages, "describe_images": ImagePages}[operation](
            self._cloud
        )


@dataclass
class ImagePages:
    cloud: ReconciledCloud

    def paginate(self, *, repositoryName: str, **paging: Any) -> Iterator[dict[str, Any]]:  # noqa: N803 - as above
        size = paging["PaginationConfig"]["PageSize"]
        for start in range(0, max(self.cloud.images, 1), size):
            yield self.cloud.image_page(repositoryName, start, size)


class SimulatedDynamo:
    """Tables in which all images have a release, and nothing waits or was granted. Turns and notices are kept."""

    def __init__(self, cloud: ReconciledCloud) -> None:
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


def clients_of(cloud: ReconciledCloud) -> Callable[[str], Any]:
    """Return what takes the place of `imagegate.aws.clients.client` in the adapters."""
    return {"ecr": SimulatedEcr(cloud), "dynamodb": SimulatedDynamo(cloud)}.__getitem__


def _step(cloud: ReconciledCloud) -> Reconcile:
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
        policy=load_simulated_policy(),
        installed_at=NOW - timedelta(days=365),
        versions=VERSIONS,
        workers=Workers(SimulatedThreads(cloud.clock, clients.MOST_THREADS), clients.MOST_THREADS),
        stopwatch=lambda: _stopwatch(cloud.clock),
    )


def _stopwatch(clock: Clock) -> Callable[[], float]:
    start = clock.now
    return lambda: clock.now - start


if __name__ == "__main__":
    raise SystemExit(main())
