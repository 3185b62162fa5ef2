"""A caller with keys, and an STS that checks their signatures by botocore's own code."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from imagegate.events.proven import CheckCaller
from imagegate.grants.caller_proof import (
    BODY,
    Audience,
    Identity,
    IdentityRequest,
    Proof,
    ProofRefusedError,
    identity_request,
)
from imagegate.oci.image import Digest

FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:imagegate-decide:waive"
_SIGNED = ("content-type", "x-amz-security-token", "x-imagegate-audience", "x-imagegate-request")


@dataclass(frozen=True)
class Caller:
    arn: str
    key_id: str = "AKIAIOSFODNN7EXAMPLE"
    secret: str = "secret"
    token: str = ""

    @property
    def identity(self) -> Identity:
        return Identity(self.arn, f"AIDA{self.arn.rpartition('/')[2].upper()}", self.arn.split(":")[4])

    def signature(self, request: IdentityRequest, region: str, date: str) -> str:
        headers = {name: request.headers[name] for name in _SIGNED if name in request.headers}
        signed = AWSRequest("POST", request.url, {**headers, "X-Amz-Date": date}, request.body)
        signed.context["timestamp"] = date
        auth = SigV4Auth(Credentials(self.key_id, self.secret, self.token or None), "sts", region)
        told: str = auth.signature(auth.string_to_sign(signed, auth.canonical_request(signed)), signed)
        return told

    def proof(self, asked: str, now: datetime, function: str = FUNCTION) -> dict[str, str]:
        """Return a proof as the command line makes it, at another time."""
        audience = Audience.parse(function)
        plain = identity_request(audience, asked, audience.sts)
        token = {"x-amz-security-token": self.token} if self.token else {}
        date = now.strftime("%Y%m%dT%H%M%SZ")
        request = IdentityRequest(plain.url, {**plain.headers, **token})
        told = {
            "date": date,
            "accessKeyId": self.key_id,
            "signature": self.signature(request, audience.region, date),
        }
        return told | ({"sessionToken": self.token} if self.token else {})

    def asks(self, decision: Any, now: datetime, function: str = FUNCTION, nonce: int = 0) -> dict[str, Any]:
        """Return the event of a call of the function's URL."""
        expires = (now + timedelta(minutes=5)).isoformat()
        asked = json.dumps({"nonce": f"{nonce:032x}", "expires": expires, "decision": decision})
        return event(self.arn, asked, self.proof(asked, now, function))


def event(arn: str | None, asked: str, proof: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "2.0",
        "requestContext": {"authorizer": {"iam": {"userArn": arn, "accountId": "123456789012"}}},
        "body": json.dumps({"schema": 2, "request": asked, "proof": proof}),
        "isBase64Encoded": False,
    }


@dataclass
class FakeSts:
    """STS as `StsIdentities` sees it, and what was used before."""

    callers: tuple[Caller, ...]
    used: set[Digest] = field(default_factory=set)
    asked: list[IdentityRequest] = field(default_factory=list)

    def identity(self, proof: Proof, audience: Audience, asked: str) -> Identity:
        request = proof.request(audience, asked, audience.sts)
        self.asked.append(request)
        assert request.body == BODY
        for caller in self.callers:
            is_signed = caller.signature(request, audience.region, proof.date) == proof.signature
            if (caller.key_id, caller.token) == (proof.access_key_id, proof.session_token) and is_signed:
                return caller.identity
        raise ProofRefusedError("STS does not confirm who calls")

    def use(self, asked: Digest, until: datetime) -> bool:
        is_new = asked not in self.used
        self.used.add(asked)
        return is_new

    @property
    def check(self) -> CheckCaller:
        return CheckCaller(lambda: self, lambda: self)
