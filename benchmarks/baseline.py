"""The plan of the baseline for a large registry: its calls, its time and its memory.

`python -m benchmarks.baseline --repositories 10000 --json FILE` writes one object: repositories, calls by operation,
throttled, simulated_seconds (a call takes 50 ms), peak_mib, changes. The product plans as `imagegate baseline plan`
does, over a simulated Amazon ECR. All repositories differ from the presets development and production.
"""

from __future__ import annotations

import argparse
import resource
from pathlib import Path
from typing import Any

from benchmarks.audited_registry import ACCOUNT, HOME, REGION, AuditedEcr, refusal
from benchmarks.output import write_result
from benchmarks.simulated_cloud import POLICY, Cloud, SimulatedThreads
from imagegate.aws.ecr import settings as ecr_settings
from imagegate.baseline.plan import SettingsPlan
from imagegate.baseline.repository_policy import GateRegistry
from imagegate.policy.file.load import parse_file
from imagegate.workflow.settings.compare import CompareSettings
from imagegate_cli.baseline.planning import THREADS, Planner

_BASELINE = b"""
baseline:
  stages:
    dev: {preset: development}
    staging: {preset: production}
    production: {preset: production}
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure a plan of the baseline over simulated services.")
    parser.add_argument("--repositories", type=int, default=100)
    parser.add_argument("--rate", type=int, default=500, help="calls of one operation a second")
    parser.add_argument("--json", type=Path, help="write the result there; default: print it")
    arguments = parser.parse_args(argv)
    write_result(measure(arguments.repositories, arguments.rate), arguments.json)
    return 0


def measure(repositories: int, rate: int = 500) -> dict[str, Any]:
    """Return the numbers of a plan for a registry of that size."""
    cloud = Cloud(repositories, 0, rate)
    ecr_settings.client = lambda _: PlannedEcr(cloud)  # type: ignore[attr-defined, assignment]
    registry = GateRegistry(ACCOUNT, REGION, gate_roles=(f"arn:aws:iam::{ACCOUNT}:role/imagegate-promote",))
    compare = CompareSettings(*parse_file(POLICY + _BASELINE), registry, ecr_settings.EcrSettings())
    planner = Planner(compare, cloud.clock.sleep, lambda: SimulatedThreads(cloud.clock, THREADS))
    changes = sum(len(plan.changes) for plan in planner.plans() if isinstance(plan, SettingsPlan))
    return {
        "repositories": repositories,
        "calls": dict(sorted(cloud.calls.items())),
        "throttled": cloud.throttled,
        "simulated_seconds": round(cloud.clock.now, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "changes": changes,
    }


class PlannedEcr(AuditedEcr):
    """The operations of ECR that a plan uses."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud: Any = cloud

    def describe_repositories(self, repositoryNames: list[str]) -> Any:  # noqa: N803 - botocore's name
        self.cloud.call("ecr:DescribeRepositories")
        return {
            "repositories": [
                {
                    "repositoryName": name,
                    "repositoryArn": HOME + name,
                    "imageTagMutability": "MUTABLE",
                    "encryptionConfiguration": {"encryptionType": "AES256"},
                }
                for name in repositoryNames
            ]
        }

    def describe_registry(self) -> Any:
        self.cloud.call("ecr:DescribeRegistry")
        return {"replicationConfiguration": {"rules": []}}

    def get_registry_policy(self) -> Any:
        self.cloud.call("ecr:GetRegistryPolicy")
        raise refusal("RegistryPolicyNotFoundException", "GetRegistryPolicy")


if __name__ == "__main__":
    raise SystemExit(main())
