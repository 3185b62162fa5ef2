"""`imagegate baseline` over moto: the plan leads to the baseline, twice changes nothing, and what others set stays."""

from __future__ import annotations

import json
from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import yaml

from imagegate.aws.ecr.settings import EcrSettings
from imagegate.baseline.lifecycle_rules import lifecycle_document
from imagegate.baseline.plan import Change, FoundRepository, SettingsPlan
from imagegate.baseline.registry import REGISTRY, FoundRegistry, plan_registry
from imagegate.baseline.repository_policy import GateRegistry
from imagegate.baseline.terms import (
    Encryption,
    ExpiryRule,
    Frequency,
    Lifecycle,
    RegistryTerms,
    RepositoryTerms,
    TagMutability,
)
from imagegate.errors import ImageNotFoundError
from imagegate.lifecycle.rules import parse_lifecycle
from imagegate.policy.file.load import parse_file
from imagegate.workflow.settings.compare import CompareSettings
from imagegate_cli.baseline.view import lines
from tests.component.baselines import GATE_ROLE, Shop, check_request, document, gate, shop, statement
from tests.patience import PATIENCE_SECONDS

__all__ = ["gate", "shop"]

KEY = "arn:aws:kms:eu-central-1:123456789012:key/1f0c2a9e-0000-4000-8000-000000000000"
RULE = {
    "rulePriority": 1,
    "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5},
    "action": {"type": "expire"},
}
# One policy for each option of a repository, and each form that it can have.
OPTIONS: dict[str, dict[str, Any]] = {
    "immutable": {"tag_mutability": "immutable"},
    "mutable": {"tag_mutability": "mutable"},
    "immutable, except": {"tag_mutability": {"mode": "immutable", "except": ["latest", "dev-*"]}},
    "mutable, except": {"tag_mutability": {"mode": "mutable", "except": ["v*"]}},
    "scan on push": {"scan_on_push": True},
    "no scan on push": {"scan_on_push": False},
    "count": {"lifecycle": {"max_images": 50}},
    "untagged": {"lifecycle": {"untagged_days": 7}},
    "by tags": {"lifecycle": {"rules": [{"tags": "dev-*", "count": 10}, {"tags": "feature-*", "days": 7}]}},
    "all of it": {
        "lifecycle": {"max_images": 100, "untagged_days": 1, "rules": [{"tags": "v*", "count": 50}]}
    },
    "own document": {"lifecycle": {"document": {"rules": [RULE]}}},
    "readers": {"access": {"read_accounts": ["210987654321", "111122223333"]}},
    "writers": {"access": {"write_accounts": ["210987654321"]}},
    "roles": {"access": {"roles": ["arn:aws:iam::210987654321:role/tasks"]}},
    "organization": {"access": {"organization": "o-a1b2c3d4e5"}},
    "Lambda": {"access": {"lambda_pull": True, "read_accounts": ["210987654321"]}},
    "only promotion": {"access": {"push": "promotion"}},
    "only promotion and": {
        "access": {"push": "promotion", "push_exceptions": ["arn:aws:iam::123456789012:role/mirror"]}
    },
    "anybody pushes": {"access": {"push": "anybody"}},
    "tags": {"tags": {"Environment": "development", "Owner": "team-shop", "CostCenter": "4711"}},
    "AES256": {"encryption": "AES256"},
    "development": {"preset": "development"},
}


