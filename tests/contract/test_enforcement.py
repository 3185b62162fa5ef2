"""The templates, commands and policies that the how-to pages give: AWS takes them, and they do what the page says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from moto.events.models import EventPattern
from samtranslator.yaml_helper import yaml_parse

from sandbox.aws.iam.policies import is_permitted
from tests.contract.test_fidelity import is_there, paths_in
from tests.contract.test_template import RESOURCES, TEMPLATE, actions, statements

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs/how-to" / name for name in ("check-deployments.md", "let-only-the-gate-sign.md")]
PAGE = "\n".join(page.read_text() for page in PAGES)
ACCOUNT = "123456789012"
SIGN = f"arn:aws:iam::{ACCOUNT}:role/imagegate-SignImageRole-EXAMPLE"
DECIDE = f"arn:aws:iam::{ACCOUNT}:role/imagegate-DecideRole-EXAMPLE"
PUBLISH = f"arn:aws:iam::{ACCOUNT}:role/imagegate-PublishPolicyRole-EXAMPLE"
DEPLOY = f"arn:aws:iam::{ACCOUNT}:role/imagegate-deploy"
ADMIN = f"arn:aws:iam::{ACCOUNT}:role/Administrator"
PROFILE = f"arn:aws:signer:eu-central-1:{ACCOUNT}:/signing-profiles/imagegate__production"
# Organizations user guide, "SCP syntax" and "Quotas for AWS Organizations".
SCP_ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
LONGEST_SCP = 5120
USES = {
    *("SignPayload", "StartSigningJob", "PutSigningProfile", "CancelSigningProfile", "RevokeSignature"),
    *("RevokeSigningProfile", "AddProfilePermission", "RemoveProfilePermission"),
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def model_of(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"))


HOOK, ALARM = blocks("yaml")
[SCP_TEXT] = blocks("json")
SCP: dict[str, Any] = json.loads(SCP_TEXT)
STATEMENTS: list[dict[str, Any]] = SCP["Statement"]


@pytest.mark.parametrize("text", [HOOK, ALARM], ids=["hook", "alarm"])
def test_cloudformation_accepts_the_templates(text: str, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(text)
    linter = Path(sys.executable).parent / "cfn-lint"
    done = subprocess.run([linter, file], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.returncode) == ("", 0)
    # CloudFormation user guide, "Template format": no aliases.
    assert not re.search(r"(^|\s)[&*][A-Za-z]", re.sub(r"#.*", "", text))


def test_the_hook_is_attached_as_the_function_expects_it() -> None:
    service = yaml_parse(HOOK)["Resources"]["Service"]["Properties"]
    [hook] = service["DeploymentConfiguration"]["LifecycleHooks"]
    assert hook["LifecycleStages"] == ["PRE_SCALE_UP"]
    assert "CheckDeploymentFunction" in TEMPLATE["Outputs"]


def test_amazon_ecs_accepts_the_documented_command_line() -> None:
    script = blocks("bash")[0].replace("'\"$FUNCTION\"'", "arn:function").replace("'\"$ROLE\"'", "arn:role")
    documents = [json.loads(text) for text in re.findall(r"'(\{.*?\})'", script, re.DOTALL)]
    assert len(documents) == 3
    model = model_of("ecs")
    request = {"service": "web", "cluster": "prod", "deploymentConfiguration": documents[2]}
    shape = model.operation_model("UpdateService").input_shape
    assert shape is not None
    assert ParamValidator().validate(request, shape).generate_report() == ""
    [hook] = documents[2]["lifecycleHooks"]
    assert hook == {
        "hookTargetArn": "arn:function",
        "roleArn": "arn:role",
        "lifecycleStages": ["PRE_SCALE_UP"],
    }
    [may] = documents[1]["Statement"]
    assert (may["Action"], may["Resource"]) == ("lambda:InvokeFunction", "arn:function")


# The service control policy


def test_the_policy_is_one_that_organizations_takes() -> None:
    assert set(SCP) == {"Version", "Statement"}
    assert SCP["Version"] == "2012-10-17"
    assert len(json.dumps(SCP, separators=(",", ":"))) <= LONGEST_SCP
    sids = [statement["Sid"] for statement in STATEMENTS]
    assert len(set(sids)) == len(sids)
    for statement in STATEMENTS:
        assert set(statement) <= SCP_ELEMENTS, "an SCP names no principals"
        assert re.fullmatch(r"[A-Za-z0-9]+", statement["Sid"])
        assert statement["Effect"] == "Deny"
        assert {"Action", "Resource"} <= set(statement)
        for arn in _listed(statement["Resource"]):
            assert arn == "*" or re.fullmatch(r"arn:aws:[a-z]+:[a-z0-9*-]*:\d{12}:\S+", arn), arn
        for operator, keys in statement["Condition"].items():
            assert operator in {"ArnNotEquals", "StringEquals"}
            assert set(keys) <= {"aws:PrincipalArn", "aws:PrincipalAccount"}


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("action", [one for s in STATEMENTS for one in _listed(s["Action"])])
def test_every_action_of_the_policy_exists(action: str) -> None:
    service, _, operation = action.partition(":")
    if action == "iam:PassRole":  # no operation, but a permission
        return
    model = model_of(service)
    # Lambda's operation names have dates in botocore's model, its permissions have not.
    assert operation in {re.sub(r"\d{8}(v\d)?$", "", name) for name in model.operation_names}


def allowed(principal: str, action: str, resource: str, account: str = ACCOUNT) -> bool:
    """Return whether the policy allows it to a caller whose own policies allow everything."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    context = {"aws:PrincipalArn": principal, "aws:PrincipalAccount": account}
    return is_permitted([everything, *STATEMENTS], action, resource, context)


