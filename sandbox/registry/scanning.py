"""The scan settings of repositories: the registry's rules and the repository's own setting."""

from __future__ import annotations

from typing import Any

from sandbox.registry import wildcard
from sandbox.registry.store import store

# CONTINUOUS_SCAN scans on push too, and wins where both match.
_STRONGEST_FIRST = ("CONTINUOUS_SCAN", "SCAN_ON_PUSH")


def scan_type() -> str:
    return str(store().backend.registry_scanning_configuration["scanType"])


def configuration(repo: Any) -> dict[str, Any]:
    """Return a `RepositoryScanningConfiguration`; a rule of the registry outranks the repository."""
    matching = [(rule, f) for rule, f in _rules() if _matches(f["filter"], repo.name)]
    frequencies = {rule["scanFrequency"] for rule, _ in matching}
    if not frequencies and scan_type() == "BASIC" and _scan_on_push(repo):
        frequencies = {"SCAN_ON_PUSH"}
    frequency = next((f for f in _STRONGEST_FIRST if f in frequencies), "MANUAL")
    return {
        "repositoryArn": repo.arn,
        "repositoryName": repo.name,
        "scanOnPush": frequency != "MANUAL",
        "scanFrequency": frequency,
        "appliedScanFilters": [f for _, f in matching],
    }


def _rules() -> list[tuple[dict[str, Any], dict[str, str]]]:
    rules = store().backend.registry_scanning_configuration["rules"]
    return [(rule, f) for rule in rules for f in rule["repositoryFilters"]]


def _matches(pattern: str, name: str) -> bool:
    # ECR: "a filter with no wildcard will match all repository names that contain the filter".
    return wildcard.matches(pattern if "*" in pattern else f"*{pattern}*", name)


def _scan_on_push(repo: Any) -> bool:
    setting = repo.image_scanning_configuration or {}
    # CloudFormation writes ScanOnPush, and may give the boolean as text.
    return str(setting.get("scanOnPush", setting.get("ScanOnPush"))).lower() == "true"
