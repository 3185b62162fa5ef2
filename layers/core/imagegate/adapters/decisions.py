"""What people ask of `decide`, and who asks: calls of a Lambda function URL (payload format 2.0, AWS_IAM).

Source: AWS Lambda developer guide, "Invoking Lambda function URLs".
"""

from __future__ import annotations

import base64
import binascii
from datetime import date, datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from imagegate.adapters.policy_packages import PACKAGE_URL, package_url
from imagegate.adapters.policy_values import Vulnerability
from imagegate.domain.errors import (
    AccessRefusedError,
    ImageGateError,
    InvalidEventError,
    RecordNotFoundError,
    RejectedInputError,
)
from imagegate.domain.image import Digest
from imagegate.domain.waiver import JUSTIFICATIONS, Waiver

_LONGEST = 20_000  # bytes of a body

Text = Annotated[str, Field(min_length=1, max_length=500)]


def _package(value: str) -> str:
    """As the policy's file has it: a package URL that is written otherwise would silently match nothing."""
    if not value.startswith(PACKAGE_URL):
        return value
    package_url(value)
    return value.replace("/@", "/%40")  # purl-spec: so a namespace is written in package URLs


class Granted(Protocol):
    @property
    def waiver(self) -> Waiver: ...
    @property
    def is_new(self) -> bool: ...
    @property
    def freed(self) -> Any: ...


class Decides(Protocol):
    """The step that carries it out."""

    def waive(self, waiver: Waiver, by: str, now: datetime) -> Granted: ...

    def withdraw(self, waiver_id: str, by: str, now: datetime) -> Waiver: ...


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(alias="schema")


class WaiverModel(BaseModel):
    """A waiver as it is asked for: who grants it, and when, is not for the caller to say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    owner: Text
    reason: Text
    expires: date
    rule: Text | None = None
    vulnerability: Vulnerability | None = None
    package: Annotated[Text, AfterValidator(_package)] | None = None
    repositories: Text | None = None
    digest: str | None = None
    ticket: Text | None = None
    until: Literal["fix_available"] | None = None
    justification: str | None = None

    def as_waiver(self) -> Waiver:
        if self.rule and self.vulnerability:
            raise InvalidEventError("a waiver is about a vulnerability or about a rule, not about both")
        if self.justification and self.justification not in JUSTIFICATIONS:
            raise InvalidEventError(f"justification must be one of {', '.join(JUSTIFICATIONS)}")
        given = self.model_dump(exclude={"digest", "until"})
        digest = Digest.parse(self.digest) if self.digest else None
        return Waiver(**given, digest=digest, until_fix=self.until is not None)


class WaiveRequest(_Request):
    action: Literal["waive"]
    waiver: WaiverModel

    def carry_out(self, step: Decides, caller: str, now: datetime) -> dict[str, Any]:
        granted = step.waive(self.waiver.as_waiver(), caller, now)
        return {
            "waiver": {"id": granted.waiver.id, **granted.waiver.as_json()},
            "isNew": granted.is_new,
            "released": [
                {"repository": r.image.repository, "digest": str(r.image.digest), "tags": sorted(r.tags)}
                for r in granted.freed
            ],
        }


class WithdrawRequest(_Request):
    action: Literal["withdraw"]
    id: Text

    def carry_out(self, step: Decides, caller: str, now: datetime) -> dict[str, Any]:
        waiver = step.withdraw(self.id, caller, now)
        return {"waiver": {"id": waiver.id, **waiver.as_json()}}


_ANY: TypeAdapter[WaiveRequest | WithdrawRequest] = TypeAdapter(
    Annotated[WaiveRequest | WithdrawRequest, Field(discriminator="action")]
)


def called_by(event: dict[str, Any]) -> str:
    """The ARN of the caller, as IAM has authenticated it. Raises `AccessRefusedError` where nobody did."""
    try:
        arn = event["requestContext"]["authorizer"]["iam"]["userArn"]
    except (KeyError, TypeError):
        arn = None
    if not isinstance(arn, str) or not arn.startswith("arn:"):
        raise AccessRefusedError("nobody is named by IAM: call the function's URL with a signed request")
    return arn


def parse_decision(event: dict[str, Any]) -> WaiveRequest | WithdrawRequest:
    """Raise `InvalidEventError` that names every field at fault."""
    body = event.get("body")
    try:
        content = base64.b64decode(body or "", validate=True) if event.get("isBase64Encoded") else body
        if not content or len(content) > _LONGEST:
            raise InvalidEventError(f"the body must be a JSON object of at most {_LONGEST} bytes")
        return _ANY.validate_json(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidEventError(f"not a decision: {faults}") from error
    except (binascii.Error, TypeError) as error:
        raise InvalidEventError(f"the body cannot be read: {error}") from error


def answer(error: ImageGateError) -> tuple[int, dict[str, Any]]:
    """The HTTP status and body for a refusal or a fault that passes."""
    status = 503
    for kind, code in ((AccessRefusedError, 403), (RecordNotFoundError, 404), (RejectedInputError, 400)):
        if isinstance(error, kind):
            status = code
            break
    return status, {"error": type(error).__name__, "message": str(error)}
