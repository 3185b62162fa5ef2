"""A policy with a baseline, a registry in moto, and the command line that compares them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import yaml
from botocore.session import Session
from botocore.validate import ParamValidator
from moto import mock_aws

from imagegate.aws.ecr.settings import EcrSettings
from imagegate.baseline.plan import FoundRepository
from imagegate.baseline.terms import SettingsDocument
from tests.component.cli_gate import CliGate, Result, gate

__all__ = ["gate", "shop"]

GATE_ROLE = "arn:aws:iam::123456789012:role/imagegate-PromoteImageRole-x1"
STAGES = {
    "dev": {"repositories": "{app}-dev", "promotes_to": "staging"},
    "staging": {"repositories": "{app}-staging", "promotes_to": "production"},
    "production": {"repositories": "{app}-production"},
}
MODEL = Session().get_service_model("ecr")


@dataclass
class Shop:
    """A registry in moto whose baseline is `policy`."""

    gate: CliGate
    ecr: Any

    def says(self, **baseline: Any) -> None:
        """Deploy a policy with this section `baseline`."""
        policy = {"version": 1, "stages": STAGES, "baseline": baseline}
        self.gate.policy_content = yaml.safe_dump(policy, sort_keys=False).encode()

    def makes(self, *names: str, **options: Any) -> None:
        for name in names:
            self.ecr.create_repository(repositoryName=name, **options)

    def plan(self, *names: str) -> Any:
        """Return the plan as JSON; check that its requests are those of ECR's model, and its exit code."""
        result = self.gate.call("baseline", "plan", *names, "--json")
        for change in result.json["changes"]:
            check_request(change["operation"], change["request"])
        unmet = [one for one in result.json["remarks"] if one["unmet"]]
        failed = result.json["failures"]
        assert result.code == (2 if failed else 1 if result.json["changes"] or unmet else 0), result
        return result.json

    def found(self, name: str) -> FoundRepository:
        settings = EcrSettings()
        return settings.completed(settings.described([name])[name], tuple(SettingsDocument))

    def apply(self, *names: str) -> Result:
        return self.gate.call("baseline", "apply", *names, "--yes", "--json")


def check_request(operation: str, request: Any) -> None:
    """Fail for a request that ECR's service model does not have."""
    name = "".join(part.capitalize() for part in operation.split("_"))
    shape: Any = MODEL.operation_model(name).input_shape
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()


def statement(sid: str, *actions: str, principal: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": list(actions), **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def shop(gate: CliGate, aws_account: None) -> Iterator[Shop]:
    with mock_aws():
        gate.outputs["PushRoles"] = GATE_ROLE
        yield Shop(gate, boto3.client("ecr"))
