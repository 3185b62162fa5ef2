"""What is asked of `decide`, with the proof of who asks: a caller's word, and Lambda's, are not enough.

```
{"schema": 2, "request": "<text>", "proof": {"date", "accessKeyId", "sessionToken", "signature"}}
<text>: {"nonce": "…", "expires": "2026-11-28T08:05:00Z", "decision": {"schema": 1, "action": …}}
```

Whoever may `lambda:InvokeFunction` can send any request context. So the caller whom it names counts only where AWS STS
says the same about whoever signed the exact text for this function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from imagegate.grants.caller_proof import (
    LONGEST_LIFE,
    REMEMBERED,
    Audience,
    Identity,
    Proof,
    ProofRefusedError,
)
from imagegate.oci.image import Digest

LONGEST = 20_000  # characters of what is asked


class Identities(Protocol):
    def identity(self, proof: Proof, audience: Audience, asked: str) -> Identity: ...


class Uses(Protocol):
    def use(self, asked: Digest, until: datetime) -> bool: ...


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class ProofModel(_Model):
    date: str
    access_key_id: str
    signature: str
    session_token: SecretStr = SecretStr("")

    @property
    def proof(self) -> Proof:
        return Proof(self.date, self.access_key_id, self.signature, self.session_token.get_secret_value())


class ProvenEnvelope(_Model):
    schema_: Literal[2] = Field(alias="schema")
    request: Annotated[str, Field(min_length=1, max_length=LONGEST)]
    proof: ProofModel


class SignedRequest(_Model):
    """`nonce` makes two requests of the same kind two."""

    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    expires: AwareDatetime
    decision: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CheckCaller:
    """Says who calls, once for each proof."""

    identities: Callable[[], Identities]
    uses: Callable[[], Uses]

    def run(
        self, named: str, envelope: ProvenEnvelope, signed: SignedRequest, function_arn: str, now: datetime
    ) -> Identity:
        """The caller, where STS and IAM agree. Raises `ProofRefusedError`. `named`: as the request context has it."""
        audience, proof = Audience.parse(function_arn), envelope.proof.proof
        proof.check_date(now)
        if not now < signed.expires <= now + LONGEST_LIFE:
            raise ProofRefusedError("what was asked has expired, or lives too long: ask again")
        found = self.identities().identity(proof, audience, envelope.request)
        if found.account != audience.account:
            raise ProofRefusedError(f"{found.arn} is of another account than this gate")
        if found.arn != named:
            raise ProofRefusedError(f"{found.arn} has signed, and somebody else is said to call")
        if not self.uses().use(Digest.of(envelope.request.encode()), now + REMEMBERED):
            raise ProofRefusedError("this request was sent before: ask again")
        return found
