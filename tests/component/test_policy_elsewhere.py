"""Stages in another account or Region."""

from __future__ import annotations

import pytest

from imagegate.errors import InvalidPolicyError
from imagegate.policy.file.load import parse_policy
from imagegate.policy.policy import RemoteRegistry

HOST = "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
ROLE = "arn:aws:iam::210987654321:role/imagegate-promotion"


def policy(production: str, prefix: str = "") -> bytes:
    head = "version: 1\nstages:\n  dev: {repositories: '%s{app}', promotes_to: production}\n"
    return f"{head % prefix}  production: {{repositories: '{{app}}', {production}}}\n".encode()


def test_a_stage_can_be_elsewhere_under_the_same_names() -> None:
    read = parse_policy(policy(f"registry: {HOST}, role: '{ROLE}'"))
    assert read.stages["production"].remote == RemoteRegistry(HOST, ROLE)
    assert read.target_of("shop") == f"{HOST}/shop"
    stage = read.stage_of("shop")
    assert stage
    assert stage.name == "dev"


def test_the_prefix_of_this_stack_says_nothing_about_names_elsewhere() -> None:
    read = parse_policy(policy(f"registry: {HOST}, role: '{ROLE}'", "team/"), prefix="team/")
    assert read.target_of("team/shop") == f"{HOST}/shop"


@pytest.mark.parametrize(
    ("production", "says"),
    [
        (f"registry: {HOST}", "stages.production.registry: goes with role"),
        (f"role: '{ROLE}'", "stages.production.role: goes with registry"),
        (f"registry: ghcr.io, role: '{ROLE}'", "must be ACCOUNT.dkr.ecr.REGION.amazonaws.com"),
        (f"registry: {HOST}, role: admin", "must be a role such as"),
        (f"registry: {HOST}, role: '{ROLE}', promotes_to: dev", "the stack there promotes from it"),
    ],
)
def test_an_impossible_remote_registry_is_a_fault(production: str, says: str) -> None:
    with pytest.raises(InvalidPolicyError, match=says):
        parse_policy(policy(production))


def test_defaults_cannot_move_all_stages_elsewhere() -> None:
    text = f"version: 1\ndefaults: {{registry: {HOST}}}\nstages: {{dev: {{repositories: x}}}}\n"
    with pytest.raises(InvalidPolicyError, match="every stage has its own"):
        parse_policy(text.encode())
