"""A request to `decide` with the proof of its caller.

```
{"schema": 2, "request": "<text>", "proof": {"date", "accessKeyId", "sessionToken", "signature"}}
<text>: {"nonce": "…", "expires": "2026-11-28T08:05:00Z", "decision": {"schema": 1, "action": …}}
```

A principal with `lambda:InvokeFunction` can send any request context. So the caller that it names counts only if AWS
STS confirms that the same principal signed this exact text for this function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from msgspec import Meta, Struct, field

from imagegate.grants.caller_proof import (
    LONGEST_LIFE,
    REMEMBERED,
    Audience,
    Identity,
    Proof,
    ProofRefusedError,
)
from imagegate.oci.image import Digest

LONGEST = 20_000  # characters of a request


class Identities(Protocol):
    def identity(self, proof: Proof, audience: Audience, request: str) -> Identity: ...


class Uses(Protocol):
    def use(self, request: Digest, until: datetime) -> bool: ...


class ProofModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    date: str
    access_key_id: str
    signature: str
    session_token: str = ""

    def __repr__(self) -> str:
        return "ProofModel(…)"  # the token is a secret

    @property
    def proof(self) -> Proof:
        return Proof(self.date, self.access_key_id, self.signature, self.session_token)


class ProvenEnvelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema_: Literal[2] = field(name="schema")
    request: Annotated[str, Meta(min_length=1, max_length=LONGEST)]
    proof: ProofModel


class SignedRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text that the caller signs. `nonce` distinguishes two equal requests."""

    nonce: Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    expires: Annotated[datetime, Meta(tz=True)]
    decision: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CheckCaller:
    """Checks who the caller is. Each proof counts once."""

    identities: Callable[[], Identities]
    uses: Callable[[], Uses]

    def run(
        self, named: str, envelope: ProvenEnvelope, signed: SignedRequest, function_arn: str, now: datetime
    ) -> Identity:
        """Return the caller if STS and IAM agree. `named`: the ARN in the request context.

        Raises `ProofRefusedError`.
        """
        audience, proof = Audience.parse(function_arn), envelope.proof.proof
        proof.check_date(now)
        if not now < signed.expires <= now + LONGEST_LIFE:
            raise ProofRefusedError("the request has expired, or is valid for too long: send it again")
        identity = self.identities().identity(proof, audience, envelope.request)
        if identity.account != audience.account:
            raise ProofRefusedError(f"{identity.arn} is of another account than this gate")
        if identity.arn != named:
            raise ProofRefusedError(f"{identity.arn} signed the request, but somebody else called")
        if not self.uses().use(Digest.of(envelope.request.encode()), now + REMEMBERED):
            raise ProofRefusedError("this request was sent before: send a new one")
        return identity
