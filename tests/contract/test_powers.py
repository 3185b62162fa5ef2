"""The policies in docs/powers/ for people to attach: for each power, for the organisation, and for dead letters."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from imagegate.grants.power import Power
from sandbox.aws.iam.policies import is_permitted
from tests.contract.test_template import RESOURCES, TEMPLATE

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/powers"
DECIDE = "arn:aws:lambda:eu-central-1:123456789012:function:imagegate-decide"
START = "arn:aws:lambda:eu-central-1:123456789012:function:imagegate-StartReleaseFunction-abc"
ROLE = "arn:aws:iam::123456789012:role/"
ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
IAM_URL, BY_URL = {"lambda:FunctionUrlAuthType": "AWS_IAM"}, {"lambda:InvokedViaFunctionUrl": "true"}


def statements(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / name).read_text())["Statement"]
    return found


def test_each_power_has_a_policy_an_alias_and_a_url() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {
        *Power,
        "audit",
        "cleanup",
        "only-by-url.scp",
        "dead-letters",
        "read",
        "access",
        "baseline",
        "scan",
    }
    aliases = {one["Properties"]["Name"] for one in RESOURCES.values() if one["Type"] == "AWS::Lambda::Alias"}
    urls = [one["Properties"] for one in RESOURCES.values() if one["Type"] == "AWS::Lambda::Url"]
    assert aliases >= set(Power)
    assert {(url["Qualifier"], url["AuthType"]) for url in urls} == {(str(one), "AWS_IAM") for one in Power}
    assert {power.output for power in Power} <= set(TEMPLATE["Outputs"])


@pytest.mark.parametrize("power", list(Power))
def test_a_power_is_used_by_its_url_alone(power: Power) -> None:
    granted = statements(f"{power}.json")
    for other in (*Power, "live", "by-link", "1"):
        arn = f"{DECIDE}:{other}"
        assert is_permitted(granted, "lambda:InvokeFunctionUrl", arn, IAM_URL) is (other == power)
        assert is_permitted(granted, "lambda:InvokeFunction", arn, BY_URL) is (other == power)
        assert not is_permitted(granted, "lambda:InvokeFunction", arn, {})
    assert not is_permitted(granted, "lambda:InvokeFunctionUrl", f"{DECIDE}:{power}", {})


@pytest.mark.parametrize("via", [{}, {"lambda:InvokedViaFunctionUrl": "false"}], ids=["absent", "false"])
@pytest.mark.parametrize("alias", ["", ":live", ":1", *(f":{power}" for power in Power)])
def test_the_organisation_refuses_every_other_way(alias: str, via: dict[str, str]) -> None:
    both = [ALLOW, *statements("only-by-url.scp.json")]
    admin = {"aws:PrincipalArn": f"{ROLE}Administrator"}
    assert not is_permitted(both, "lambda:InvokeFunction", DECIDE + alias, admin | via)
    assert is_permitted(both, "lambda:InvokeFunction", DECIDE + alias, admin | BY_URL)
    assert is_permitted(both, "lambda:InvokeFunctionUrl", DECIDE + alias, admin | IAM_URL)


def test_the_gates_own_calls_go_on_under_it() -> None:
    both = [ALLOW, *statements("only-by-url.scp.json")]

    def may(role: str, arn: str) -> bool:
        return is_permitted(both, "lambda:InvokeFunction", arn, {"aws:PrincipalArn": f"{ROLE}{role}"})

    assert may("imagegate-ApprovalPageRole-abc", f"{DECIDE}:by-link")
    for caller in ("Decide", "Reconcile", "OnScanCompleted"):
        assert may(f"imagegate-{caller}Role-abc", f"{START}:requests")
    for arn in (f"{START}:requests", f"{START}:live", START):
        assert not may("Administrator", arn)
    assert may("Administrator", "arn:aws:lambda:eu-central-1:123456789012:function:other")


READ = {
    "ecr:DescribeImages": "arn:aws:ecr:eu-central-1:123456789012:repository/shop-dev",
    "ecr:DescribeImageScanFindings": "arn:aws:ecr:eu-central-1:123456789012:repository/shop-dev",
    "ecr:DescribeRepositories": "arn:aws:ecr:eu-central-1:123456789012:repository/*",
    "ecr:BatchGetImage": "arn:aws:ecr:eu-central-1:123456789012:repository/shop-dev",
    "dynamodb:Query": "arn:aws:dynamodb:eu-central-1:123456789012:table/imagegate-Ledger-1",
    "s3:GetObject": "arn:aws:s3:::imagegate-records-1/decisions/sha256/0.json",
    "states:GetExecutionHistory": "arn:aws:states:eu-central-1:123456789012:execution:imagegate-release:1",
}


@pytest.mark.parametrize("action", READ)
def test_readers_may_read(action: str) -> None:
    assert is_permitted(statements("read.json"), action, READ[action], {})


def test_who_applies_a_baseline_may_make_all_its_calls() -> None:
    changes = "".join(path.read_text() for path in (ROOT / "layers/core/imagegate/baseline").glob("*.py"))
    reads = (ROOT / "layers/core/imagegate/aws/ecr/settings.py").read_text()
    verbs = "put|set|delete|create|update|tag|untag"
    operations = re.findall(rf'"((?:{verbs})_\w+)"', changes) + re.findall(
        r'(?:read|_listed)\("(\w+)"', reads
    )
    operations += [f"{verb}_repository_creation_template" for verb in ("create", "update")]
    actions = {f"ecr:{one.title().replace('_', '')}" for one in operations if one != "tag_mutability"}
    assert len(actions) > 15
    for action in actions:
        assert is_permitted(statements("baseline.json"), action, READ["ecr:DescribeImages"], {}), action


def test_readers_change_nothing() -> None:
    reading = ("Describe", "Get", "BatchGet", "Query", "Scan", "List")
    actions = [one["Action"] for one in statements("read.json")]
    flat = [name for one in actions for name in ([one] if isinstance(one, str) else one)]
    assert [name for name in flat if not name.partition(":")[2].startswith(reading)] == []


def test_who_audits_may_make_all_its_calls_and_change_nothing_but_the_report() -> None:
    sources = [ROOT / f"layers/core/imagegate/aws/{name}.py" for name in ("audit/settings", "ecr/settings")]
    text = "".join(path.read_text() for path in sources)
    reads = re.findall(r'(?:read|_listed|_document)\("((?:describe|get|list|batch_get)_\w+)"', text)
    actions = {f"ecr:{one.title().replace('_', '')}" for one in reads}
    assert len(actions) > 8
    granted = statements("audit.json")
    for action in actions:
        assert is_permitted(granted, action, READ["ecr:DescribeImages"], {}), action
    flat = [
        name
        for one in granted
        for name in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    ]
    changing = [
        name
        for name in flat
        if not name.partition(":")[2].startswith(("Describe", "Get", "BatchGet", "Query", "List"))
    ]
    assert changing == [
        *("sts:AssumeRole", "s3:PutObject", "securityhub:BatchImportFindings"),
        *("iam:GenerateCredentialReport", "iam:SimulatePrincipalPolicy"),  # these only tell
    ]
    assert not is_permitted(granted, "s3:PutObject", READ["s3:GetObject"], {})
