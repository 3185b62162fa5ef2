"""`imagegate baseline` over the sandbox's ECR, which has what moto lacks: the registry, presets and the archive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import yaml

from imagegate.aws import clients as aws
from imagegate.aws.ecr.settings import EcrSettings
from imagegate.baseline.plan import Change, SettingsPlan
from imagegate.baseline.repository_policy import GateRegistry
from imagegate.policy.file.load import parse_file
from imagegate.workflow.settings.compare import CompareSettings
from imagegate_cli.baseline.planning import Failure, Planner
from sandbox.settings import ACCOUNT
from tests.component.baselines import GATE_ROLE, Shop, document, gate
from tests.component.cli_gate import CliGate
from tests.contract.registry_sandbox import Sandbox

__all__ = ["gate"]

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples" / "policies").glob("baseline*.yaml"))
ROLE = f"arn:aws:iam::{ACCOUNT}:role/templates"
SECRET = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:ecr-pullthroughcache/hub-a1b2c3"
PROFILE = f"arn:aws:signer:eu-central-1:{ACCOUNT}:/signing-profiles/builds"
SIGNED_BY_THEM = {"signingProfileArn": f"{PROFILE}_of_others"}
THEIRS = {
    "destinations": [{"region": "ap-southeast-1", "registryId": ACCOUNT}],
    "repositoryFilters": [{"filter": "theirs/", "filterType": "PREFIX_MATCH"}],
}
# One section for each setting of the registry, and each form that it can have.
OPTIONS: dict[str, dict[str, Any]] = {
    "enhanced scanning by frequency": {
        "registry": {"scanning": "enhanced"},
        "stages": {"staging": {"scanning": "on_push"}, "production": {"scanning": "continuous"}},
    },
    "basic scanning": {"registry": {"scanning": "basic"}, "stages": {"dev": {"scanning": "on_push"}}},
    "no scanning": {"registry": {"scanning": "enhanced"}, "repositories": {"tmp/*": {"scanning": "manual"}}},
    "replication": {
        "registry": {
            "replication": [
                {"to": [{"region": "us-east-1"}], "prefixes": ["prod/"]},
                {"to": [{"region": "eu-west-1"}, {"region": "eu-west-1", "account": "210987654321"}]},
            ]
        }
    },
    "replication from accounts": {"registry": {"replication_from": ["210987654321"]}},
    "caches": {
        "registry": {
            "pull_through_cache": {
                "docker-hub": {"upstream": "docker-hub", "credentials": SECRET},
                "k8s": {"upstream": "k8s"},
                "central": {"upstream": "210987654321.dkr.ecr.eu-west-1.amazonaws.com", "role": ROLE},
            }
        }
    },
    "templates": {
        "registry": {"template_role": ROLE, "scanning": "enhanced"},
        "repositories": {
            "team/*": {"preset": "production", "create_on_push": True},
            "*": {"tag_mutability": {"mode": "immutable", "except": ["latest"]}, "create_on_push": True},
        },
    },
    "managed signing": {
        "registry": {
            "managed_signing": [{"profile": PROFILE, "repositories": ["tools/*"]}, {"profile": PROFILE}]
        }
    },
    "account settings": {
        "registry": {
            "account": {"basic_scanning": "AWS_NATIVE", "policy_scope": "V2", "blob_mounting": False}
        }
    },
    "development": {"stages": {"dev": {"preset": "development"}}},
    "staging": {"registry": {"scanning": "enhanced"}, "stages": {"staging": {"preset": "staging"}}},
    "production": {"registry": {"scanning": "enhanced"}, "stages": {"production": {"preset": "production"}}},
    "archive": {"stages": {"dev": {"lifecycle": {"not_pulled_days": 60, "untagged_days": 7}}}},
}


@pytest.fixture
def shop(sandbox: Sandbox, gate: CliGate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Let the command line call a registry of its own state, and leave it as others expect it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", sandbox.settings.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", sandbox.settings.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", sandbox.admin["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", sandbox.admin["aws_secret_access_key"])
    gate.outputs["PushRoles"] = GATE_ROLE
    aws.forget()
    ecr = sandbox.client("ecr")
    for one in ecr.describe_repositories()["repositories"]:
        ecr.delete_repository(repositoryName=one["repositoryName"], force=True)
    ecr.put_replication_configuration(replicationConfiguration={"rules": [THEIRS]})
    ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[scan_rule("SCAN_ON_PUSH", "theirs/*")])
    ecr.put_registry_policy(policyText=registry_policy("Theirs"))
    ecr.put_signing_configuration(signingConfiguration={"rules": [SIGNED_BY_THEM]})
    ecr.put_account_setting(name="REGISTRY_POLICY_SCOPE", value="V1")
    ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    yield Shop(gate, ecr)
    ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[])
    ecr.put_replication_configuration(replicationConfiguration={"rules": []})
    ecr.delete_registry_policy()
    ecr.delete_signing_configuration()
    aws.forget()


def scan_rule(frequency: str, *filters: str) -> dict[str, Any]:
    listed = [{"filter": one, "filterType": "WILDCARD"} for one in filters]
    return {"scanFrequency": frequency, "repositoryFilters": listed}


def registry_policy(sid: str) -> str:
    resource = f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/*"
    principal = {"AWS": "arn:aws:iam::333333333333:root"}
    statement = {"Sid": sid, "Effect": "Allow", "Principal": principal, "Resource": resource}
    return document({**statement, "Action": ["ecr:ReplicateImage"]})


@pytest.mark.parametrize("baseline", OPTIONS.values(), ids=OPTIONS)
def test_after_the_plan_is_applied_the_plan_is_empty_and_rules_of_others_are_there(
    shop: Shop, baseline: dict[str, Any]
) -> None:
    names = ("shop-dev", "shop-staging", "shop-production")
    shop.says(**baseline)
    shop.plan()
    assert shop.apply().code == 0
    for name in names:
        if any(name.endswith(stage) for stage in baseline.get("stages", {})):
            assert shop.apply(name).code == 0
    left = shop.plan()
    assert left["changes"] == []
    assert left["failures"] == []
    rules_of_others_are_there(shop)


def test_a_rule_that_somebody_adds_in_between_is_not_lost(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.says(**OPTIONS["replication"])
    more = {"destinations": [{"region": "us-west-2", "registryId": ACCOUNT}]}
    read, reads = EcrSettings.registry, []

    def read_and_meddle(self: EcrSettings, **needs: Any) -> Any:
        reads.append(needs)
        if len(reads) == 2:
            shop.ecr.put_replication_configuration(replicationConfiguration={"rules": [THEIRS, more]})
        return read(self, **needs)

    monkeypatch.setattr(EcrSettings, "registry", read_and_meddle)
    assert shop.apply().code == 2
    rules = shop.ecr.describe_registry()["replicationConfiguration"]["rules"]
    assert rules == [THEIRS, more]
    monkeypatch.undo()


def test_a_second_apply_sends_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.says(**OPTIONS["replication"])
    shop.apply()
    sent: list[Change] = []
    monkeypatch.setattr(EcrSettings, "send", lambda _self, change: sent.append(change))
    assert shop.apply().code == 0
    assert sent == []


def test_enhanced_scanning_looks_at_staging_and_production_alone(shop: Shop) -> None:
    stages = {name: {"preset": name} for name in ("staging", "production")}
    shop.says(registry={"scanning": "enhanced"}, stages={**stages, "dev": {"preset": "development"}})
    assert any("*-dev" in one["text"] for one in shop.plan()["remarks"])
    shop.apply()
    rules = shop.ecr.get_registry_scanning_configuration()["scanningConfiguration"]["rules"]
    assert {
        rule["scanFrequency"]: [one["filter"] for one in rule["repositoryFilters"]] for rule in rules
    } == {
        "SCAN_ON_PUSH": ["theirs/*", "*-staging"],
        "CONTINUOUS_SCAN": ["*-production"],
    }


def test_what_a_registry_cannot_do_is_said(shop: Shop) -> None:
    shop.says(
        registry={"allowed_regions": ["eu-west-1"]},
        stages={"production": {"scanning": "continuous"}, "dev": {"create_on_push": True}},
    )
    texts = [one["text"] for one in shop.plan()["remarks"] if one["unmet"]]
    assert [text.split(":")[0] for text in texts] == [
        "continuous scanning needs registry",
        "a rule of somebody else copies images to ap-southeast-1, which allowed_regions does not have",
        "a template goes by the beginning of a name, up to a slash",
    ]


def test_a_template_of_somebody_else_keeps_what_it_is_for(shop: Shop) -> None:
    shop.ecr.create_repository_creation_template(
        prefix="mirror", appliedFor=["REPLICATION"], description="theirs", imageTagMutability="IMMUTABLE"
    )
    shop.says(repositories={"mirror/*": {"encryption": "AES256", "create_on_push": True}})
    shop.apply()
    templates = shop.ecr.describe_repository_creation_templates()["repositoryCreationTemplates"]
    [template] = [one for one in templates if one["prefix"] == "mirror"]
    assert template["appliedFor"] == ["CREATE_ON_PUSH", "REPLICATION"]
    assert (template["description"], template["imageTagMutability"]) == ("theirs", "IMMUTABLE")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_applied_in_full_once(shop: Shop, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apply each stage, each pattern, and the registry; the second time nothing is sent, and rules of others stay."""
    shop.gate.policy_content = file.read_bytes()
    policy = yaml.safe_load(file.read_text())
    names = [stage["repositories"].replace("{app}", "shop") for stage in policy["stages"].values()]
    names += [glob.replace("*", "shop") for glob in policy["baseline"].get("repositories", ())]
    names.append("(registry)")
    assert len(shop.plan(*names)["changes"]) >= len(names)
    for left in (shop.apply(*names).json, shop.plan(*names), shop.plan()):
        assert left["changes"] + left["failures"] == []
        unmet = [one["text"] for one in left["remarks"] if one["unmet"]]
        assert not [text for text in unmet if "ap-southeast-1" not in text], unmet  # their rule, not ours
    sent: list[Change] = []
    monkeypatch.setattr(EcrSettings, "send", lambda _self, change: sent.append(change))
    shop.apply(*names)
    assert sent == []
    rules_of_others_are_there(shop)


