"""Policy files for tests: small ones to begin with, and what the parser says of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from imagegate.errors import InvalidPolicyError
from imagegate.policy.file.load import parse_policy
from imagegate.policy.policy import Policy, Stage

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "layers/policy/policy.yaml"
SCHEMA = ROOT / "layers/policy/policy.schema.json"
SAMPLES = (SHIPPED, *sorted((ROOT / "examples/policies").glob("*.yaml")))
TODAY = date(2026, 11, 24)

# `dev` leads to `prod`, and both may be built on `base`; {} is what a stage says more.
THREE = """\
version: 1
scanner: {scanner}
defaults: {{{defaults}}}
stages:
  base: {{repositories: base}}
  dev: {{repositories: dev, promotes_to: prod, {dev}}}
  prod: {{repositories: prod}}
"""
DEV_LINE = 6


def three(dev: str = "", defaults: str = "", scanner: str = "enhanced") -> str:
    return THREE.format(dev=dev, defaults=defaults, scanner=scanner)


def stage(dev: str = "", defaults: str = "", **more: Any) -> Stage:
    return parse_policy(three(dev, defaults, **more).encode()).stages["dev"]


def faults(text: str, **more: Any) -> list[str]:
    """Return the faults without the file's name."""
    with pytest.raises(InvalidPolicyError) as raised:
        parse_policy(text.encode(), **more)
    return [line.removeprefix("policy.yaml:") for line in str(raised.value).splitlines()]


def dev_faults(dev: str, **more: Any) -> list[str]:
    """Return the faults of the stage `dev`, without line and path up to it."""
    return [fault.removeprefix(f"{DEV_LINE}: stages.dev.") for fault in faults(three(dev, **more))]


def sample(name: str) -> Policy:
    return parse_policy((ROOT / "examples/policies" / name).read_bytes(), today=TODAY)
