"""The audit of a large registry: its requests, its time and its memory.

`python -m benchmarks.audit --repositories 10000 --images-per-repository 100 --json FILE` writes one object:
repositories, images, seconds (of this machine), simulated_seconds (of the services), api_calls by operation, throttled,
peak_mib, findings, not_assessed (repositories); and for the report that is put
together of all results, and follows one before: report_seconds, report_kib, peak_with_report_mib.

The product runs as it does in Lambda, with its adapters. Below them, Amazon ECR, DynamoDB and S3 are simulated: a call
takes 50 ms, threads call at the same time, and if there are more calls of one operation in a second than its rate,
they are throttled. ECR publishes the rate of BatchGetImage (2,000); `--rate` is that of the others. Results are written
out one by one, as the function writes them.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.audit_report import StoredResults, measure_report
from benchmarks.audited_registry import ACCOUNT, HOME, REGION, REGISTRY, AuditedCloud
from benchmarks.output import write_result
from benchmarks.simulated_cloud import NOW, SimulatedThreads, load_simulated_policy
from imagegate.audit.image import AuditTerms
from imagegate.aws import clients, dynamodb, records
from imagegate.aws.audit.settings import EcrAuditSettings
from imagegate.aws.cleanup import images as stored_images
from imagegate.aws.dynamodb import DynamoTable
from imagegate.aws.ecr import images as ecr_images
from imagegate.aws.ecr import settings as ecr_settings
from imagegate.aws.ecr.registry import own_registry
from imagegate.aws.ecr.scans import EcrScans
from imagegate.aws.ledger.cleaned import DynamoCleanedImages
from imagegate.aws.ledger.ledger import DynamoLedger
from imagegate.baseline.repository_policy import GateRegistry
from imagegate.baseline.section import RegistryBaseline
from imagegate.cleanup.usage import UsedImages
from imagegate.findings.versions import VERSIONS
from imagegate.policy.policy import Policy
from imagegate.workflow.audit.images import AuditImages
from imagegate.workflow.audit.sboms import ReadSboms
from imagegate.workflow.audit.settings import AuditSettings
from imagegate.workflow.audit.walk import AuditRepositories
from imagegate.workflow.cleanup.inventory import ReadInventory
from imagegate.workflow.watch.sweep import Workers


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure an audit over simulated services.")
    parser.add_argument("--repositories", type=int, default=100)
    parser.add_argument("--images-per-repository", type=int, default=100, help="manifests of each repository")
    parser.add_argument("--rate", type=int, default=500, help="calls of one operation a second")
    parser.add_argument("--json", type=Path, help="write the result there; default: print it")
    arguments = parser.parse_args(argv)
    if min(arguments.repositories, arguments.images_per_repository) < 1:
        parser.error("--repositories and --images-per-repository must be 1 or more")
    write_result(
        measure(arguments.repositories, arguments.images_per_repository, arguments.rate), arguments.json
    )
    return 0


def measure(repositories: int, images: int, rate: int = 500) -> dict[str, Any]:
    """Return the numbers of an audit of a registry of that size."""
    policy = load_simulated_policy()
    cloud = AuditedCloud(repositories, images, rate, policy=policy)
    for adapter in (ecr_images, ecr_settings, stored_images, dynamodb, records):
        adapter.client = cloud.client  # type: ignore[attr-defined]
    began, totals = time.monotonic(), [0, 0, 0]
    with tempfile.TemporaryFile("w+") as file:
        results, walk = StoredResults(file), _walk(cloud, policy)
        for name, part in walk.run(stored_images.EcrStoredImages(REGISTRY).repositories()):
            results.add(name, part)
            totals[0] += part.images
            totals[1] += len(part.findings)
            totals[2] += bool(part.not_assessed)
        measured = _numbers(cloud, repositories, totals, time.monotonic() - began)
        return measured | measure_report(results, walk, policy)


def _numbers(cloud: AuditedCloud, repositories: int, totals: Sequence[int], seconds: float) -> dict[str, Any]:
    return {
        "repositories": repositories,
        "images": totals[0],
        "seconds": round(seconds, 1),
        "simulated_seconds": round(cloud.clock.now, 1),
        "api_calls": dict(sorted(cloud.calls.items())),
        "throttled": cloud.throttled,
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "findings": totals[1],
        "not_assessed": totals[2],
    }


def _walk(cloud: AuditedCloud, policy: Policy) -> AuditRepositories:
    images, store = stored_images.EcrStoredImages(REGISTRY), records.S3Records("records")
    cleaned = DynamoCleanedImages(DynamoTable("ledger"))
    contents = AuditImages(
        inventory=ReadInventory(images, cleaned, store),
        ledger=DynamoLedger("ledger"),
        records=store,
        policy=policy,
        running=UsedImages(),
        terms=AuditTerms(now=NOW),
        home=HOME,
        sboms=ReadSboms(own_registry),  # the policy prohibits no package
        is_continuous=EcrScans(images).is_continuous,
        satisfies=VERSIONS.satisfies,
    )
    settings = AuditSettings(
        settings=EcrAuditSettings(),
        images=images,
        policy=policy,
        baseline=RegistryBaseline(),
        registry=GateRegistry(
            ACCOUNT, REGION, gate_roles=(f"arn:aws:iam::{ACCOUNT}:role/imagegate-promote",)
        ),
    )
    return AuditRepositories(
        auditors=[settings, contents],
        policy=policy,
        home=HOME,
        workers=Workers(SimulatedThreads(cloud.clock, clients.MOST_THREADS), clients.MOST_THREADS),
        sleep=cloud.clock.sleep,
    )


if __name__ == "__main__":
    raise SystemExit(main())
