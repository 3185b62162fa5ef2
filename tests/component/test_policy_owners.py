"""Owners in the policy file: who gets messages about which repositories."""

from __future__ import annotations

import pytest

from imagegate.policy.file.load import parse_file, parse_policy
from imagegate.policy.file.parsed import read_policy, write_parsed
from tests.component.policies import faults

STAGES = "version: 1\nstages: {dev: {repositories: 'team/{app}-dev'}}\nowners:\n"


def owner(owners: str, repository: str) -> str | None:
    policy, baseline = parse_file((STAGES + owners).encode())
    assert read_policy(write_parsed(policy, baseline)) == policy
    return policy.owner_of(repository)


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("team/shop-dev", "payments"),
        ("team/billing-dev", "payments@example.com"),
        ("team/bill-dev", "platform"),
        ("elsewhere", "platform"),
    ],
)
def test_the_first_pattern_of_a_repository_or_application_counts(repository: str, name: str) -> None:
    owners = "  shop: payments\n  '*/billing-*': payments@example.com\n  '*': platform\n"
    assert owner(owners, repository) == name


def test_a_repository_may_have_no_owner() -> None:
    assert owner("  'shop-*': payments\n", "team/other-dev") is None


@pytest.mark.parametrize(
    ("owners", "fault"),
    [
        ("  Shop-*: a\n", "owners.Shop-*: no repository can match it: "),
        (
            "  '*': a\n  shop: b\n",
            "owners.shop: is never reached: '*' before it matches the same; the first counts",
        ),
        ("  'a*': a\n  'a*b': b\n", "owners.a*b: is never reached: 'a*' before it"),
        ("  shop: 'two words'\n", "owners.shop: must be a team or a mail address"),
        ("  shop:\n", "owners.shop: "),
        ("  - shop\n", "owners: "),
    ],
)
def test_what_cannot_be_meant_is_named(owners: str, fault: str) -> None:
    [line] = faults(STAGES + owners)
    assert line.partition(": ")[2].startswith(fault)


@pytest.mark.parametrize(
    "owners", ["  'a?': a\n  'a*': b\n", "  shop: a\n  'shop-*': b\n", "  '[ab]': a\n  a: b\n"]
)
def test_a_pattern_that_reaches_more_is_no_fault(owners: str) -> None:
    parse_policy((STAGES + owners).encode())