@pytest.mark.parametrize("terms", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("is_there", [True, False])
def test_after_the_plan_is_applied_the_plan_is_empty(
    shop: Shop, terms: dict[str, Any], *, is_there: bool
) -> None:
    if is_there:
        shop.makes(
            "shop-staging", imageTagMutability="IMMUTABLE", imageScanningConfiguration={"scanOnPush": True}
        )
    shop.says(stages={"staging": terms})
    shop.plan("shop-staging")
    assert shop.apply("shop-staging").code == 0
    assert shop.plan("shop-staging")["changes"] == []
    assert shop.plan("shop-staging")["failures"] == []


def test_repositories_are_read_at_the_same_time_and_shown_in_their_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.makes("a-dev", "b-dev", "c-dev")
    shop.says(stages={"dev": OPTIONS["tags"]})
    is_last_read, completed = Event(), EcrSettings.completed

    def first_is_slowest(settings: EcrSettings, found: FoundRepository, documents: Any) -> FoundRepository:
        if found.name == "a-dev":
            assert is_last_read.wait(PATIENCE_SECONDS), "nobody else reads"
        repository = completed(settings, found, documents)
        if found.name == "c-dev":
            is_last_read.set()
        return repository

    monkeypatch.setattr(EcrSettings, "completed", first_is_slowest)
    assert [change["subject"] for change in shop.plan()["changes"]] == ["a-dev", "b-dev", "c-dev"]


def test_a_second_apply_sends_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.makes("shop-dev", "shop-staging")
    shop.says(stages={"dev": {"preset": "development"}, "staging": OPTIONS["all of it"]})
    assert shop.apply().code == 0
    sent: list[Change] = []
    monkeypatch.setattr(EcrSettings, "send", lambda _self, change: sent.append(change))
    assert shop.apply().code == 0
    assert sent == []


def test_the_settings_that_the_baseline_does_not_name_are_left_alone(shop: Shop) -> None:
    shop.makes("shop-dev", imageTagMutability="IMMUTABLE", tags=[{"Key": "Team", "Value": "a"}])
    shop.ecr.set_repository_policy(
        repositoryName="shop-dev", policyText=document(statement("Theirs", "ecr:BatchGetImage"))
    )
    shop.says(stages={"dev": {"tags": {"Owner": "b"}}})
    assert [change["setting"] for change in shop.plan()["changes"]] == ["tags"]
    shop.apply()
    found = shop.found("shop-dev")
    assert found.tags == {"Team": "a", "Owner": "b"}
    assert found.tag_mutability.mode == "IMMUTABLE"


def test_a_foreign_statement_survives_and_an_old_one_of_ours_goes(shop: Shop) -> None:
    shop.makes("shop-staging")
    lambdas = statement("LambdaECRImageRetrievalPolicy", "ecr:BatchGetImage", principal={"Service": "lambda"})
    shop.ecr.set_repository_policy(repositoryName="shop-staging", policyText=document(lambdas))
    shop.says(stages={"staging": OPTIONS["readers"]})
    shop.apply()
    shop.says(stages={"staging": OPTIONS["only promotion"]})
    shop.apply()
    policy = json.loads(shop.ecr.get_repository_policy(repositoryName="shop-staging")["policyText"])
    assert [one["Sid"] for one in policy["Statement"]] == [lambdas["Sid"], "ImagegateOnlyPromotion"]
    assert policy["Statement"][0] == lambdas


def test_only_the_gate_and_the_exceptions_push(shop: Shop) -> None:
    shop.makes("shop-production")
    shop.says(stages={"production": OPTIONS["only promotion and"]})
    [change] = shop.plan()["changes"]
    [denial] = change["after"]["Statement"]
    assert denial["Effect"] == "Deny"
    assert denial["Condition"] == {
        "ArnNotLike": {"aws:PrincipalArn": sorted([GATE_ROLE, "arn:aws:iam::123456789012:role/mirror"])}
    }


@pytest.mark.parametrize(
    ("foreign", "said"),
    [
        (
            statement("Admin", "ecr:*", principal={"AWS": "arn:aws:iam::210987654321:root"}),
            "Admin lets 210987654321",
        ),
        (statement("Alter", "ecr:SetRepositoryPolicy"), "Alter lets everybody SetRepositoryPolicy"),
        (statement("Open", "ecr:BatchGetImage"), "Open lets everybody with an AWS account pull"),
        (
            {"Effect": "Allow", "Principal": "*", "NotAction": "ecr:GetRepositoryPolicy"},
            "number 1 lets everybody",
        ),
        *(
            (
                statement("Open", "ecr:BatchGetImage") | {"Condition": condition},
                "Open lets everybody with an AWS account pull",
            )
            for condition in (
                {"Bool": {"aws:SecureTransport": "true"}},
                {"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}},
                {"StringLike": {"aws:PrincipalOrgID": "*"}},
                {"StringNotEquals": {"aws:PrincipalAccount": "210987654321"}},
                {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}},
            )
        ),
        (
            statement("Fine", "ecr:BatchGetImage")
            | {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}},
            "",
        ),
        (statement("Fine", "ecr:BatchGetImage", principal={"AWS": "210987654321"}), ""),
    ],
)
def test_a_statement_that_lets_more_in_is_named(shop: Shop, foreign: dict[str, Any], said: str) -> None:
    shop.makes("shop-production")
    shop.ecr.set_repository_policy(repositoryName="shop-production", policyText=document(foreign))
    shop.says(stages={"production": OPTIONS["only promotion"]})
    remarks = [one["text"] for one in shop.plan()["remarks"]]
    assert len(remarks) == bool(said)
    assert said in " ".join(remarks)


