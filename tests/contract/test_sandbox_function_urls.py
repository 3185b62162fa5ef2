"""Function URLs: who may call them, what the function gets, what the caller gets back."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.functions import InvocationResult, payloads
from tests.contract.served_cloud import ServedCloud
from tests.contract.signed_requests import call, send, signature

ACCOUNT = "123456789012"
JSON = {"content-type": "application/json"}
Keys = dict[str, str]


@pytest.fixture(scope="module")
def url(cloud: ServedCloud) -> str:
    return cloud.outputs["WebUrl"]


@pytest.fixture(scope="module")
def admin(cloud: ServedCloud) -> Keys:
    names = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
    return {name: cloud.env[variable] for name, variable in names.items()}


def allow(action: str, resource: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def both(resource: str) -> list[dict[str, Any]]:
    """Return the two statements that AWS's guide gives to callers of a function URL."""
    via = {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
    kind = {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}
    return [
        allow("lambda:InvokeFunctionUrl", resource, Condition=kind),
        allow("lambda:InvokeFunction", resource, Condition=via),
    ]


def user(cloud: ServedCloud, *statements: dict[str, Any]) -> tuple[str, Keys]:
    """Create a user; return its ARN and keys."""
    iam, name = cloud.client("iam"), f"caller-{uuid.uuid4().hex[:8]}"
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return arn, {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


def session(cloud: ServedCloud, name: str, *statements: dict[str, Any]) -> tuple[str, Keys]:
    """Create a role; return its name and the temporary keys of a session."""
    iam, role = cloud.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=policy)
    given = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
    return role, {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def status(url: str, keys: Keys) -> int:
    return call(url, keys).status


# What the function gets


def test_the_url_is_on_loopback_and_belongs_to_the_alias(cloud: ServedCloud, url: str, admin: Keys) -> None:
    assert re.fullmatch(re.escape(cloud.env["AWS_ENDPOINT_URL"]) + "/sandbox-url/[0-9a-f]{32}/", url)
    assert call(url, admin).json()["arn"] == cloud.outputs["Web"]


def test_the_event_is_payload_format_two(url: str, admin: Keys) -> None:
    headers = JSON | {"Cookie": "a=1; b=2", "X-Twice": "1", "User-Agent": "test"}
    target = url + "what/a%20path?x=1&x=2&y=%C3%A4"
    answer = call(target, admin, "POST", b'{"some": "body"}', headers).json()
    event = answer["event"]
    context = event.pop("requestContext")
    sent = event.pop("headers")
    assert event == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/what/a%20path",
        "rawQueryString": "x=1&x=2&y=%C3%A4",
        "queryStringParameters": {"x": "1,2", "y": "ä"},
        "cookies": ["a=1", "b=2"],
        "body": '{"some": "body"}',
        "isBase64Encoded": False,
    }
    assert (sent["content-type"], sent["x-twice"]) == ("application/json", "1")
    assert not {"authorization", "cookie"} & set(sent)
    assert context["http"] == {
        "method": "POST",
        "path": "/what/a%20path",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "test",
    }
    assert (context["accountId"], context["apiId"]) == (ACCOUNT, url.split("/")[-2])
    assert (context["routeKey"], context["stage"]) == ("$default", "$default")
    assert context["requestId"] == answer["request_id"]
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context["time"])
    assert isinstance(context["timeEpoch"], int)


def test_absent_parts_of_a_request_are_not_in_the_event(url: str, admin: Keys) -> None:
    event = call(url, admin).json()["event"]
    assert (event["rawPath"], event["rawQueryString"]) == ("/", "")
    assert not {"body", "cookies", "queryStringParameters"} & set(event)


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/x-www-form-urlencoded", ""])
def test_a_body_that_does_not_say_that_it_is_text_is_base64(url: str, admin: Keys, kind: str) -> None:
    event = call(url, admin, "PUT", b"a=\xff", {"content-type": kind} if kind else {}).json()["event"]
    assert (event["body"], event["isBase64Encoded"]) == ("YT3/", True)


def test_a_user_is_named_by_arn(cloud: ServedCloud, url: str) -> None:
    arn, keys = user(cloud, *both(cloud.outputs["Web"]))
    iam = call(url, keys).json()["event"]["requestContext"]["authorizer"]["iam"]
    identity = cloud.client("sts", **keys).get_caller_identity()["UserId"]
    assert iam == {
        "accessKey": keys["aws_access_key_id"],
        "accountId": ACCOUNT,
        "callerId": identity,
        "userArn": arn,
        "userId": identity,
        "cognitoIdentity": None,
        "principalOrgId": None,
    }


