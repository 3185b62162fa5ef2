"""The audit of the account: each part is read by itself, and nothing passes that was not told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from imagegate.audit.account import ACCOUNT_CHECKS, AccountFacts, GuardedPlace, WhoMay, check_account
from imagegate.audit.report import CheckPassed
from imagegate.aws import clients as aws
from imagegate.aws.audit import account
from imagegate.aws.audit.account import AwsAccount
from imagegate.baseline.repository_policy import GateRegistry

pytestmark = pytest.mark.usefixtures("aws_account")
GATE, OTHER, BOSS = (f"arn:aws:iam::123456789012:role/{name}" for name in ("gate", "other", "boss"))
REPOSITORY, PROFILE = "arn:aws:ecr:eu-central-1:123456789012:repository/shop-production", "arn:profile"
REGISTRY = GateRegistry("123456789012", "eu-central-1")
PLACE = GuardedPlace(
    "shop-production",
    "production",
    REPOSITORY,
    PROFILE,
    ("access-sign", "access-push", "access-delete", "access-pull"),
    {"access-push": [GATE], "access-sign": [GATE]},
)


@pytest.fixture(autouse=True)
def _moto(aws_account: None) -> Iterator[None]:
    with mock_aws():
        yield


def read(places: Sequence[GuardedPlace] = ()) -> Any:
    return AwsAccount(sleep=lambda _seconds: None).facts(places)


def test_an_empty_account_records_nothing_and_has_no_endpoint() -> None:
    facts = read()
    assert (list(facts.trails), list(facts.endpoints), list(facts.users_without_mfa)) == ([], [], [])
    assert facts.unread == {}


def test_users_with_a_password_need_a_second_factor() -> None:
    iam = boto3.client("iam")
    for name in ("robot", "alice", "bob"):
        iam.create_user(UserName=name)
    for name in ("alice", "bob"):
        iam.create_login_profile(UserName=name, Password="Secret-1234-secret")
    iam.create_virtual_mfa_device(VirtualMFADeviceName="bob")
    iam.enable_mfa_device(
        UserName="bob",
        SerialNumber="arn:aws:iam::123456789012:mfa/bob",
        AuthenticationCode1="123456",
        AuthenticationCode2="234567",
    )
    assert read().users_without_mfa == ["alice"]


def test_a_trail_counts_while_it_records() -> None:
    boto3.client("s3").create_bucket(Bucket="trail")
    trail = boto3.client("cloudtrail")
    trail.create_trail(Name="all", S3BucketName="trail", IsMultiRegionTrail=True)
    assert list(read().trails) == []
    trail.start_logging(Name="all")
    assert len(read().trails) == 1


@pytest.mark.parametrize("state", ["available", "Available"])
def test_an_endpoint_counts_when_it_is_ready(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    ec2 = boto3.client("ec2")
    monkeypatch.setattr(account, "client", lambda name: ec2 if name == "ec2" else aws.client(name))
    endpoints = [{"VpcEndpointId": "vpce-1", "State": state}, {"VpcEndpointId": "vpce-2", "State": "pending"}]
    with Stubber(ec2) as stubbed:
        stubbed.add_response("describe_vpc_endpoints", {"VpcEndpoints": endpoints})
        assert list(read().endpoints) == ["vpce-1"]


def test_endpoints_of_other_services_do_not_count() -> None:
    ec2 = boto3.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    for service in ("s3", "ecr.api"):
        ec2.create_vpc_endpoint(
            VpcId=vpc,
            ServiceName=f"com.amazonaws.{ec2.meta.region_name}.{service}",
            VpcEndpointType="Interface",
        )
    assert len(read().endpoints) == 1


class Iam:
    """Users and roles whose permissions are known.

    `refused`: the simulation is. `is_short`: resources have no results of their own.
    """

    def __init__(
        self,
        allowed: Mapping[tuple[str, str], Sequence[str]],
        *,
        refused: bool = False,
        is_short: bool = False,
    ) -> None:
        self.allowed, self.refused, self.is_short = allowed, refused, is_short
        self.requests = 0

    def get_paginator(self, operation: str) -> Iam:
        self.operation = operation
        return self

    def paginate(self, **request: Any) -> Iterator[Any]:
        if self.operation == "simulate_principal_policy":
            yield from self._simulate(request)
            return
        arns = [GATE, OTHER, BOSS] if self.operation == "list_roles" else []
        linked = {"Arn": "arn:linked", "Path": "/aws-service-role/ecs/"}
        yield {"Users": [], "Roles": [linked, *({"Arn": arn, "Path": "/"} for arn in arns)]}

    def _simulate(self, request: Mapping[str, Any]) -> Iterator[Any]:
        """Answer as the model says: a page for each resource, and its name in its own result only."""
        if self.refused:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SimulatePrincipalPolicy")
        assert request["PolicySourceArn"] != "arn:linked"
        self.requests += 1
        for action, resource in product(request["ActionNames"], request["ResourceArns"]):
            may = request["PolicySourceArn"] in self.allowed.get((action, resource), ())
            decision = "allowed" if may else "implicitDeny"
            whole = {"EvalActionName": action, "EvalDecision": decision}
            whole["EvalResourceName"] = "arn:${Partition}:${Resource}"
            own = {"EvalResourceName": resource, "EvalResourceDecision": decision}
            specific = {} if self.is_short else {"ResourceSpecificResults": [own]}
            yield {"EvaluationResults": [whole | specific], "IsTruncated": True}

    def __getattr__(self, name: str) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": name}}, name)


def with_iam(monkeypatch: pytest.MonkeyPatch, iam: Iam) -> None:
    monkeypatch.setattr(account, "client", lambda name: iam if name == "iam" else aws.client(name))


@pytest.mark.parametrize("is_short", [False, True])
def test_who_may_is_everybody_beside_the_gate(monkeypatch: pytest.MonkeyPatch, is_short: bool) -> None:
    allowed = {
        ("ecr:PutImage", REPOSITORY): [GATE, OTHER],
        ("signer:SignPayload", PROFILE): [GATE],
        ("ecr:BatchDeleteImage", REPOSITORY): [BOSS],
        ("ecr:BatchGetImage", REPOSITORY): [OTHER, BOSS],
    }
    iam = Iam(allowed, is_short=is_short)
    with_iam(monkeypatch, iam)
    found = {one.check: one.others for one in read([PLACE]).powers}
    assert found == {
        "access-sign": (),
        "access-push": (OTHER,),
        "access-delete": (BOSS,),
        "access-pull": (OTHER, BOSS),
    }
    assert iam.requests == 2 * len([GATE, OTHER, BOSS])  # one for each service and identity


def test_many_may_pull_before_it_is_a_finding() -> None:
    def outcome(number: int) -> Any:
        who = tuple(f"arn:{one}" for one in range(number))
        power = WhoMay("access-pull", "pull", PLACE.repository, PLACE.stage, who)
        return list(check_account(AccountFacts(powers=[power]), REGISTRY))[-1]

    assert isinstance(outcome(20), CheckPassed)
    assert "and 11 more" in outcome(21).detail


def test_each_place_has_its_own_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(
        PLACE, repository="other", stage="other", repository_arn=f"{REPOSITORY}-2", checks=("access-push",)
    )
    with_iam(monkeypatch, Iam({("ecr:PutImage", other.repository_arn): [BOSS]}))
    found = {one.stage: one.others for one in read([PLACE, other]).powers if one.check == "access-push"}
    assert found == {"production": (), "other": (BOSS,)}


def test_parts_that_are_refused_are_named_and_the_others_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with_iam(monkeypatch, Iam({}, refused=True))
    facts = read([PLACE])
    of_iam = {one.id for one in ACCOUNT_CHECKS} - {"access-trail", "access-endpoint"}
    assert facts.unread.keys() == of_iam
    assert facts.powers == ()