def rules_of_others_are_there(shop: Shop) -> None:
    assert THEIRS in shop.ecr.describe_registry()["replicationConfiguration"]["rules"]
    configuration = shop.ecr.get_registry_scanning_configuration()["scanningConfiguration"]
    assert "theirs/*" in json.dumps(configuration)
    assert "Theirs" in shop.ecr.get_registry_policy()["policyText"]
    assert SIGNED_BY_THEM in shop.ecr.get_signing_configuration()["signingConfiguration"]["rules"]


def test_two_appliers_at_once_end_in_one_state(shop: Shop) -> None:
    """Both see nothing of the baseline, and then change what they saw."""
    file = next(file for file in EXAMPLES if file.stem == "baseline-options")
    shop.gate.policy_content = file.read_bytes()
    parsed = parse_file(file.read_bytes())
    registry = GateRegistry(ACCOUNT, "eu-central-1", "aws", (GATE_ROLE,))
    appliers = [
        Planner(CompareSettings(*parsed, registry, EcrSettings()), lambda _seconds: None) for _ in range(2)
    ]
    names = ["(registry)", *(f"myproject-{stage}-shop" for stage in ("dev", "staging", "prod"))]
    plans = [[plan for plan in one.plans(names) if isinstance(plan, SettingsPlan)] for one in appliers]
    assert plans[0] == plans[1]
    both = Barrier(2)

    def apply(applier: Planner, planned: list[SettingsPlan]) -> list[SettingsPlan | Failure]:
        both.wait()
        return [applier.apply(plan) for plan in planned]

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(apply, appliers, plans))
    for one, other in zip(*results, strict=True):
        assert any(isinstance(left, SettingsPlan) and not left.changes for left in (one, other)), (one, other)
    assert shop.plan(*names)["changes"] == []
    rules_of_others_are_there(shop)