def test_a_role_is_named_by_its_session(cloud: ServedCloud, url: str) -> None:
    role, keys = session(cloud, "ann@example.org", *both(cloud.outputs["Web"]))
    iam = call(url, keys).json()["event"]["requestContext"]["authorizer"]["iam"]
    assert iam["userArn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/ann@example.org"
    assert iam["userId"] == iam["callerId"]
    assert iam["userId"].endswith(":ann@example.org")


# Who may call


def test_without_a_signature_nobody_gets_in(url: str) -> None:
    answer = send(url, {})
    assert (answer.status, answer.data) == (403, b'{"Message":"Forbidden"}')
    assert answer.headers["content-type"] == "application/json"


def test_a_wrong_signature_or_key_is_refused(cloud: ServedCloud, url: str, admin: Keys) -> None:
    assert status(url, admin) == 200
    assert status(url, admin | {"aws_secret_access_key": "secret"}) == 403
    assert status(url, admin | {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE"}) == 403
    assert send(url, signature(url, admin, service="execute-api")).status == 403
    assert send(url, signature(url, admin, region="us-east-1")).status == 403
    _, temporary = session(cloud, "ann", *both(cloud.outputs["Web"]))
    assert status(url, temporary | {"aws_session_token": "other"}) == 403


@pytest.mark.parametrize(
    "header", ["AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b", "Basic YTpi", "Bearer token"]
)
def test_anything_but_a_signature_is_refused(url: str, header: str) -> None:
    assert send(url, {"Authorization": header, "X-Amz-Date": "20260101T000000Z"}).status == 403


def test_a_signature_holds_for_one_request_only(url: str, admin: Keys) -> None:
    body, headers = b'{"a": 1}', JSON
    signed = signature(url + "path?x=1", admin, "POST", body, headers)
    assert send(url + "path?x=1", signed, "POST", body).status == 200
    assert send(url + "path?x=1", signed, "POST", b'{"a": 2}').status == 403
    assert send(url + "path?x=1", signed, "PUT", body).status == 403
    assert send(url + "path?x=2", signed, "POST", body).status == 403
    assert send(url + "other?x=1", signed, "POST", body).status == 403
    digest = {"x-amz-content-sha256": "0" * 64}
    elsewhere = signature(url, admin, "POST", body, headers | digest)
    assert send(url, elsewhere, "POST", body).status == 403


def test_both_permissions_are_needed(cloud: ServedCloud, url: str) -> None:
    use, invoke = both(cloud.outputs["Web"])
    for statements in ([use], [invoke], []):
        assert status(url, user(cloud, *statements)[1]) == 403
    assert status(url, user(cloud, use, invoke)[1]) == 200


def test_the_function_is_not_its_alias(cloud: ServedCloud, url: str) -> None:
    assert status(url, user(cloud, *both(cloud.outputs["WebFunction"]))[1]) == 403
    assert status(url, user(cloud, *both(cloud.outputs["WebFunction"] + ":*"))[1]) == 200


def test_a_deny_wins_also_against_the_functions_policy(cloud: ServedCloud, url: str) -> None:
    denied = {"Effect": "Deny", "Action": "lambda:InvokeFunctionUrl", "Resource": "*"}
    assert status(url, user(cloud, allow("*", "*"), denied)[1]) == 403


def test_permission_for_the_url_is_no_permission_to_invoke_the_function(cloud: ServedCloud) -> None:
    _, keys = user(cloud, *both(cloud.outputs["Web"]))
    with pytest.raises(ClientError, match="lambda:InvokeFunction"):
        cloud.client("lambda", **keys).invoke(FunctionName=cloud.outputs["Web"])


@pytest.fixture
def stranger(cloud: ServedCloud) -> Iterator[tuple[str, Keys]]:
    """Yield a user without permissions; remove the permissions on the function that a test grants to it."""
    yield user(cloud)
    client, name = cloud.client("lambda"), cloud.outputs["WebFunction"]
    for statement in json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"]:
        if statement["Sid"].startswith("stranger"):
            client.remove_permission(FunctionName=name, StatementId=statement["Sid"])


def test_the_functions_own_policy_lets_in_too(
    cloud: ServedCloud, url: str, stranger: tuple[str, Keys]
) -> None:
    arn, keys = stranger
    common = {"FunctionName": cloud.outputs["WebFunction"], "Qualifier": "live", "Principal": arn}
    add = cloud.client("lambda").add_permission
    add(StatementId="stranger1", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="AWS_IAM", **common)
    assert status(url, keys) == 403
    add(StatementId="stranger2", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True, **common)
    assert status(url, keys) == 200
    with pytest.raises(ClientError, match="lambda:InvokeFunction"):
        cloud.client("lambda", **keys).invoke(FunctionName=cloud.outputs["Web"])


def test_a_public_url_needs_no_signature_but_a_policy(cloud: ServedCloud) -> None:
    answer = send(cloud.outputs["PublicUrl"], {})
    context = answer.json()["event"]["requestContext"]
    assert answer.json()["arn"] == cloud.outputs["WebFunction"]
    assert context["accountId"] == "anonymous"
    assert "authorizer" not in context
    client, name = cloud.client("lambda"), cloud.outputs["WhereFunction"]
    made = client.create_function_url_config(FunctionName=name, AuthType="NONE")
    assert send(made["FunctionUrl"], {}).status == 403
    client.delete_function_url_config(FunctionName=name)


# What the caller gets back


def answered(url: str, keys: Keys, answer: Any) -> Any:
    return call(url, keys, "POST", json.dumps({"answer": answer}).encode(), JSON)


def test_status_headers_cookies_and_body_are_the_functions(url: str, admin: Keys) -> None:
    headers = {"Content-Type": "text/html", "X-Number": 7}
    given = {"statusCode": 201, "headers": headers, "cookies": ["a=1", "b=2"], "body": "<p>ü"}
    answer = answered(url, admin, given)
    assert (answer.status, answer.data.decode()) == (201, "<p>ü")
    assert (answer.headers["content-type"], answer.headers["x-number"]) == ("text/html", "7")
    assert answer.headers.getlist("set-cookie") == ["a=1", "b=2"]


def test_a_body_may_be_base64(url: str, admin: Keys) -> None:
    answer = answered(url, admin, {"statusCode": "200", "body": "//8=", "isBase64Encoded": True})
    assert (answer.status, answer.data) == (200, b"\xff\xff")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("value", [{"message": "hello"}, [1, 2], "text", 7, None])
def test_an_answer_without_a_status_is_json(url: str, admin: Keys, value: Any) -> None:
    answer = answered(url, admin, value)
    assert (answer.status, answer.json()) == (200, value)
    assert answer.headers["content-type"] == "application/json"


def test_an_error_of_the_function_tells_the_caller_nothing(url: str, admin: Keys) -> None:
    answer = call(url, admin, "POST", b'{"raise": "a secret"}', JSON)
    assert (answer.status, answer.data) == (502, b"Internal Server Error")


@pytest.mark.parametrize(
    "malformed",
    [
        {"statusCode": "many"},
        {"statusCode": 9999},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "body": "*", "isBase64Encoded": True},
        {"statusCode": 200, "headers": ["a"]},
    ],
)
def test_an_answer_that_is_no_answer_is_an_error(malformed: Any) -> None:
    assert payloads.answer(InvocationResult(json.dumps(malformed).encode())).status == 502


# The API


def test_urls_differ_by_qualifier(cloud: ServedCloud, url: str) -> None:
    client, name = cloud.client("lambda"), cloud.outputs["WebFunction"]
    own = client.get_function_url_config(FunctionName=name, Qualifier="live")
    assert (own["FunctionUrl"], own["FunctionArn"], own["AuthType"]) == (url, cloud.outputs["Web"], "AWS_IAM")
    public = client.get_function_url_config(FunctionName=name)
    assert (public["FunctionUrl"], public["AuthType"]) == (cloud.outputs["PublicUrl"], "NONE")
    with pytest.raises(ClientError, match="ResourceConflictException"):
        client.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="AWS_IAM")
    with pytest.raises(ClientError, match="InvalidParameterValueException"):
        client.create_function_url_config(FunctionName=name, Qualifier="1", AuthType="AWS_IAM")


def test_a_url_ends_with_its_configuration(cloud: ServedCloud, admin: Keys) -> None:
    client, name = cloud.client("lambda"), cloud.outputs["WhereFunction"]
    made = client.create_function_url_config(FunctionName=name, AuthType="NONE")
    changed = client.update_function_url_config(FunctionName=name, AuthType="AWS_IAM")
    assert changed["FunctionUrl"] == made["FunctionUrl"]
    assert status(made["FunctionUrl"], admin) == 200
    client.delete_function_url_config(FunctionName=name)
    assert status(made["FunctionUrl"], admin) == 403
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.get_function_url_config(FunctionName=name)
