"""`imagegate access`: no call is left out, none of another service comes in, and what nobody can tell is said."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from imagegate_cli.access.permissions import CANNOT_TELL
from imagegate_cli.access.trail import EVENTS
from imagegate_cli.context import Pauses
from tests.component.cli_gate import CliGate, gate
from tests.component.modelled_aws import ModelledAws, modelled, refused
from tests.fakes import DEV, NOW

__all__ = ["gate", "modelled"]

ANN, BOB = (f"arn:aws:iam::123456789012:user/{name}" for name in ("ann", "bob"))
CI = "arn:aws:iam::123456789012:role/ci"
LINKED = "arn:aws:iam::123456789012:role/aws-service-role/ecs/x"
PER_PAGE = 2


class Trail:
    """An event history that is read by the name of the event, in pages, newest first."""

    def __init__(self, aws: ModelledAws) -> None:
        self.events: list[dict[str, Any]] = []
        aws.answers["cloudtrail:LookupEvents"] = self._look_up

    def add(self, name: str, ago: float = 1, source: str = "ecr.amazonaws.com", **document: Any) -> None:
        full = {"userIdentity": {"arn": ANN}, "sourceIPAddress": "192.0.2.1", **document}
        self.events.append(
            {
                "EventId": str(len(self.events)),
                "EventName": name,
                "EventSource": source,
                "EventTime": NOW - timedelta(hours=ago),
                "CloudTrailEvent": json.dumps(full),
            }
        )

    def _look_up(self, asked: dict[str, Any]) -> dict[str, Any]:
        [attribute] = asked["LookupAttributes"]
        assert attribute["AttributeKey"] == "EventName"
        found = [
            one
            for one in self.events
            if one["EventName"] == attribute["AttributeValue"]
            and asked["StartTime"] <= one["EventTime"] <= asked["EndTime"]
        ]
        found.sort(key=lambda one: one["EventTime"], reverse=True)
        first = int(asked.get("NextToken", 0))
        rest = {"NextToken": str(first + PER_PAGE)} if found[first + PER_PAGE :] else {}
        return {"Events": found[first : first + PER_PAGE], **rest}


@pytest.fixture
def trail(modelled: ModelledAws) -> Trail:
    return Trail(modelled)


def calls(gate: CliGate, *options: str) -> list[dict[str, Any]]:
    result = gate.call("access", "--json", *options)
    assert result.code == 0, result.err
    found: list[dict[str, Any]] = result.json
    return found


def test_calls_of_every_page_and_kind_come_newest_first(gate: CliGate, trail: Trail) -> None:
    for ago in range(1, 6):
        trail.add("PutImage", ago, requestParameters={"repositoryName": DEV, "imageTag": f"1.{ago}"})
        trail.add("SetRepositoryPolicy", ago + 0.5, requestParameters={"repositoryName": DEV})
    found = calls(gate)
    assert len(found) == 10
    assert [one["at"] for one in found] == sorted((one["at"] for one in found), reverse=True)
    assert (found[0]["who"], found[0]["images"], found[0]["repository"]) == (ANN, ["1.1"], DEV)
    assert len(calls(gate, "--limit", "3")) == 3
    assert len(calls(gate, "other")) == 0
    assert len(calls(gate, "--since", "2h")) == 3


@pytest.mark.parametrize(("kind", "event"), [(kind, event) for kind in EVENTS for event in EVENTS[kind]])
def test_a_kind_reads_its_own_events_and_no_other(gate: CliGate, trail: Trail, kind: str, event: str) -> None:
    for name in {one for names in EVENTS.values() for one in names}:
        trail.add(name, errorCode="AccessDenied")
    assert {one["event"] for one in calls(gate, "--kind", kind)} == set(EVENTS[kind])
    assert event in {one["event"] for one in calls(gate, "--kind", kind)}


def test_pulls_are_read_only_if_somebody_names_them(
    gate: CliGate, trail: Trail, modelled: ModelledAws
) -> None:
    trail.add("BatchGetImage", requestParameters={"repositoryName": DEV, "imageIds": [{"imageTag": "1.0"}]})
    assert calls(gate) == []
    asked = {request["LookupAttributes"][0]["AttributeValue"] for _, request in modelled.requests}
    assert "BatchGetImage" not in asked
    assert calls(gate, "--kind", "pull")[0]["images"] == ["1.0"]


def test_a_call_about_tags_names_its_repository(gate: CliGate, trail: Trail) -> None:
    arn = f"arn:aws:ecr:eu-central-1:123456789012:repository/{DEV}"
    trail.add("TagResource", requestParameters={"resourceArn": arn})
    assert [call["repository"] for call in calls(gate)] == [DEV]


def test_only_failed_log_ins_and_only_calls_of_ecr(gate: CliGate, trail: Trail) -> None:
    trail.add("GetAuthorizationToken")
    trail.add("GetAuthorizationToken", errorCode="AccessDenied", userIdentity={"accountId": "210987654321"})
    trail.add("TagResource", source="lambda.amazonaws.com")
    [failed] = calls(gate)
    assert (failed["error"], failed["who"]) == ("AccessDenied", "210987654321")
    assert "AccessDenied" in gate.call("access").out


@pytest.mark.parametrize("text", ["", "{", "[]", '{"requestParameters": 7, "userIdentity": []}'])
def test_a_call_that_cannot_be_read_is_shown(gate: CliGate, trail: Trail, text: str) -> None:
    trail.add("PutImage")
    trail.events[0]["CloudTrailEvent"] = text
    [call] = calls(gate)
    assert (call["event"], call["who"]) == ("PutImage", "not known")


def test_two_requests_a_second(gate: CliGate, trail: Trail, modelled: ModelledAws) -> None:
    pauses: list[float] = []
    gate.pauses = Pauses(sleep=pauses.append)
    calls(gate)
    assert len(modelled.requests) > 10
    assert sum(pauses) >= (len(modelled.requests) - 1) * 0.5 - 1


# Who may


class Identities:
    """Users and roles, and the answers of IAM's simulation."""

    def __init__(self, aws: ModelledAws) -> None:
        self.allowed: dict[str, list[str]] = {}
        self.statements: list[dict[str, Any]] | None = None
        self._aws = aws
        aws.answers["iam:ListUsers"] = lambda _: {"Users": [_identity(one, "User") for one in (ANN, BOB)]}
        aws.answers["iam:ListRoles"] = lambda _: {"Roles": [_identity(one, "Role") for one in (CI, LINKED)]}
        aws.answers["iam:SimulatePrincipalPolicy"] = self._simulate
        aws.answers["ecr:GetRepositoryPolicy"] = self._policy

    def _simulate(self, asked: dict[str, Any]) -> dict[str, Any]:
        [action] = asked["ActionNames"]
        decision = "allowed" if asked["PolicySourceArn"] in self.allowed else "implicitDeny"
        missing = self.allowed.get(asked["PolicySourceArn"], [])
        [resource] = asked["ResourceArns"]
        own = {
            "EvalResourceName": resource,
            "EvalResourceDecision": decision,
            "MissingContextValues": missing,
        }
        result = {"EvalActionName": action, "EvalDecision": decision, "ResourceSpecificResults": [own]}
        return {"EvaluationResults": [result]}

    def _policy(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self.statements is None:
            code = "RepositoryPolicyNotFoundException"
            raise refused(self._aws.client("ecr"), "GetRepositoryPolicy", code)
        return {"policyText": json.dumps({"Statement": self.statements})}


def _identity(arn: str, kind: str) -> dict[str, Any]:
    path = "/aws-service-role/ecs/" if arn == LINKED else "/"
    name = arn.rpartition("/")[2]
    return {
        "Path": path,
        f"{kind}Name": name,
        f"{kind}Id": "A" * 20,
        "Arn": arn,
        "CreateDate": NOW,
    }


@pytest.fixture
def identities(modelled: ModelledAws) -> Identities:
    return Identities(modelled)


@pytest.mark.parametrize("verb", ["push", "pull", "delete", "approve"])
def test_who_may_by_iam(gate: CliGate, identities: Identities, modelled: ModelledAws, verb: str) -> None:
    identities.allowed = {ANN: [], CI: ["aws:SourceVpce"], LINKED: []}
    found = gate.call("access", "--who", "can", verb, DEV, "--json").json
    assert found["permissions"] == [
        {"who": ANN, "by": "IAM", "allowed": True, "depends_on": None},
        {"who": CI, "by": "IAM", "allowed": True, "depends_on": "aws:SourceVpce"},
    ]
    assert found["cannot_tell"] == list(CANNOT_TELL)
    simulated = [asked for name, asked in modelled.requests if name == "iam:SimulatePrincipalPolicy"]
    suffix = ":decide:approve" if verb == "approve" else f":repository/{DEV}"
    assert all(one["ResourceArns"][0].endswith(suffix.removeprefix(":decide")) for one in simulated)
    assert "session policies" in gate.call("access", "--who", "can", verb, DEV).err


@pytest.mark.parametrize(
    ("actions", "is_about"),
    [
        ({"Action": "ecr:PutImage"}, True),
        ({"Action": ["ecr:put*"]}, True),
        ({"Action": "*"}, True),
        ({"Action": "ecr:BatchGetImage"}, False),
        ({"NotAction": "ecr:Delete*"}, True),
        ({"NotAction": ["ecr:Put*"]}, False),
    ],
)
@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_the_repository_policy_counts_by_its_actions(
    gate: CliGate, identities: Identities, actions: dict[str, Any], is_about: bool, effect: str
) -> None:
    identities.statements = [{"Effect": effect, "Principal": {"AWS": [BOB]}, **actions}]
    found = gate.call("access", "--who", "can", "push", DEV, "--json").json["permissions"]
    expected = [{"who": BOB, "by": "repository policy", "allowed": effect == "Allow", "depends_on": None}]
    assert found == (expected if is_about else [])


@pytest.mark.parametrize(
    ("principal", "who"),
    [
        ({"Principal": "*"}, "*"),
        ({"Principal": {"AWS": "*"}}, "*"),
        ({"Principal": {"Service": "lambda.amazonaws.com"}}, "Service lambda.amazonaws.com"),
        ({"NotPrincipal": {"AWS": BOB}}, "all but"),
    ],
)
def test_every_principal_of_a_statement_is_named_with_its_condition(
    gate: CliGate, identities: Identities, principal: dict[str, Any], who: str
) -> None:
    condition = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
    identities.statements = [{"Effect": "Allow", "Action": "ecr:*", "Condition": condition, **principal}]
    [found] = gate.call("access", "--who", "can", "pull", DEV, "--json").json["permissions"]
    assert found["who"].startswith(who)
    assert "o-1" in found["depends_on"]


def test_who_needs_a_repository_and_an_action(gate: CliGate, identities: Identities) -> None:
    assert gate.call("access", "--who", "can", "push").code == 2
    assert gate.call("access", "--who", "can", "fly", DEV).code == 2
    result = gate.call("access", "--who", "can", "sign", "nowhere")
    assert (result.code, "no stage" in result.err) == (2, True)
    assert "nobody may push" in gate.call("access", "--who", "can", "push", DEV).err