@pytest.mark.parametrize("operation", sorted(USES))
def test_nobody_but_the_gate_uses_the_profiles(operation: str) -> None:
    action = f"signer:{operation}"
    resource = {
        "RevokeSignature": f"arn:aws:signer:eu-central-1:{ACCOUNT}:/signing-jobs/1",
        "PutSigningProfile": "*",
    }.get(operation, PROFILE)
    allowed_for = {"PutSigningProfile": PUBLISH, "RevokeSignature": DECIDE}.get(operation, SIGN)
    assert allowed(allowed_for, action, resource)
    for other in (ADMIN, DEPLOY, f"arn:aws:iam::{ACCOUNT}:user/ann", f"arn:aws:iam::{ACCOUNT}:root"):
        assert not allowed(other, action, resource), other
    for role in {SIGN, DECIDE, PUBLISH} - {allowed_for}:
        assert not allowed(role, action, resource)


def test_profiles_of_others_are_not_restricted() -> None:
    assert allowed(ADMIN, "signer:SignPayload", PROFILE.replace("imagegate__", "firmware_"))
    assert allowed(ADMIN, "signer:GetSigningProfile", PROFILE)
    other = "999999999999"
    assert allowed(f"arn:aws:iam::{other}:role/x", "signer:PutSigningProfile", "*", other)
    assert not allowed(f"arn:aws:iam::{other}:role/x", "signer:SignPayload", f"{PROFILE}/1", other)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:UpdateAssumeRolePolicy", SIGN),
        ("iam:PassRole", SIGN),
        ("iam:PutRolePolicy", PUBLISH),
        ("iam:PutRolePolicy", DECIDE),
        (
            "lambda:UpdateFunctionCode",
            f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:imagegate-SignImageFunction-X",
        ),
    ],
)
def test_only_a_deploy_changes_the_signer(action: str, resource: str) -> None:
    assert allowed(DEPLOY, action, resource)
    assert not allowed(ADMIN, action, resource)
    assert allowed(ADMIN, action, resource.replace("imagegate-", "shop-"))


