"""The night of a new vulnerability: one alert, a state, a rebuild, and the message that it is over."""

from __future__ import annotations

from typing import Any

from tests.e2e.gate import Gate
from tests.e2e.test_deployment import REGISTRY, definition
from tests.e2e.test_scanning import enhanced, without
from tests.e2e.test_waivers import imagegate

__all__ = ["enhanced"]

REPOSITORY = "night-dev"
CVE = "CVE-2026-CRITICAL-0"


def messages(gate: Gate, kind: str, repository: str = REPOSITORY) -> list[dict[str, Any]]:
    named = (one for one in gate.messages() if f" {repository}:" in str(one.get("subject")))
    return [one for one in named if str(one["subject"]).startswith(kind)]


def test_a_new_vulnerability_in_a_released_image_is_one_alert_until_a_rebuild_is_released(gate: Gate) -> None:
    old = gate.push(REPOSITORY, "1.0", "old")
    assert gate.ended(REPOSITORY, old)["outcome"] == "released"
    gate.findings(f"{REPOSITORY}@{old}", CRITICAL=1)
    gate.scan_again(REPOSITORY, old)
    [alert] = gate.eventually(lambda: messages(gate, "AT RISK"), "the alert")
    assert "CVE-2026-CRITICAL-0 (openssl), CRITICAL" in str(alert["message"])
    status = imagegate(gate, "status", f"{REPOSITORY}:1.0", "--json").json
    assert (status["state"], status["outcome"]) == ("at risk", "released")
    assert status["risk"]["findings"][0]["vulnerability"] == CVE
    listed = imagegate(gate, "list", "--at-risk", "--json").json
    assert [one["digest"] for one in listed] == [old]
    [found] = imagegate(gate, "list", "--cve", CVE, "--app", "night", "--json").json
    assert (found["digest"], found["in_use"], found["packages"][0]["name"]) == (old, True, "openssl")
    gate.scan_again(REPOSITORY, old)  # an event without news
    new = gate.push(REPOSITORY, "1.0", "new")
    assert gate.ended(REPOSITORY, new)["outcome"] == "released"
    [over] = gate.eventually(lambda: messages(gate, "RISK OVER"), "the risk is over")
    assert "is not in use any more: night-dev:1.0 took its place" in str(over["message"])
    assert len(messages(gate, "AT RISK")) == 1
    assert imagegate(gate, "list", "--at-risk", "--json").json == []
    assert imagegate(gate, "list", "--cve", CVE, "--app", "night", "--json").json == []
    assert imagegate(gate, "status", f"{REPOSITORY}@{old}", "--json").json["risk"] is None


def test_an_event_of_inspector_is_an_alert_that_says_where_the_image_runs(enhanced: Gate) -> None:
    repository = "inspected-night-dev"
    enhanced.findings(repository, LOW=1)
    digest = enhanced.push(repository, "1.0")
    assert enhanced.ended(repository, digest)["outcome"] == "released"
    ecs = enhanced.cloud.client("ecs")
    ecs.create_cluster(clusterName="night")
    task = definition(enhanced, f"{REGISTRY}/{repository}@{digest}")
    ecs.create_service(cluster="night", serviceName="web", taskDefinition=task, desiredCount=2)
    enhanced.findings(f"{repository}@{digest}", CRITICAL=1)
    with without(enhanced, "JudgeAgain", "ReadEnhancedScans"):
        enhanced.scan_again(repository, digest)
        enhanced.eventually(
            lambda: "inspector2:ListFindings" in log(enhanced), "the log says what is missing"
        )
        assert messages(enhanced, "AT RISK", repository) == []
    [alert] = enhanced.eventually(lambda: messages(enhanced, "AT RISK", repository), "the alert")
    assert "cluster/night service:web: 2 running" in str(alert["message"])
    [found] = imagegate(enhanced, "list", "--cve", CVE, "--app", "inspected-night", "--json").json
    assert (found["running"], found["runs"][0]["service"]) == (2, "service:web")


def log(gate: Gate) -> str:
    """Return the lines of the function about images that it could not judge."""
    paths = (gate.cloud.state / "logs").glob("*JudgeAgainFunction*.log")
    return "".join(
        line for path in paths for line in path.read_text().splitlines() if '"level":"ERROR"' in line
    )
