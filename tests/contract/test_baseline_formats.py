"""`imagegate baseline export`: valid by the schemas of CloudFormation and Terraform, and what `apply` makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint

from imagegate.baseline.account import plan_signing
from imagegate.baseline.terms import SigningRule
from tests.component.baselines import Shop, document, gate, statement
from tests.component.test_baseline import OPTIONS as OF_REPOSITORIES
from tests.contract import test_sandbox_baseline
from tests.contract.test_sandbox_baseline import EXAMPLES, PROFILE, SECRET, shop

__all__ = ["gate", "shop"]

SCHEMA = json.loads((Path(__file__).parent / "fixtures" / "terraform_ecr.json").read_text())["resources"]
# A directory with the provider hashicorp/aws, as `terraform init -plugin-dir` takes it.
PLUGINS = os.environ.get("IMAGEGATE_TERRAFORM_PLUGINS", "")
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1f0c2a9e-0000-4000-8000-000000000000"
ROLE = test_sandbox_baseline.ROLE
THEIRS = statement("Theirs", "ecr:BatchGetImage", principal={"AWS": "arn:aws:iam::333333333333:root"})
OF_THE_REGISTRY: dict[str, Any] = {
    "scanning": "enhanced",
    "replication": [
        {"to": [{"region": "eu-west-1"}], "prefixes": ["prod/"]},
        {"to": [{"region": "us-east-1"}]},
    ],
    "replication_from": ["210987654321"],
    "pull_through_cache": {
        "docker-hub": {"upstream": "docker-hub", "credentials": SECRET},
        "central": {"upstream": "210987654321.dkr.ecr.eu-west-1.amazonaws.com", "role": ROLE},
    },
    "template_role": ROLE,
    "managed_signing": [{"profile": PROFILE, "repositories": ["tools/*"]}],
    "account": {"basic_scanning": "AWS_NATIVE", "policy_scope": "V2", "blob_mounting": True},
}


def every_option(shop: Shop) -> list[str]:
    """Deploy a baseline with each option of a repository in a repository of its own, and all of the registry's."""
    own = {f"option/{number}": terms for number, terms in enumerate(OF_REPOSITORIES.values())}
    own["option/key"] = {"encryption": {"type": "KMS", "key": KEY}}
    own["option/archive"] = {"lifecycle": {"not_pulled_days": 60, "untagged_days": 7}}
    templates = {
        "team/*": {"preset": "production", "create_on_push": True},
        "*": {"tag_mutability": {"mode": "immutable", "except": ["latest"]}, "create_on_push": True},
    }
    frequencies = {"staging": {"scanning": "on_push"}, "production": {"scanning": "continuous"}}
    shop.says(registry=OF_THE_REGISTRY, stages=frequencies, repositories={**templates, **own})
    return ["(registry)", *own]


def exported(shop: Shop, language: str, *names: str) -> Any:
    result = shop.gate.call("baseline", "export", "--format", language, *names)
    assert result.code == 0, result
    return result.json


def cloudformation_faults(template: Any) -> list[str]:
    found = lint(json.dumps(template), regions=["eu-central-1"])
    return [str(match) for match in found if not match.rule.id.startswith("I")]


def terraform_faults(configuration: Any) -> list[str]:
    """Return the arguments and blocks that the provider does not have, and those that it needs."""
    return [
        f"{kind}: {fault}"
        for kind, resources in configuration["resource"].items()
        for resource in resources.values()
        for fault in _faults(SCHEMA[kind], {key: one for key, one in resource.items() if key != "lifecycle"})
    ]