def test_a_key_is_named_by_its_alias_and_compared_as_the_key_that_it_is_now(shop: Shop) -> None:
    kms: Any = boto3.client("kms")
    first, second = (kms.create_key()["KeyMetadata"] for _ in range(2))
    kms.create_alias(AliasName="alias/ecr-key", TargetKeyId=first["KeyId"])
    shop.says(stages={"dev": {"encryption": {"type": "KMS", "key": "alias/ecr-key"}}})
    [made] = shop.plan("shop-dev")["changes"]
    assert made["request"]["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": first["Arn"]}
    assert shop.apply("shop-dev").code == 0
    assert shop.plan() == {"changes": [], "remarks": [], "failures": []}
    kms.update_alias(AliasName="alias/ecr-key", TargetKeyId=second["KeyId"])
    [remark] = shop.plan()["remarks"]
    assert remark["unmet"]
    assert second["Arn"] in remark["text"]
    kms.delete_alias(AliasName="alias/ecr-key")
    [failure] = shop.plan()["failures"]
    assert "alias/ecr-key" in failure["why"]


def test_the_alias_of_the_key_of_aws_is_no_key_of_ones_own(shop: Shop) -> None:
    shop.makes("shop-dev", encryptionConfiguration={"encryptionType": "KMS"})
    shop.says(stages={"dev": {"encryption": {"type": "KMS", "key": "alias/aws/ecr"}}})
    assert shop.plan() == {"changes": [], "remarks": [], "failures": []}


def test_a_template_has_the_key_of_an_alias_and_without_it_is_not_compared() -> None:
    """The functions of the stack ask nobody which key an alias names."""
    policy, baseline = parse_file(
        yaml.safe_dump(
            {
                "version": 1,
                "stages": {"dev": {"repositories": "dev/{app}"}},
                "baseline": {
                    "registry": {"template_role": "arn:aws:iam::123456789012:role/t"},
                    "stages": {
                        "dev": {"encryption": {"type": "KMS", "key": "alias/k"}, "create_on_push": True}
                    },
                },
            }
        ).encode()
    )
    registry = GateRegistry("123456789012", "eu-central-1", "aws", (GATE_ROLE,))
    settings: Any = SimpleNamespace(registry=lambda **_: FoundRegistry({}, [], None, {}, {}, (), {}))
    compare = CompareSettings(policy, baseline, registry, settings)
    plan = compare.plan(REGISTRY)
    assert plan
    assert plan.is_met
    plan = replace(compare, key_of=lambda _alias: KEY).plan(REGISTRY)
    assert plan
    [template] = plan.changes
    assert template.request["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": KEY}


