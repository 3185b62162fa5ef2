"""The night of a new vulnerability, with several images at once: who gets which alert, and what Security Hub has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gate import Gate, running_gate
from tests.e2e.test_at_risk import CVE
from tests.e2e.test_deployment import REGISTRY, definition
from tests.e2e.test_waivers import imagegate

POLICY = """\
version: 1
stages:
  dev: {repositories: "{app}-dev", security_hub: true}
"""
# More than five at once are one mail.
REPOSITORIES = [f"night{number}-dev" for number in range(8)]
WITH_IT, RUNNING = REPOSITORIES[:6], REPOSITORIES[:2]


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Gate]:
    (tmp_path / "policy.yaml").write_text(POLICY)
    with running_gate(tmp_path, "--policy", str(tmp_path / "policy.yaml"), "--no-seed") as gate:
        yield gate


def test_a_wave_is_an_event_for_each_image_until_each_is_rebuilt(night: Gate) -> None:
    hub, ecs = night.cloud.client("securityhub"), night.cloud.client("ecs")
    hub.enable_security_hub()
    ecs.create_cluster(clusterName="night")
    digests = {name: night.push(name, "1.0", "old") for name in REPOSITORIES}
    for name, digest in digests.items():
        assert night.ended(name, digest)["outcome"] == "released"
    for name in RUNNING:
        run(night, ecs, name, digests[name])
    for name in WITH_IT:
        night.findings(f"{name}@{digests[name]}", CRITICAL=1)
    for name in (*REPOSITORIES, *WITH_IT):  # events come again
        night.scan_again(name, digests[name])
    night.eventually(lambda: told(night, "AT RISK") == dict.fromkeys(WITH_IT, 1), "an event for each image")
    listed = imagegate(night, "list", "--cve", CVE, "--json").json
    assert {one["repository"]: one["running"] for one in listed} == {
        name: int(name in RUNNING) for name in WITH_IT
    }
    night.eventually(lambda: states(hub) == ["ACTIVE"] * len(WITH_IT), "Security Hub has them")

    rebuilt = {name: night.push(name, "1.0", "new") for name in WITH_IT}
    for name, digest in rebuilt.items():
        assert night.ended(name, digest)["outcome"] == "released"
    for name in RUNNING:
        run(night, ecs, name, rebuilt[name])
    night.eventually(lambda: told(night, "RISK OVER") == dict.fromkeys(WITH_IT, 1), "each risk is over")
    night.eventually(lambda: states(hub) == ["ARCHIVED"] * len(WITH_IT), "Security Hub archived them")
    assert told(night, "AT RISK") == dict.fromkeys(WITH_IT, 1)
    for question in (("--cve", CVE), ("--at-risk",)):
        assert imagegate(night, "list", *question, "--json").json == []


def run(night: Gate, ecs: Any, name: str, digest: str) -> None:
    """Let Amazon ECS run the image, in place of the one before."""
    task = definition(night, f"{REGISTRY}/{name}@{digest}")
    service: dict[str, Any] = {"cluster": "night", "taskDefinition": task, "desiredCount": 1}
    known = ecs.list_services(cluster="night")["serviceArns"]
    if any(arn.endswith(f"/{name}") for arn in known):
        ecs.update_service(service=name, **service)
    else:
        ecs.create_service(serviceName=name, **service)


def told(night: Gate, kind: str) -> Counter[str]:
    """Count the messages of this kind by repository; the mail about a wave names none."""
    attributes = [
        one.get("attributes") or {} for one in night.messages() if str(one["subject"]).startswith(kind)
    ]
    return Counter(one["repository"] for one in attributes if "repository" in one)


def states(hub: Any) -> list[str]:
    return [one["RecordState"] for one in hub.get_findings(MaxResults=100)["Findings"]]