def _faults(schema: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    arguments, blocks = schema["arguments"], schema.get("blocks", {})
    faults = [f"no {name}" for name in given.keys() - arguments.keys() - blocks.keys()]
    faults += [
        f"needs {name}"
        for name, is_needed in arguments.items()
        if is_needed == "required" and name not in given
    ]
    faults += [f"{name} is a list of blocks" for name in blocks if not isinstance(given.get(name, []), list)]
    nested = [(blocks[name], one) for name in blocks.keys() & given.keys() for one in given[name]]
    return faults + [fault for block, one in nested for fault in _faults(block, one)]


def test_every_option_is_valid_in_both_languages(shop: Shop) -> None:
    names = every_option(shop)
    template = exported(shop, "cloudformation", *names)
    assert cloudformation_faults(template) == []
    kinds = {one["Type"].rpartition(":")[2] for one in template["Resources"].values()}
    assert kinds == {
        *("Repository", "RegistryPolicy", "RegistryScanningConfiguration", "ReplicationConfiguration"),
        *("SigningConfiguration", "PullThroughCacheRule", "RepositoryCreationTemplate"),
    }
    assert len(template["Metadata"]["imagegate"]["NotInCloudFormation"]) == 3
    configuration = exported(shop, "terraform", *names)
    assert terraform_faults(configuration) == []
    assert configuration["resource"].keys() == SCHEMA.keys() - {"aws_ecr_lifecycle_policy_document"}
    assert len(configuration["resource"]["aws_ecr_repository"]) == len(names) - 1


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_examples_are_valid_in_both_languages(shop: Shop, file: Path) -> None:
    shop.gate.policy_content = file.read_bytes()
    policy = yaml.safe_load(file.read_text())
    names = [stage["repositories"].replace("{app}", "shop") for stage in policy["stages"].values()]
    names += [
        "(registry)",
        *(glob.replace("*", "shop") for glob in policy["baseline"].get("repositories", ())),
    ]
    assert cloudformation_faults(exported(shop, "cloudformation", *names)) == []
    assert terraform_faults(exported(shop, "terraform", *names)) == []


def test_a_fault_is_found() -> None:
    """Check the checks."""
    wrong = {"resource": {"aws_ecr_repository": {"a": {"names": "a", "encryption_configuration": {}}}}}
    assert len(terraform_faults(wrong)) == 3
    bucket = {"Type": "AWS::ECR::Repository", "Properties": {"ImageTagMutability": "SOMETIMES"}}
    assert cloudformation_faults({"Resources": {"A": bucket}})


@pytest.mark.parametrize("language", ["cloudformation", "terraform"])
def test_the_template_says_the_same_before_and_after_the_baseline_is_applied(
    shop: Shop, language: str
) -> None:
    names = every_option(shop)
    before = exported(shop, language, *names)
    assert shop.apply(*names).code == 0
    after = exported(shop, language, *names)
    imported = after.pop("import", [])
    earlier = before.pop("import", [])
    assert with_defaults(before, after) == after
    if language == "terraform":
        resources = [f"{kind}.{name}" for kind, one in after["resource"].items() for name in one]
        assert sorted(one["to"] for one in imported) == sorted(resources)
        assert len(earlier) < len(imported)


def with_defaults(before: Any, after: Any) -> Any:
    """Return the first one with the values that only the second has: what ECR sets where nobody says anything."""
    if isinstance(before, dict) and isinstance(after, dict):
        return after | {key: with_defaults(one, after.get(key)) for key, one in before.items()}
    return before


def test_an_existing_repository_keeps_what_the_baseline_does_not_name(shop: Shop) -> None:
    shop.makes(
        "shop-dev",
        imageTagMutability="IMMUTABLE",
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": KEY},
        tags=[{"Key": "Team", "Value": "a"}],
    )
    shop.ecr.set_repository_policy(repositoryName="shop-dev", policyText=document(THEIRS))
    shop.says(stages={"dev": {"tags": {"Owner": "b"}, "encryption": "AES256", **OF_REPOSITORIES["readers"]}})
    [resource] = exported(shop, "cloudformation", "shop-dev")["Resources"].values()
    properties = resource["Properties"]
    assert properties["ImageTagMutability"] == "IMMUTABLE"
    assert properties["EncryptionConfiguration"] == {"EncryptionType": "KMS", "KmsKey": KEY}
    assert {one["Key"]: one["Value"] for one in properties["Tags"]} == {"Team": "a", "Owner": "b"}
    assert [one["Sid"] for one in properties["RepositoryPolicyText"]["Statement"]] == [
        "Theirs",
        "ImagegateRead",
    ]
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def test_rules_of_others_are_in_the_documents_of_the_registry(shop: Shop) -> None:
    every_option(shop)
    text = json.dumps(exported(shop, "cloudformation", "(registry)"))
    for theirs in (
        "theirs/*",
        "theirs/",
        '"Theirs"',
        test_sandbox_baseline.SIGNED_BY_THEM["signingProfileArn"],
    ):
        assert theirs in text


def test_terraform_takes_variables_of_policies_as_they_are(shop: Shop) -> None:
    shop.makes("shop-dev")
    theirs = {**THEIRS, "Condition": {"StringLike": {"aws:PrincipalTag/x": ["${aws:username}", "%{a}"]}}}
    shop.ecr.set_repository_policy(repositoryName="shop-dev", policyText=document(theirs))
    shop.says(stages={"dev": OF_REPOSITORIES["readers"]})
    [policy] = exported(shop, "terraform", "shop-dev")["resource"]["aws_ecr_repository_policy"].values()
    assert "$${aws:username}" in policy["policy"]
    assert "%%{a}" in policy["policy"]
    assert policy["repository"].startswith("${aws_ecr_repository.")


def test_names_that_look_alike_have_resources_of_their_own(shop: Shop) -> None:
    shop.says(repositories={"a*": {"scan_on_push": True}})
    names = ("a-b", "a/b", "a_b")
    assert len(exported(shop, "cloudformation", *names)["Resources"]) == 3
    assert len(exported(shop, "terraform", *names)["resource"]["aws_ecr_repository"]) == 3


def test_without_a_rule_of_signing_nothing_is_planned_for_it() -> None:
    assert list(plan_signing([], [{"signingProfileArn": PROFILE}], is_whole=True)) == []
    assert (
        len(list(plan_signing([SigningRule(PROFILE)], [{"signingProfileArn": PROFILE}], is_whole=True))) == 1
    )


def test_terraform_itself_finds_it_valid(shop: Shop, tmp_path: Path) -> None:
    """Needs Terraform, and the provider in the directory that IMAGEGATE_TERRAFORM_PLUGINS names."""
    if not PLUGINS or not shutil.which("terraform"):
        pytest.skip("no terraform with the provider hashicorp/aws is here")
    configuration = exported(shop, "terraform", *every_option(shop))
    provider = next(Path(PLUGINS).glob("registry.terraform.io/hashicorp/aws/*")).name
    del configuration["terraform"]["required_providers"]["aws"]["version"]
    if provider.startswith("5."):
        _drop_what_is_newer(configuration)
    (tmp_path / "baseline.tf.json").write_text(json.dumps(configuration))
    for command in (["init", "-input=false", f"-plugin-dir={PLUGINS}"], ["validate"]):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        done = subprocess.run(
            ["terraform", *command, "-no-color"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _drop_what_is_newer(configuration: Any) -> None:
    """Leave out what version 5 of the provider does not know yet."""
    resources = configuration["resource"]
    del resources["aws_ecr_signing_configuration"]
    resources["aws_ecr_account_setting"].pop("blob_mounting")
    for one in (
        *resources["aws_ecr_repository"].values(),
        *resources["aws_ecr_repository_creation_template"].values(),
    ):
        if one.pop("image_tag_mutability_exclusion_filter", None):
            one["image_tag_mutability"] = one["image_tag_mutability"].removesuffix("_WITH_EXCLUSION")
    for one in resources["aws_ecr_repository_creation_template"].values():
        one["applied_for"] = ["REPLICATION"]
    gone = ("aws_ecr_signing_configuration", "aws_ecr_account_setting.blob_mounting")
    configuration["import"] = [one for one in configuration["import"] if not one["to"].startswith(gone)]