@pytest.mark.parametrize(
    ("theirs", "frequency", "ours", "is_said"),
    [
        ("*", "CONTINUOUS_SCAN", "manual", True),
        ("*", "CONTINUOUS_SCAN", "on_push", True),
        ("shop-*", "SCAN_ON_PUSH", "manual", True),
        ("-dev", "SCAN_ON_PUSH", "manual", True),  # a part of a name
        ("*", "SCAN_ON_PUSH", "continuous", False),
        ("*", "CONTINUOUS_SCAN", "continuous", False),
        ("cart-*", "CONTINUOUS_SCAN", "manual", False),
    ],
)
def test_a_rule_of_others_that_scans_more_often_is_said(
    theirs: str, frequency: str, ours: str, *, is_said: bool
) -> None:
    terms = {"shop-dev": RepositoryTerms(scanning=Frequency[ours.upper()])}
    rule = {"scanFrequency": frequency, "repositoryFilters": [{"filter": theirs, "filterType": "WILDCARD"}]}
    found = FoundRegistry({"scanType": "ENHANCED", "rules": [rule]}, [])
    registry = GateRegistry("123456789012", "eu-central-1", "aws", (GATE_ROLE,))
    remarks = plan_registry(RegistryTerms(), terms, found, registry).remarks
    assert [theirs in one.text and not one.is_unmet for one in remarks] == [True] * is_said


def test_encryption_that_cannot_be_changed_is_reported_with_the_way_around(shop: Shop) -> None:
    shop.makes("shop-dev")
    shop.says(stages={"dev": {"encryption": {"type": "KMS", "key": KEY}, "scan_on_push": True}})
    assert shop.apply().code == 1
    planned = shop.plan()
    assert planned["changes"] == []
    [remark] = planned["remarks"]
    assert remark["unmet"]
    assert KEY in remark["text"]
    assert "copy the images" in remark["text"]


def test_a_missing_repository_is_created_with_its_key(shop: Shop) -> None:
    shop.says(stages={"dev": {"preset": "staging", "encryption": {"type": "KMS", "key": KEY}}})
    assert shop.apply("shop-dev").code == 0
    [made] = shop.ecr.describe_repositories()["repositories"]
    assert made["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": KEY}


def test_a_pattern_goes_over_a_stage_and_keeps_what_it_does_not_name(shop: Shop) -> None:
    shop.makes("shop-dev", "legacy-dev", "tools", "other")
    shop.says(
        stages={"dev": {"tag_mutability": "immutable", "tags": {"Owner": "a", "Stage": "dev"}}},
        repositories={
            "legacy-*": {"tag_mutability": "mutable", "tags": {"Owner": "b"}},
            "tools": {"tags": {"Owner": "c"}},
        },
    )
    assert shop.apply().code == 0
    found = {name: shop.found(name) for name in ("shop-dev", "legacy-dev", "tools", "other")}
    tags = {name: dict(one.tags) for name, one in found.items()}
    assert tags == {
        "shop-dev": {"Owner": "a", "Stage": "dev"},
        "legacy-dev": {"Owner": "b", "Stage": "dev"},
        "tools": {"Owner": "c"},
        "other": {},
    }
    assert {name: one.tag_mutability.mode for name, one in found.items()} == {
        "shop-dev": "IMMUTABLE",
        "legacy-dev": "MUTABLE",
        "tools": "MUTABLE",
        "other": "MUTABLE",
    }


