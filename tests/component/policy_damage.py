"""Policy files as people and accidents leave them: a full one, with some of its parts replaced, lost or moved."""

from __future__ import annotations

import copy
import json
from typing import Any

import yaml
from hypothesis import strategies as st

from imagegate.policy.file.yaml import read_yaml

# With every key once.
FULL = b"""\
version: 1
scanner: enhanced
waiver_terms: {max_days: 80, ticket: optional}
defaults:
  mode: observe
  findings:
    max: {low: {value: 50, action: warn}}
    grace: {critical: 2d, high: 14}
  image:
    labels: {org.opencontainers.image.source: "*"}
    non_root: {value: true, action: warn}
stages:
  base: {repositories: "{app}-base"}
  dev:
    repositories: "{app}-dev"
    promotes_to: prod
    promote_tags: ["v*"]
    mode: enforce
    approval: none
    sign_platforms: false
    arrivals: {replication: gated, pull_through_cache: not_gated}
    scan: {timeout: 30m, max_scan_age: 7d}
    findings:
      max: {critical: 0, high: {limit: 5}, medium: off, untriaged: 20, informational: 3}
      only_fixable: [low, medium]
      grace: {value: {critical: 2d}, action: enforce}
      grace_starts: seen
      no_grace: {known_exploited: true, exploit_available: false, epss: 0.5}
      deny: [CVE-2021-44228]
      no_worse_than: next_stage
    packages:
      prohibited: [{name: log4j-core, versions: "<2.17.1", ecosystem: maven}, "pkg:npm/event-stream@3.3.6", left-pad]
    image:
      max_age: 90d
      max_size: {value: 500MB, action: warn}
      labels: {action: enforce}
      base_images: [base]
      platforms: [linux/amd64]
      tags: ["v*"]
      forbidden_tags: [latest]
    evidence: {require_provenance: ["https://x/*"]}
    alerts: {none: log, informational: log, low: log, medium: alert, high: alert, critical: alert, undefined: alert}
  prod:
    repositories: "{app}-prod"
    approval: required
    evidence: {require_signature: true}
waivers:
  - vulnerability: CVE-2026-1234
    package: openssl
    repositories: "legacy-*"
    owner: ann
    reason: not reached
    ticket: SEC-12
    expires: 2027-01-31
    until: fix_available
    justification: vulnerable_code_not_present
  - {rule: packages.prohibited, package: left-pad, repositories: "ab-*", owner: ann, reason: x, expires: 2027-01-31}
"""
_SCALARS = st.one_of(
    st.sampled_from(
        ["off", "enforce", "warn", "observe", "required", "log", "dev", "base", "prod", "*", "{app}", ""]
    ),
    st.sampled_from(
        ["2d", "30m", "500MB", "0.5", "1.0", "CVE-2024-3094", "low", "untriaged", "fix_available", "ab-*"]
    ),
    st.sampled_from(
        ["next_stage", "latest", "linux/arm64", "pkg:npm/a@1", "2027-02-31", "image.max_age", "\x1b[31m"]
    ),
    st.none() | st.booleans() | st.integers(-1, 99) | st.integers() | st.text(max_size=5),
)
_KEYS = st.sampled_from(
    [
        "value",
        "action",
        "limit",
        "max",
        "low",
        "untriaged",
        "undefined",
        "labels",
        "mode",
        "repositories",
        "rule",
    ]
) | st.text(max_size=3)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=5,
)


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Yield every part, each container before its contents."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, part in items for place in _places(part, (*path, key)))]


def _mutate(draw: st.DrawFn, data: Any) -> None:
    path = draw(st.sampled_from(_places(data)[1:] or [()]))
    if not path:
        return
    above = data
    for key in path[:-1]:
        above = above[key]
    match draw(st.sampled_from(["replace", "replace", "lose", "rename", "add"])):
        case "replace":
            above[path[-1]] = draw(_VALUES)
        case "lose":
            del above[path[-1]]
        case "rename" if isinstance(above, dict):
            above[draw(_KEYS)] = above.pop(path[-1])
        case _ if isinstance(above, dict):
            above[draw(_KEYS)] = draw(_VALUES)
        case _:
            above.append(draw(_VALUES))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return the file as a block with a line for each part, or all in one line."""
    data = copy.deepcopy(read_yaml(FULL).data)
    for _ in range(draw(st.sampled_from([1, 1, 2, 4]))):
        _mutate(draw, data)
    if draw(st.booleans()):
        return json.dumps(data).encode()
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode("utf-8", "replace")
