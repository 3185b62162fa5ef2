"""Checks of the settings of repositories and of the registry, each with what passes, what fails and what is open."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from imagegate.audit.access import ACCESS_LOOKS
from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import AuditFinding
from imagegate.audit.registry_settings import RegistryPart, RegistrySettings, check_registry
from imagegate.audit.report import CheckOutcome, CheckPassed, NotAssessed
from imagegate.audit.settings import (
    SETTINGS_LOOKS,
    RepositoryExpectations,
    RepositoryPart,
    RepositorySettings,
    check_settings,
)
from imagegate.baseline.plan import FoundRepository
from imagegate.baseline.registry import FoundRegistry
from imagegate.baseline.repository_policy import PULL, PUSH, GateRegistry, own_statements
from imagegate.baseline.terms import (
    Access,
    Encryption,
    Frequency,
    Lifecycle,
    RegistryTerms,
    ReplicationRule,
    RepositoryTerms,
    TagMutability,
)
from imagegate.policy.policy import Entry, RepositoryPattern, Scanner, Stage
from tests.unit.audits import ACCOUNT, REGION, a_repository

LOOKS = {**SETTINGS_LOOKS, **ACCESS_LOOKS}
OTHER, THIRD = "222233334444", "333344445555"
GATE = f"arn:aws:iam::{ACCOUNT}:role/gate-promote"
DEVELOPER = f"arn:aws:iam::{ACCOUNT}:role/developer"
REGISTRY = GateRegistry(ACCOUNT, REGION, gate_roles=(GATE,))
DEV = Stage("dev", RepositoryPattern("{app}-dev"))
LATER = Stage("production", RepositoryPattern("{app}-prod"), entry=Entry.PROMOTION)
FILLER = " " * 60
KEEP_TEN = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10}


def tagged(*patterns: str) -> dict[str, Any]:
    return {**KEEP_TEN, "tagStatus": "tagged", "tagPatternList": list(patterns)}


def lifecycle(*selections: Mapping[str, Any]) -> dict[str, Any]:
    rules = [
        {"rulePriority": number, "description": FILLER, "selection": one, "action": {"type": "expire"}}
        for number, one in enumerate(selections, 1)
    ]
    return {"rules": rules}


def statement(principal: Any, *actions: str, **more: Any) -> dict[str, Any]:
    return {"Sid": "Some", "Effect": "Allow", "Principal": principal, "Action": list(actions), **more}


def policy(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def root(account: str) -> dict[str, str]:
    return {"AWS": f"arn:aws:iam::{account}:root"}


def only(**values: Any) -> dict[str, Any]:
    return {"Condition": {"StringEquals": {f"aws:{key}": value for key, value in values.items()}}}


FOUND = FoundRepository(
    "shop-dev",
    a_repository().arn,
    TagMutability(is_immutable=True),
    scan_on_push=True,
    encryption=Encryption("AES256"),
    lifecycle=lifecycle(KEEP_TEN),
)


def without_principal(statement: Mapping[str, Any]) -> dict[str, Any]:
    """Return the statement for everybody but one role, which may then push."""
    named = {key: value for key, value in statement.items() if key != "Principal"}
    return {**named, "NotPrincipal": {"AWS": DEVELOPER}}


CLOSED = policy(*own_statements(Access(only_promotion=True), REGISTRY))


def look(
    check: str,
    *,
    terms: RepositoryTerms | None = None,
    stage: Stage | None = DEV,
    registry: GateRegistry = REGISTRY,
    unread: Mapping[RepositoryPart, str] | None = None,
    frequency: str = "SCAN_ON_PUSH",
    image_tags: tuple[frozenset[str], ...] = (),
    **found: Any,
) -> CheckOutcome | None:
    """Return the outcome of one check, or None if it is not counted."""
    settings = RepositorySettings(
        resource=a_repository(),
        found=replace(FOUND, **found),
        frequency=frequency,
        image_tags=image_tags,
        unread=unread or {},
        owner="team",
    )
    expected = RepositoryExpectations(registry=registry, stage=stage, terms=terms)
    return next(check_settings(settings, expected, {check: LOOKS[check]}), None)


KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
PASSES: list[tuple[str, dict[str, Any]]] = [
    ("repository-scan-off", {}),
    ("repository-scan-off", {"frequency": "CONTINUOUS_SCAN"}),
    ("repository-scan-off", {"scan_on_push": False}),  # a rule of the registry has it scanned
    ("repository-scan-frequency", {"terms": RepositoryTerms(scanning=Frequency.ON_PUSH)}),
    (
        "repository-scan-frequency",
        {"terms": RepositoryTerms(scanning=Frequency.ON_PUSH), "frequency": "CONTINUOUS_SCAN"},
    ),
    ("repository-tags-mutable", {}),
    (
        "repository-tags-mutable",
        {
            "terms": RepositoryTerms(tag_mutability=TagMutability(True, ("latest",))),
            "tag_mutability": TagMutability(True, ("latest",)),
        },
    ),
    ("repository-encryption", {"terms": RepositoryTerms(encryption=Encryption("AES256"))}),
    (
        "repository-encryption",
        {"terms": RepositoryTerms(encryption=Encryption("KMS")), "encryption": Encryption("KMS", KEY)},
    ),
    ("repository-lifecycle-missing", {}),
    ("repository-lifecycle-idle", {"image_tags": (frozenset(),)}),
    (
        "repository-lifecycle-idle",
        {"lifecycle": lifecycle(tagged("v*", "*-rc")), "image_tags": (frozenset({"v1", "x-rc"}),)},
    ),
    (
        "repository-lifecycle-different",
        {
            "terms": RepositoryTerms(lifecycle=Lifecycle(document=lifecycle(KEEP_TEN))),
        },
    ),
    ("repository-tags-missing", {"terms": RepositoryTerms(tags={"a": "b"}), "tags": {"a": "b", "c": "d"}}),
    ("repository-ungated", {}),
    ("repository-public", {}),
    ("repository-public", {"policy": policy(statement("*", *PULL, **only(PrincipalOrgID="o-abc123")))}),
    ("repository-public", {"policy": policy({**statement("*", *PULL), "Effect": "Deny"})}),
    ("repository-policy-wildcard", {"policy": policy(statement(root(OTHER), *PULL))}),
    ("repository-foreign-account", {"policy": policy(statement(root(ACCOUNT), *PULL))}),
    (
        "repository-foreign-account",
        {
            "policy": policy(statement(root(OTHER), *PULL)),
            "terms": RepositoryTerms(access=Access(read_accounts=(OTHER,))),
        },
    ),
    (
        "repository-foreign-account",
        {
            "policy": policy(statement("*", *PULL, **only(PrincipalOrgID="o-abc123"))),
            "terms": RepositoryTerms(access=Access(organization="o-abc123")),
        },
    ),
    (
        "repository-foreign-account",
        {"policy": policy(statement({"Service": "lambda.amazonaws.com"}, *PULL))},
    ),
    ("repository-writers", {"policy": policy(statement(root(OTHER), *PULL))}),
    ("repository-writers", {"policy": policy(statement({"AWS": DEVELOPER}, *PUSH))}),
    ("repository-writers", {"policy": policy(statement({"AWS": GATE}, *PUSH)), "stage": LATER}),
    (
        "repository-writers",
        {
            "policy": policy(statement({"AWS": DEVELOPER}, *PUSH), *CLOSED["Statement"]),
            "stage": LATER,
        },
    ),
    (
        "repository-writers",
        {
            "policy": policy(statement(root(OTHER), *PUSH)),
            "terms": RepositoryTerms(access=Access(write_accounts=(OTHER,))),
        },
    ),
    ("repository-push-open", {"policy": CLOSED, "stage": LATER}),
    (
        "repository-push-open",
        {"policy": CLOSED, "terms": RepositoryTerms(access=Access(only_promotion=True))},
    ),
]
FAILS: list[tuple[str, dict[str, Any], str]] = [
    ("repository-scan-off", {"frequency": "MANUAL"}, "neither its own setting"),
    (
        "repository-scan-off",
        {"frequency": "MANUAL", "terms": RepositoryTerms(scanning=Frequency.CONTINUOUS)},
        "neither",
    ),
    (
        "repository-scan-frequency",
        {"terms": RepositoryTerms(scanning=Frequency.CONTINUOUS)},
        "SCAN_ON_PUSH, and should be CONTINUOUS_SCAN",
    ),
    ("repository-tags-mutable", {"tag_mutability": TagMutability(False)}, "MUTABLE"),
    ("repository-tags-mutable", {"tag_mutability": TagMutability(True, ("latest",))}, "except latest"),
    (
        "repository-tags-mutable",
        {
            "terms": RepositoryTerms(tag_mutability=TagMutability(True, ("latest",))),
            "tag_mutability": TagMutability(True, ("*",)),
        },
        "IMMUTABLE except \\*, and should be IMMUTABLE except latest",
    ),
    (
        "repository-encryption",
        {
            "terms": RepositoryTerms(encryption=Encryption("KMS", KEY)),
            "encryption": Encryption("KMS", "other"),
        },
        "KMS with other, and should be KMS with arn",
    ),
    ("repository-lifecycle-missing", {"lifecycle": None}, "never removed"),
    ("repository-lifecycle-missing", {"lifecycle": {"rules": []}}, "never removed"),
    (
        "repository-lifecycle-idle",
        {
            "lifecycle": lifecycle(tagged("v*", "release-*"), tagged("dev-*")),
            "image_tags": (frozenset({"v1"}), frozenset({"release-1"}), frozenset({"dev-1"})),
        },
        "^rule 1: no image has a tag for each of v\\*, release-\\*$",
    ),
    (
        "repository-lifecycle-different",
        {"terms": RepositoryTerms(lifecycle=Lifecycle(max_images=3))},
        "changed",
    ),
    ("repository-tags-missing", {"terms": RepositoryTerms(tags={"a": "b"}), "tags": {"a": "c"}}, "a=b"),
    ("repository-ungated", {"stage": None}, "neither judged nor signed"),
    ("repository-public", {"policy": policy(statement("*", *PULL))}, "statement Some lets everybody"),
    ("repository-public", {"policy": policy(statement({"AWS": "*"}, "ecr:BatchGetImage"))}, "everybody"),
    ("repository-public", {"policy": policy(statement({"AWS": ["*"]}, "ecr:*"))}, "everybody"),
    ("repository-public", {"policy": {"Statement": statement("*", *PULL)}}, "everybody"),
    (
        "repository-public",
        {"policy": policy({"Effect": "Allow", "NotPrincipal": root(OTHER), "Action": list(PULL)})},
        "everybody",
    ),
    (
        "repository-public",
        {"policy": policy({"Effect": "Allow", "Principal": "*", "NotAction": "ecr:DeleteRepository"})},
        "everybody",
    ),
    *(
        ("repository-public", {"policy": policy(statement("*", *PULL, Condition=condition))}, "everybody")
        for condition in (
            {"Bool": {"aws:SecureTransport": "true"}},
            {"StringLike": {"aws:PrincipalOrgID": "*"}},
            {"StringNotEquals": {"aws:PrincipalOrgID": "o-abc123"}},
            {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-abc123"}},
            {"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-abc123"}},
            {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}},
            {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}},
        )
    ),
    ("repository-policy-wildcard", {"policy": policy(statement(root(ACCOUNT), "ecr:*"))}, "statement Some"),
    ("repository-policy-wildcard", {"policy": policy(statement(root(ACCOUNT), "*"))}, "statement Some"),
    (
        "repository-policy-wildcard",
        {"policy": policy({"Effect": "Allow", "Principal": root(ACCOUNT), "NotAction": "ecr:PutImage"})},
        "statement number 1",
    ),
    ("repository-foreign-account", {"policy": policy(statement(root(OTHER), *PULL))}, OTHER),
    ("repository-foreign-account", {"policy": policy(statement({"AWS": OTHER}, "ecr:PutImage"))}, OTHER),
    (
        "repository-foreign-account",
        {
            "policy": policy(statement({"AWS": [OTHER, THIRD]}, *PULL)),
            "terms": RepositoryTerms(access=Access(read_accounts=(OTHER,))),
        },
        f"lets {THIRD} ",
    ),
    (
        "repository-foreign-account",
        {"policy": policy(statement("*", *PULL, **only(PrincipalOrgID="o-other12")))},
        "principalorgid",
    ),
    (
        "repository-foreign-account",
        {
            "policy": policy(
                statement(
                    {"Service": "lambda.amazonaws.com"},
                    *PULL,
                    Condition={"ArnLike": {"aws:SourceArn": f"arn:aws:lambda:{REGION}:{OTHER}:function:*"}},
                )
            )
        },
        "lambda",
    ),
    (
        "repository-writers",
        {
            "policy": policy(statement(root(OTHER), *PULL, *PUSH)),
            "terms": RepositoryTerms(access=Access(read_accounts=(OTHER,))),
        },
        f"{OTHER} PutImage",
    ),
    (
        "repository-writers",
        {
            "policy": policy(statement(root(OTHER), *PUSH, "ecr:BatchDeleteImage")),
            "terms": RepositoryTerms(access=Access(write_accounts=(OTHER,))),
        },
        "BatchDeleteImage",
    ),
    (
        "repository-writers",
        {"policy": policy(statement("*", *PUSH, **only(PrincipalOrgID="o-abc123")))},
        "principalorgid",
    ),
    (
        "repository-writers",
        {"policy": policy(statement({"AWS": DEVELOPER}, *PUSH)), "stage": LATER},
        "developer",
    ),
    ("repository-push-open", {"stage": LATER}, "denies no push"),
    (
        "repository-push-open",
        {"policy": policy(statement({"AWS": DEVELOPER}, *PUSH)), "stage": LATER},
        "denies no push",
    ),
    (
        "repository-push-open",
        {
            "policy": policy(
                *own_statements(Access(only_promotion=True, push_exceptions=(DEVELOPER,)), REGISTRY)
            ),
            "stage": LATER,
        },
        DEVELOPER,
    ),
    *(
        (
            "repository-push-open",
            {"policy": policy({**CLOSED["Statement"][0], "Principal": principal}), "stage": LATER},
            "denies no push",
        )
        for principal in (
            {"AWS": DEVELOPER},
            {"AWS": [DEVELOPER]},
            root(OTHER),
            {"Service": "x.amazonaws.com"},
        )
    ),
    (
        "repository-push-open",
        {"policy": policy(without_principal(CLOSED["Statement"][0])), "stage": LATER},
        "denies no push",
    ),
    (
        "repository-push-open",
        {
            "policy": policy({**CLOSED["Statement"][0], "Action": ["ecr:InitiateLayerUpload"]}),
            "stage": LATER,
        },
        "denies no push",
    ),
    (
        "repository-push-open",
        {
            "policy": policy(
                {
                    **CLOSED["Statement"][0],
                    "Condition": {
                        **CLOSED["Statement"][0]["Condition"],
                        "Bool": {"aws:SecureTransport": "false"},
                    },
                }
            ),
            "stage": LATER,
        },
        "denies no push",
    ),
]
OPEN: list[tuple[str, dict[str, Any]]] = [
    ("repository-scan-off", {"frequency": "MANUAL", "terms": RepositoryTerms(scanning=Frequency.MANUAL)}),
    ("repository-scan-off", {"frequency": "MANUAL", "terms": RepositoryTerms(scan_on_push=False)}),
    ("repository-scan-frequency", {}),
    (
        "repository-tags-mutable",
        {
            "terms": RepositoryTerms(tag_mutability=TagMutability(False)),
            "tag_mutability": TagMutability(False),
        },
    ),
    ("repository-encryption", {}),
    ("repository-lifecycle-idle", {}),
    ("repository-lifecycle-different", {}),
    ("repository-tags-missing", {}),
    ("repository-push-open", {}),
]


@pytest.mark.parametrize(("check", "values"), PASSES)
def test_a_setting_as_it_should_be_passes(check: str, values: dict[str, Any]) -> None:
    assert look(check, **values) == CheckPassed(CATALOGUE[check])


@pytest.mark.parametrize(("check", "values", "detail"), FAILS)
def test_a_fault_is_a_finding_with_its_reason_and_a_remedy(
    check: str, values: dict[str, Any], detail: str
) -> None:
    finding = look(check, **values)
    assert isinstance(finding, AuditFinding)
    assert finding.check.id == check
    assert finding.owner == "team"
    assert finding.remedy.text
    assert re.search(detail, finding.detail)


@pytest.mark.parametrize(("check", "values"), OPEN)
def test_something_that_the_baseline_leaves_open_is_not_counted(check: str, values: dict[str, Any]) -> None:
    assert look(check, **values) is None


@pytest.mark.parametrize("check", LOOKS)
def test_a_part_that_cannot_be_read_is_not_assessed(check: str) -> None:
    for part in LOOKS[check][1]:
        outcome = look(check, unread={part: "AccessDenied"}, stage=LATER, image_tags=(frozenset(),))
        assert isinstance(outcome, NotAssessed)
        assert (outcome.check.id, outcome.reason) == (check, "AccessDenied")


def test_every_check_of_settings_has_cases_here() -> None:
    assert {name for name, _ in PASSES} == {name for name, _, _ in FAILS} == set(LOOKS)


def test_without_the_stack_nothing_tells_who_pushes_for_the_gate() -> None:
    outcome = look("repository-push-open", stage=LATER, registry=replace(REGISTRY, gate_roles=()))
    assert isinstance(outcome, NotAssessed)


def test_a_lifecycle_policy_that_cannot_be_read_is_not_assessed() -> None:
    odd = lifecycle({**KEEP_TEN, "countType": "sinceTomorrow"})
    outcome = look("repository-lifecycle-idle", lifecycle=odd, image_tags=(frozenset(),))
    assert isinstance(outcome, NotAssessed)
    assert "sinceTomorrow" in outcome.reason


# The registry.


def rule(region: str = REGION, account: str = ACCOUNT) -> dict[str, Any]:
    return {"destinations": [{"region": region, "registryId": account}]}


def look_at(check: str, **values: Any) -> CheckOutcome | None:
    """Return the outcome of one check of the registry. `scanning`, `replication`, `policy`: what ECR has."""
    parts = {"scanning": {"scanType": "BASIC", "rules": []}, "replication": []}
    found = FoundRegistry(**parts | {key: values.pop(key) for key in list(values) if key in FOUND_PARTS})
    settings = RegistrySettings(registry=REGISTRY, found=found, **values)
    return next((one for one in check_registry(settings) if one.check.id == check), None)


FOUND_PARTS = ("scanning", "replication", "policy")
RESIDENT = RegistryTerms(allowed_regions=(REGION,))
REGISTRY_PASSES: list[tuple[str, dict[str, Any]]] = [
    ("registry-scan-type", {"scanner": Scanner.BASIC}),
    ("registry-scan-type", {"scanning": {"scanType": "ENHANCED", "rules": []}, "scanner": Scanner.ENHANCED}),
    ("registry-residency", {"terms": RESIDENT, "replication": [rule()]}),
    ("registry-replication-account", {"replication": [rule("eu-west-1")]}),
    (
        "registry-replication-account",
        {
            "replication": [rule("eu-west-1", OTHER)],
            "terms": RegistryTerms(replication=(ReplicationRule((("eu-west-1", OTHER),)),)),
        },
    ),
    ("registry-policy", {}),
    (
        "registry-policy",
        {
            "policy": policy(statement(root(OTHER), "ecr:ReplicateImage", "ecr:CreateRepository")),
            "terms": RegistryTerms(replication_from=(OTHER,)),
        },
    ),
    ("registry-settings", {"terms": RESIDENT}),
]
REGISTRY_FAILS: list[tuple[str, dict[str, Any], str]] = [
    ("registry-scan-type", {"scanner": Scanner.ENHANCED}, "basic scanning, and should be enhanced"),
    (
        "registry-scan-type",
        {"scanning": {"scanType": "ENHANCED", "rules": []}, "terms": RegistryTerms(scan_type="BASIC")},
        "enhanced scanning, and should be basic",
    ),
    ("registry-residency", {"terms": RESIDENT, "replication": [rule(), rule("us-east-1")]}, "us-east-1"),
    ("registry-residency", {"terms": RegistryTerms(allowed_regions=()), "replication": [rule()]}, REGION),
    ("registry-replication-account", {"replication": [rule(REGION, OTHER)]}, OTHER),
    ("registry-policy", {"policy": policy(statement("*", "ecr:ReplicateImage"))}, "everybody"),
    ("registry-policy", {"policy": policy(statement(root(OTHER), "ecr:ReplicateImage"))}, OTHER),
    (
        "registry-policy",
        {
            "policy": policy(statement(root(OTHER), "ecr:*")),
            "terms": RegistryTerms(replication_from=(OTHER,)),
        },
        "PutImage",
    ),
    ("registry-settings", {"terms": RegistryTerms(scan_type="ENHANCED")}, "scanning"),
    (
        "registry-settings",
        {"terms": RegistryTerms(replication=(ReplicationRule((("eu-west-1", None),)),))},
        "replication",
    ),
]


@pytest.mark.parametrize(("check", "values"), REGISTRY_PASSES)
def test_a_setting_of_the_registry_as_it_should_be_passes(check: str, values: dict[str, Any]) -> None:
    assert look_at(check, **values) == CheckPassed(CATALOGUE[check])


@pytest.mark.parametrize(("check", "values", "detail"), REGISTRY_FAILS)
def test_a_fault_of_the_registry_is_a_finding(check: str, values: dict[str, Any], detail: str) -> None:
    finding = look_at(check, **values)
    assert isinstance(finding, AuditFinding)
    assert detail in finding.detail
    assert finding.remedy.text


@pytest.mark.parametrize("check", ["registry-scan-type", "registry-residency", "registry-settings"])
def test_a_setting_of_the_registry_that_nobody_asks_for_is_not_counted(check: str) -> None:
    assert look_at(check) is None


def unread_outcomes() -> Iterator[tuple[RegistryPart, list[CheckOutcome]]]:
    for part in RegistryPart:
        found = FoundRegistry({"scanType": "BASIC"}, [])
        settings = RegistrySettings(
            registry=REGISTRY, found=found, terms=RESIDENT, scanner=Scanner.BASIC, unread={part: "throttled"}
        )
        yield part, list(check_registry(settings))


def test_a_part_of_the_registry_that_cannot_be_read_is_not_assessed() -> None:
    for part, outcomes in unread_outcomes():
        unread = {one.check.id for one in outcomes if isinstance(one, NotAssessed)}
        assert "registry-settings" in unread
        expected = {
            RegistryPart.SCANNING: {"registry-scan-type"},
            RegistryPart.REPLICATION: {"registry-residency", "registry-replication-account"},
            RegistryPart.POLICY: {"registry-policy"},
        }
        assert unread - {"registry-settings"} == expected.get(part, set())


def test_every_check_of_the_registry_has_cases_here() -> None:
    made = {name for name, check in CATALOGUE.items() if check.subject == "registry"}
    assert {name for name, _ in REGISTRY_PASSES} == {name for name, _, _ in REGISTRY_FAILS} == made