def test_a_change_in_between_is_not_written_over(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.makes("shop-dev", "web-dev")
    shop.says(stages={"dev": OPTIONS["readers"]})
    theirs = document(statement("Theirs", "ecr:BatchGetImage", principal={"AWS": "333333333333"}))
    read, reads = EcrSettings.completed, []

    def read_and_meddle(self: EcrSettings, found: FoundRepository, documents: Any) -> Any:
        reads.append(found.name)
        if reads.count("shop-dev") == 2 and found.name == "shop-dev":
            shop.ecr.set_repository_policy(repositoryName=found.name, policyText=theirs)
        return read(self, found, documents)

    monkeypatch.setattr(EcrSettings, "completed", read_and_meddle)
    result = shop.apply()
    assert result.code == 2
    assert [one["subject"] for one in result.json["failures"]] == ["shop-dev"]
    assert shop.ecr.get_repository_policy(repositoryName="shop-dev")["policyText"] == theirs
    monkeypatch.undo()
    assert [change["subject"] for change in shop.plan()["changes"]] == ["shop-dev"]


def test_another_applier_in_between_leaves_one_state(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.makes("shop-dev", imageTagMutability="IMMUTABLE")
    shop.says(stages={"dev": {"preset": "development", **OPTIONS["writers"]}})
    send = EcrSettings.send

    def send_twice(self: EcrSettings, change: Change) -> None:
        send(self, change)
        send(self, change)

    monkeypatch.setattr(EcrSettings, "send", send_twice)
    assert shop.apply().code == 0
    assert shop.plan()["changes"] == []


def test_throttling_is_waited_for_and_a_failure_stops_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imagegate.errors import AccessRefusedError, ThrottledError

    shop.makes("a-dev", "b-dev", "c-dev")
    shop.says(stages={"dev": {"tags": {"Owner": "a"}}})
    send = EcrSettings.send
    refusals: dict[str, list[Exception]] = {
        "a-dev": [ThrottledError("slow")] * 3,
        "b-dev": [AccessRefusedError("no")],
    }

    def refuse(self: EcrSettings, change: Change) -> None:
        if refusals.get(change.subject):
            raise refusals[change.subject].pop()
        send(self, change)

    monkeypatch.setattr(EcrSettings, "send", refuse)
    result = shop.apply()
    assert result.code == 2
    assert result.json["failures"] == [{"subject": "b-dev", "why": "no"}]
    assert [line for line in result.err.splitlines() if line.startswith("3/3")] == ["3/3 c-dev: done"]
    assert shop.apply().code == 0


def test_the_plan_is_readable(shop: Shop) -> None:
    shop.makes("shop-dev")
    shop.says(
        stages={"dev": {"tag_mutability": "immutable", "encryption": "KMS", "lifecycle": {"max_images": 50}}}
    )
    result = shop.gate.call("baseline", "plan")
    assert result.code == 1
    assert result.out.splitlines()[:2] == ["shop-dev", "  ~ tag mutability  MUTABLE → IMMUTABLE"]
    assert '      +rules: {"rulePriority": 1, "description": "more than 50 images"' in result.out
    assert "  ! encryption      AES256, and should be KMS" in result.out


def test_without_a_terminal_and_without_yes_nothing_is_changed(shop: Shop) -> None:
    shop.makes("shop-dev")
    shop.says(stages={"dev": {"scan_on_push": True}})
    assert shop.gate.call("baseline", "apply").code == 2
    assert shop.plan()["changes"]


@pytest.mark.parametrize(
    ("baseline", "fault"),
    [
        ({"stages": {"prod": {}}}, "baseline.stages.prod: there is no stage 'prod'"),
        ({"stages": {"dev": {"access": {"push": "promotion"}}}}, "dev.access.push: nobody could push"),
        ({"stages": {"dev": {"preset": "uat"}}}, "baseline.stages.dev.preset: must be"),
        ({"stages": {"dev": {"tag_mutability": "frozen"}}}, "must be 'mutable' or 'immutable'"),
        ({"stages": {"dev": {"encryption": {"type": "AES256", "key": KEY}}}}, "a key goes with type: KMS"),
        ({"stages": {"dev": {"access": {"read_accounts": [123456789012]}}}}, "in quotes"),
        ({"stages": {"dev": {"lifecycle": {"rules": [{"tags": "v*"}]}}}}, "a count or days"),
        ({"stages": {"dev": {"scan_on_psh": True}}}, "unknown key (did you mean scan_on_push?)"),
        ({"repositories": {"Shop": {}}}, "a repository, or a pattern"),
    ],
)
def test_a_fault_of_the_section_is_named_with_its_line(shop: Shop, baseline: Any, fault: str) -> None:
    shop.says(**baseline)
    result = shop.gate.call("baseline", "plan")
    assert result.code == 2
    assert fault in result.err
    assert result.err.startswith("stack imagegate:")


def test_a_policy_without_a_baseline_says_where_to_begin(shop: Shop) -> None:
    shop.says()
    result = shop.gate.call("baseline", "plan")
    assert result.code == 2
    assert "baseline import" in result.err


def test_with_what_import_prints_there_is_nothing_to_do(shop: Shop) -> None:
    shop.makes("a-dev", "b-dev", "c-staging", "other", tags=[{"Key": "Owner", "Value": "1"}])
    filters = [{"filterType": "WILDCARD", "filter": "latest"}]
    shop.ecr.put_image_tag_mutability(
        repositoryName="b-dev",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
    )
    shop.ecr.put_lifecycle_policy(repositoryName="a-dev", lifecyclePolicyText=json.dumps({"rules": [RULE]}))
    shop.says()
    section = yaml.safe_load(shop.gate.call("baseline", "import").out)["baseline"]
    assert section["stages"]["dev"] == {
        "scan_on_push": False,
        "encryption": "AES256",
        "tags": {"Owner": "1"},
    }
    assert section["repositories"].keys() == {"a-dev", "b-dev"}
    shop.says(**section)
    planned = shop.plan()
    assert planned["changes"] == []
    assert [one for one in planned["remarks"] if one["unmet"]] == []


# Repositories that a promotion makes


def comparison(shop: Shop) -> CompareSettings:
    content = shop.gate.policy_content
    registry = GateRegistry("123456789012", "eu-central-1", "aws", (GATE_ROLE,))
    return CompareSettings(*parse_file(content), registry, EcrSettings())


@pytest.mark.parametrize("terms", OPTIONS.values(), ids=OPTIONS)
def test_a_promotion_makes_a_repository_at_the_baseline(shop: Shop, terms: dict[str, Any]) -> None:
    shop.makes("shop-dev")
    shop.says(stages={"staging": terms})
    for _ in range(2):  # of two promotions at once, the second one finds it
        comparison(shop).create("shop-staging", like="shop-dev")
    assert shop.plan("shop-staging")["changes"] == []


def test_it_takes_what_the_baseline_does_not_name_from_its_source(shop: Shop) -> None:
    encryption = {"encryptionType": "KMS", "kmsKey": KEY}
    tags = [
        {"Key": "team", "Value": "shop"},
        {"Key": "aws:cloudformation:stack-name", "Value": "repositories"},
    ]
    shop.makes("shop-dev", imageTagMutability="IMMUTABLE", encryptionConfiguration=encryption, tags=tags)
    shop.says(stages={"staging": {"tags": {"Owner": "b"}}})
    comparison(shop).create("shop-staging", like="shop-dev")
    source, made = shop.found("shop-dev"), shop.found("shop-staging")
    assert (made.encryption, made.tag_mutability) == (source.encryption, source.tag_mutability)
    assert made.scan_on_push
    assert made.tags == {"team": "shop", "Owner": "b"}


def test_a_mutability_with_exceptions_is_taken_over(shop: Shop) -> None:
    shop.says()
    sent: list[Change] = []
    model = FoundRepository(
        "shop-dev",
        "arn",
        TagMutability(is_immutable=True, exceptions=("latest",)),
        False,
        Encryption("AES256"),
    )
    settings: Any = SimpleNamespace(
        described=lambda _: {"shop-dev": model}, completed=lambda found, _: found, send=sent.append
    )
    replace(comparison(shop), settings=settings).create("shop-staging", like="shop-dev")
    [creation] = sent
    check_request(creation.operation, creation.request)
    assert creation.request["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert [one["filter"] for one in creation.request["imageTagMutabilityExclusionFilters"]] == ["latest"]


def test_nothing_is_made_like_a_repository_that_is_gone(shop: Shop) -> None:
    shop.says()
    with pytest.raises(ImageNotFoundError, match="shop-dev"):
        comparison(shop).create("shop-staging", like="shop-dev")


def test_a_rendered_lifecycle_policy_is_one_that_the_simulation_reads(shop: Shop) -> None:
    everything = Lifecycle(5, 7, (ExpiryRule("v*", 3), ExpiryRule("dev-*", days=9)), archives=True)
    for lifecycle in (everything, replace(everything, not_pulled_days=30)):
        document = lifecycle_document(lifecycle)
        assert document is not None
        rules = parse_lifecycle(json.dumps(document).encode())
        assert [rule.as_json() for rule in rules] == document["rules"]


def test_a_long_name_of_a_setting_is_apart_from_its_value() -> None:
    change = Change("(registry)", "cache docker-hub-mirror", None, "registry-1.docker.io", "create", {})
    _, line = lines(SettingsPlan("(registry)", (change,)))
    assert line == "  ~ cache docker-hub-mirror none → registry-1.docker.io"
