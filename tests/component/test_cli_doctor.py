"""`imagegate doctor`: each fault is one line with its remedy, and no fault hides another."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imagegate import __version__
from imagegate.aws import clients
from imagegate.errors import ServiceUnavailableError
from imagegate.grants.power import Power
from imagegate.policy.policy import Scanner
from imagegate_cli.diagnosis.permissions import VERB_CHECKS
from tests.component.cli_gate import CALLER, CliGate
from tests.fakes import NOW

POWERS = Path(__file__).parents[2] / "docs/powers"


@dataclass
class FakeAws:
    """The services that only `doctor` reads. `faults` has the error code of an operation."""

    skew: timedelta = timedelta()
    faults: dict[str, str] = field(default_factory=dict)

    def client(self, _service: str) -> FakeAws:
        return self

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """Return the call of a service: for what does not exist, ECR's answer to somebody who may read."""
        if operation.startswith("_"):
            raise AttributeError(operation)
        name = operation.title().replace("_", "")
        return lambda **request: self._respond(name, {}, "repositoryName" in request)

    def get_caller_identity(self) -> Any:
        return self._respond("GetCallerIdentity", {"Arn": CALLER})

    def describe_repositories(self, **_paging: int) -> Any:
        return self._respond("DescribeRepositories", {})

    def list_coverage(self, **_paging: int) -> Any:
        return self._respond("ListCoverage", {})

    def _respond(self, operation: str, response: dict[str, Any], is_absent: bool = False) -> Any:
        date = format_datetime(NOW - self.skew)
        metadata = {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}
        if code := self.faults.get(operation, "RepositoryNotFoundException" if is_absent else ""):
            if code == "Unavailable":  # as `imagegate.aws.clients` raises it
                raise ServiceUnavailableError(f"{operation} answered 500")
            error: Any = {"Error": {"Code": code, "Message": f"not authorized: {operation}"}, **metadata}
            raise ClientError(error, operation)
        return response | metadata


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    fake = FakeAws()
    monkeypatch.setattr(clients, "client", fake.client)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    return fake


@pytest.fixture
def gate(aws: FakeAws, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CliGate:
    gate = CliGate(capsys, monkeypatch)
    gate.outputs = {power.output: f"https://{power}.example" for power in Power} | {"Version": __version__}
    monkeypatch.setattr(gate.world.registry, "scanner", lambda: Scanner.BASIC, raising=False)
    return gate


def states(gate: CliGate) -> dict[str, tuple[str, str]]:
    checks = gate.call("doctor", "--json").json["checks"]
    return {check["name"]: (check["state"], check["text"]) for check in checks}


def test_a_right_installation_is_ok_line_by_line(gate: CliGate) -> None:
    result = gate.call("doctor")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert f"you are {CALLER}" in lines[0]
    assert list(states(gate)) == [line.split()[1] for line in lines]


@pytest.mark.parametrize(
    ("skew", "side"), [(timedelta(minutes=7), "7 min ahead of"), (timedelta(minutes=-7), "7 min behind")]
)
def test_a_wrong_clock_is_found_even_if_aws_refuses_the_signature(
    gate: CliGate, aws: FakeAws, skew: timedelta, side: str
) -> None:
    aws.skew = skew
    aws.faults["GetCallerIdentity"] = "SignatureDoesNotMatch"
    found = states(gate)
    assert found["clock"][0] == "wrong"
    assert side in found["clock"][1]
    assert "AWS_SECRET_ACCESS_KEY" in found["credentials"][1]


def test_without_credentials_nothing_can_be_checked(gate: CliGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "client", lambda _service: (_ for _ in ()).throw(ClientError({}, "X")))
    result = gate.call("doctor")
    assert result.code == 2
    assert "Traceback" not in result.out + result.err


def test_another_version_of_the_stack_is_a_fault(gate: CliGate) -> None:
    gate.outputs["Version"] = "0.0.9"
    assert gate.call("doctor").code == 1
    assert states(gate)["version"] == (
        "wrong",
        f"the stack has 0.0.9, this command {__version__}: deploy it again, or install 0.0.9",
    )


def test_a_missing_permission_is_named_and_hides_no_other(gate: CliGate, aws: FakeAws) -> None:
    aws.faults["DescribeRepositories"] = "AccessDeniedException"
    result = gate.call("doctor")
    assert result.code == 1
    [line] = [line for line in result.out.splitlines() if not line.startswith("ok ")]
    assert "access denied: not authorized: DescribeRepositories" in line
    assert "(needed by status, verify, release --import)" in line


@pytest.mark.parametrize(
    ("operation", "check", "verbs", "policy"),
    [
        ("DescribeImages", "images", "images, scan", "docs/powers/read.json"),
        ("DescribeImageScanFindings", "images", "images, scan", "scan.json"),
        ("LookupEvents", "access", "access", "docs/powers/access.json"),
        ("GetLifecyclePolicy", "baseline", "baseline", "docs/powers/baseline.json"),
        ("ListFunctions", "cleanup", "cleanup", "docs/powers/cleanup.json"),
    ],
)
def test_commands_that_the_caller_may_not_use_are_no_fault_and_name_their_policy(
    gate: CliGate, aws: FakeAws, operation: str, check: str, verbs: str, policy: str
) -> None:
    aws.faults[operation] = "AccessDeniedException"
    assert gate.call("doctor").code == 0
    state, text = states(gate)[check]
    assert (state, f"access denied: not authorized: {operation}" in text) == ("limited", True)
    assert f"{verbs}: needs " in text
    assert policy in text


def test_a_service_that_does_not_answer_limits_its_command_alone(gate: CliGate, aws: FakeAws) -> None:
    aws.faults["LookupEvents"] = "Unavailable"
    assert gate.call("doctor").code == 0
    assert states(gate)["access"][0] == "limited"


def test_each_policy_that_doctor_names_permits_the_calls_that_it_tries() -> None:
    for check in VERB_CHECKS:
        granted = set[str]()
        for name in re.findall(r"\w+\.json", check.policies):
            for statement in json.loads((POWERS / name).read_text())["Statement"]:
                actions = statement["Action"]
                granted |= {actions} if isinstance(actions, str) else set(actions)
        tried = {f"{one.service}:{one.operation.title().replace('_', '')}" for one in check.calls}
        assert tried <= granted, check.name


def test_another_scanner_than_the_policy_says_is_a_fault(gate: CliGate, aws: FakeAws) -> None:
    policy = replace(gate.world.policy, scanner=Scanner.ENHANCED)
    gate.world.policy = gate.world.records.policies[policy.digest] = policy
    aws.faults["ListCoverage"] = "AccessDeniedException"
    found = states(gate)
    assert found["scanner"][0] == "wrong"
    assert "--scan-type ENHANCED" in found["scanner"][1]
    assert found["coverage"][0] == "wrong"


def test_a_missing_url_is_a_fault(gate: CliGate) -> None:
    del gate.outputs["RevokeUrl"]
    assert states(gate)["decisions"] == ("wrong", "the stack has no URL for revoke: deploy it again")


def test_a_stopped_sandbox_is_the_first_line(gate: CliGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    result = gate.call("doctor")
    assert result.code == 1
    assert result.out.splitlines()[0].startswith(
        "wrong    sandbox      does not answer at http://127.0.0.1:9"
    )


def test_the_result_is_one_json_object(gate: CliGate) -> None:
    document = json.loads(gate.call("doctor", "--json").out)
    assert document["schema"] == "imagegate.doctor/v1"
    assert set(document["checks"][0]) == {"name", "state", "text"}