def test_the_names_in_the_policy_are_those_that_the_stack_makes() -> None:
    for function in ("SignImage", "PublishPolicy", "Decide"):
        assert f"imagegate-{function}Role-" in SCP_TEXT
        assert f"{function}Role" in RESOURCES
        paths_in = RESOURCES[f"{function}Function"]["Properties"].get("FunctionName")
        name = paths_in["Fn::Sub"].removeprefix("${AWS::StackName}") if paths_in else f"-{function}Function-*"
        assert f'function:imagegate{name}"' in SCP_TEXT
    for output in re.findall(r"[Oo]utputs?,? `(\w+)`(?: and `(\w+)`)?", PAGE):
        assert {name for name in output if name} <= set(TEMPLATE["Outputs"])
    # The roles that the policy spares have no more than this from the stack itself.
    used = {
        role: [a for s in statements(role) for a in actions(s) if a.startswith("signer:")]
        for role in RESOURCES
        if role in ("SignImageRole", "PublishPolicyRole", "DecideRole")
    }
    assert set(used["DecideRole"]) == {
        "signer:DescribeSigningJob",
        "signer:RevokeSignature",
        "signer:GetRevocationStatus",
    }
    assert used["PublishPolicyRole"] == ["signer:GetSigningProfile", "signer:PutSigningProfile"]
    assert "signer:SignPayload" in used["SignImageRole"]


# The alarm


def pattern() -> EventPattern:
    resources = yaml_parse(ALARM)["Resources"]
    text = json.dumps(resources["SomebodyElseSigns"]["Properties"]["EventPattern"])
    for name, arn in (("SignImageRole", SIGN), ("DecideRole", DECIDE), ("PublishPolicyRole", PUBLISH)):
        text = text.replace(json.dumps({"Ref": name}), json.dumps(arn))
    assert "Ref" not in text
    return EventPattern.load(text)


def recorded(operation: str, role: str | None, **more: Any) -> dict[str, Any]:
    """Return the record of CloudTrail (user guide, "CloudTrail userIdentity element")."""
    session = {"sessionContext": {"sessionIssuer": {"type": "Role", "arn": role}}} if role else {}
    identity = {"type": "AssumedRole" if role else "IAMUser", "arn": "arn:aws:sts::1:x", **session}
    detail = {"eventSource": "signer.amazonaws.com", "eventName": operation, "userIdentity": identity, **more}
    return {"source": "aws.signer", "detail-type": "AWS API Call via CloudTrail", "detail": detail}


@pytest.mark.parametrize("operation", sorted(USES))
def test_the_rule_tells_of_everybody_else(operation: str) -> None:
    rule = pattern()
    assert rule.matches_event(recorded(operation, ADMIN))
    assert rule.matches_event(recorded(operation, None))
    assert rule.matches_event(recorded(operation, ADMIN, errorCode="AccessDenied"))
    for role in (SIGN, DECIDE, PUBLISH):
        assert not rule.matches_event(recorded(operation, role))


def test_the_rule_tells_of_uses_only() -> None:
    assert not pattern().matches_event(recorded("GetSigningProfile", ADMIN))
    assert not pattern().matches_event({**recorded("SignPayload", ADMIN), "source": "aws.ecs"})


def test_the_message_is_text_that_a_person_can_read() -> None:
    resources = yaml_parse(ALARM)["Resources"]
    [target] = resources["SomebodyElseSigns"]["Properties"]["Targets"]
    template, paths = target["InputTransformer"]["InputTemplate"], target["InputTransformer"]["InputPathsMap"]
    assert set(re.findall(r"<(\w+)>", template)) == set(paths)
    assert all(re.fullmatch(r'"[^"]+"', line) for line in template.splitlines())


# The page


def test_every_test_and_file_that_the_page_names_exists() -> None:
    assert sorted(name for name in set(paths_in(PAGE)) if not is_there(name)) == []
    for parameter in ("DeploymentCheck", "DeploymentCheckOnError", "DeploymentCheckAllowedImages"):
        assert f"`{parameter}`" in PAGE
        assert parameter in TEMPLATE["Parameters"]
    anchors = {
        re.sub(r"[^a-z ]", "", line.lower()).strip().replace(" ", "-")
        for line in PAGE.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([a-z-]+)\)", PAGE)) <= anchors
