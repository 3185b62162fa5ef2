"""The identity of a signer by the sandbox's STS: it checks every signed header, as AWS's does."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from imagegate.grants.caller_proof import Audience, IdentityRequest, Proof, identity_request, read_identity
from tests.contract.served_cloud import ServedCloud
from tests.patience import PATIENCE_SECONDS

ASKED = '{"nonce": "0"}'
AUDIENCE = Audience.parse("arn:aws:lambda:eu-central-1:123456789012:function:imagegate-decide:live")
ROLE = {"Version": "2012-10-17", "Statement": []}


def signed(cloud: ServedCloud, keys: Credentials) -> IdentityRequest:
    endpoint = cloud.env["AWS_ENDPOINT_URL"]
    plain = identity_request(AUDIENCE, ASKED, endpoint)
    request = AWSRequest("POST", plain.url, dict(plain.headers), plain.body)
    SigV4Auth(keys, "sts", "eu-central-1").add_auth(request)
    signature = request.headers["Authorization"].rpartition("=")[2]
    proof = Proof(request.headers["X-Amz-Date"], keys.access_key, signature, keys.token or "")
    return proof.request(AUDIENCE, ASKED, endpoint)


def send(request: IdentityRequest) -> urllib3.BaseHTTPResponse:
    return urllib3.request(
        "POST", request.url, body=request.body, headers=dict(request.headers), timeout=PATIENCE_SECONDS
    )


def user(cloud: ServedCloud) -> tuple[str, Credentials]:
    """Create a user without any permission; return its ARN and credentials."""
    iam, name = cloud.client("iam"), f"signs-{uuid.uuid4().hex[:8]}"
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return arn, Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def session(cloud: ServedCloud) -> tuple[str, Credentials]:
    role = f"signs-{uuid.uuid4().hex[:8]}"
    cloud.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument="{}")
    arn = f"arn:aws:iam::123456789012:role/{role}"
    given = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="ann@example.org")["Credentials"]
    keys = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return f"arn:aws:sts::123456789012:assumed-role/{role}/ann@example.org", keys


@pytest.mark.parametrize("who", [user, session])
def test_the_signer_is_identified_without_any_permission(cloud: ServedCloud, who: Any) -> None:
    arn, keys = who(cloud)
    answer = send(signed(cloud, keys))
    assert answer.status == 200
    identity = read_identity(answer.data)
    assert (identity.arn, identity.account) == (arn, "123456789012")


@pytest.mark.parametrize("who", [user, session])
@pytest.mark.parametrize(
    "name", ["x-imagegate-audience", "x-imagegate-request", "x-amz-date", "content-type"]
)
def test_a_signed_header_that_was_changed_is_noticed(cloud: ServedCloud, who: Any, name: str) -> None:
    request = signed(cloud, who(cloud)[1])
    changes = {name: request.headers[name].replace("0", "1").replace("live", "other").replace("utf", "UTF")}
    assert changes[name] != request.headers[name]
    assert send(replace(request, headers={**request.headers, **changes})).status == 403
    assert send(request).status == 200


def test_another_key_token_body_or_secret_is_noticed(cloud: ServedCloud) -> None:
    (_, ann), (_, role) = user(cloud), session(cloud)
    request = signed(cloud, ann)
    assert send(signed(cloud, Credentials(ann.access_key, "secret"))).status == 403
    assert send(signed(cloud, Credentials("AKIAIOSFODNN7EXAMPLE", ann.secret_key))).status == 403
    assert send(signed(cloud, Credentials(role.access_key, role.secret_key, "other"))).status == 403
    assert send(replace(request, body=request.body + b"&a=b")).status == 403
    other = request.headers["authorization"].replace(ann.access_key, user(cloud)[1].access_key)
    assert send(replace(request, headers={**request.headers, "authorization": other})).status == 403
