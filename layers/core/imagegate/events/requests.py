"""What people ask of `decide`, and who asks: calls of a Lambda function URL (payload format 2.0, AWS_IAM).

By its alias for links alone it takes a decision as it is. All others come with a proof of who calls (`proven`), each by
the alias of the power that it takes: so IAM grants them apart.

Source: AWS Lambda developer guide, "Invoking Lambda function URLs".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from imagegate.errors import (
    AccessRefusedError,
    ImageGateError,
    InvalidEventError,
    RecordNotFoundError,
    RejectedInputError,
)
from imagegate.events.desk import Desk
from imagegate.events.proven import CheckCaller, ProvenEnvelope, SignedRequest
from imagegate.grants.approval import Choice
from imagegate.grants.approval_link import LONGEST_TOKEN
from imagegate.grants.break_glass import BreakGlass
from imagegate.grants.caller_proof import NOBODY, Identity, ProofRefusedError
from imagegate.grants.power import power_of
from imagegate.grants.results import ApprovalResult
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.file.packages import PACKAGE_URL, package_url
from imagegate.policy.file.values import Vulnerability
from imagegate.policy.waiver import JUSTIFICATIONS, Waiver
from imagegate.release.release import Release, ReleaseId, StartReason
from imagegate.release.revocation import Revocation
from imagegate.text import is_one_line, one_line

# Of the function; the approval page may call this one, and so cannot say that it is somebody.
LINKS_ALIAS = "by-link"
_LONGEST = 64_000  # of a body

_Parsed = TypeVar("_Parsed")


def _plain(value: str) -> str:
    """What people write is shown to others: it holds nothing that could break out of its line."""
    if is_one_line(value):
        return value
    raise PydanticCustomError(
        "not_one_line",
        "must be one line of printable text, not {shown}",
        {"shown": repr(one_line(value, 60))},
    )


Plain = Annotated[str, Field(max_length=500), AfterValidator(_plain)]
Text = Annotated[Plain, Field(min_length=1)]


def _package(value: str) -> str:
    """As the policy's file has it: a package URL that is written otherwise would silently match nothing."""
    if not value.startswith(PACKAGE_URL):
        return value
    package_url(value)
    return value.replace("/@", "/%40")  # purl-spec: so a namespace is written in package URLs


class _DecideRequest(BaseModel):
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


class WaiveRequest(_DecideRequest):
    action: Literal["waive"]
    waiver: WaiverModel

    def carry_out(self, desk: Desk, caller: str, now: datetime) -> dict[str, Any]:
        granted = desk.waivers().waive(self.waiver.as_waiver(), caller, now)
        return {
            "waiver": {"id": granted.waiver.id, **granted.waiver.as_json()},
            "isNew": granted.is_new,
            "released": list(map(_named, granted.freed)),
        }


class WithdrawRequest(_DecideRequest):
    action: Literal["withdraw"]
    id: Text

    def carry_out(self, desk: Desk, caller: str, now: datetime) -> dict[str, Any]:
        """The name tells what it is: `w-…` or `b-…`."""
        if self.id.startswith("b-"):
            glass = desk.glass().mend(self.id, caller, now)
            return {"breakGlass": {"id": glass.id, **glass.as_json()}}
        waiver = desk.waivers().withdraw(self.id, caller, now)
        return {"waiver": {"id": waiver.id, **waiver.as_json()}}


class BreakGlassRequest(_DecideRequest):
    action: Literal["break-glass"]
    repositories: Text
    digest: str
    reason: Text
    expires: AwareDatetime

    def carry_out(self, desk: Desk, caller: str, now: datetime) -> dict[str, Any]:
        now, ends = now.replace(microsecond=0), self.expires.astimezone(UTC).replace(microsecond=0)
        asked = BreakGlass(self.repositories, Digest.parse(self.digest), self.reason, ends, now, caller)
        broken = desk.glass().run(asked, now)
        return {
            "breakGlass": {"id": broken.glass.id, **broken.glass.as_json()},
            "isNew": broken.is_new,
            "released": list(map(_named, broken.resumed)),
        }


class RevokeRequest(_DecideRequest):
    """`onward`: also what the gates after this one have signed."""

    action: Literal["revoke"]
    repository: Text
    digest: str
    reason: Text
    onward: bool = True

    def carry_out(self, desk: Desk, caller: str, now: datetime) -> dict[str, Any]:
        image = ImageRef.of(self.repository, self.digest)
        revocation = Revocation(now.replace(microsecond=0), caller, self.reason)
        done = desk.revocations().run(image, revocation, onward=self.onward)
        runs_in = done.runs_in
        return {
            "repository": image.repository,
            "digest": str(image.digest),
            "revocation": done.revocation.as_json(),
            "stages": list(done.stages),
            "repositories": [place.repository for place in done.places],
            "signatures": done.signatures,
            "runsIn": None
            if runs_in is None
            else [{"cluster": one.cluster, "running": one.units} for one in runs_in],
        }


class ApprovalDecision(_DecideRequest):
    """About one attempt: what another one would come to is not what was looked at."""

    action: Literal["approve", "reject"]
    repository: Text
    digest: str
    attempt: int = Field(ge=1)
    reason: Plain = ""

    def carry_out(self, desk: Desk, caller: str, now: datetime) -> dict[str, Any]:
        release = ReleaseId(ImageRef.of(self.repository, self.digest), self.attempt)
        return decided(desk.approvals().run(release, caller, Choice(self.action), self.reason, now))


class RollbackRequest(_DecideRequest):
    """`from`: what whoever asks takes for the last release."""

    action: Literal["rollback"]
    repository: Text
    to: str
    from_: str = Field(alias="from")
    reason: Text

    def carry_out(self, desk: Desk, caller: str, now: datetime) -> dict[str, Any]:
        to, came_from = Digest.parse(self.to), Digest.parse(self.from_)
        return desk.rollbacks().run(self.repository, to, came_from, caller, self.reason, now).as_json()


class ReleaseRequest(_DecideRequest):
    """By hand, also again; `adopt`: of an image from before the installation."""

    action: Literal["release"]
    repository: Text
    digest: str
    tags: Annotated[list[Text], Field(min_length=1, max_length=1000)]
    adopt: bool = False

    def carry_out(self, desk: Desk, caller: str, now: datetime) -> dict[str, Any]:
        image = ImageRef.of(self.repository, self.digest)
        reason = StartReason.ADOPTED if self.adopt else StartReason.OPERATOR
        return {"order": desk.orders().run(image, self.tags, reason, caller, now).as_json()}


class LinkDecision(_DecideRequest):
    """By whoever has the link: it says who that is, and about what."""

    action: Literal["decide-by-link"]
    token: Annotated[str, Field(max_length=LONGEST_TOKEN)]
    reason: Plain = ""

    def carry_out(self, desk: Desk, caller: str, now: datetime) -> dict[str, Any]:
        link = desk.links().read(self.token, now)
        if link.purpose.choice is None:
            raise InvalidEventError("this link shows, and decides nothing")
        done = desk.approvals().run(link.release, link.approver, link.purpose.choice, self.reason, now)
        return {**decided(done), "by": link.approver}


def decided(done: ApprovalResult) -> dict[str, Any]:
    """What it comes to, and who has decided so far."""
    return {
        "standing": str(done.status),
        "approving": len(done.request.approving(done.decided)),
        "request": done.request.as_json(),
        "decided": [one.as_json() for one in done.decided],
    }


def _named(release: Release) -> dict[str, Any]:
    image = release.image
    return {"repository": image.repository, "digest": str(image.digest), "tags": sorted(release.tags)}


Decision = (
    WaiveRequest
    | WithdrawRequest
    | BreakGlassRequest
    | RevokeRequest
    | ApprovalDecision
    | LinkDecision
    | RollbackRequest
    | ReleaseRequest
)
_ANY: TypeAdapter[Decision] = TypeAdapter(Annotated[Decision, Field(discriminator="action")])


def called_by(event: dict[str, Any]) -> str:
    """The ARN of the caller, as IAM has authenticated it. Raises `AccessRefusedError` where nobody did."""
    try:
        arn = event["requestContext"]["authorizer"]["iam"]["userArn"]
    except (KeyError, TypeError):
        arn = None
    if not isinstance(arn, str) or not arn.startswith("arn:"):
        raise AccessRefusedError("nobody is named by IAM: call the function's URL with a signed request")
    return arn


def asked(
    event: dict[str, Any], function_arn: str, check: CheckCaller, now: datetime
) -> tuple[Identity, Decision]:
    """Who asks for what; `function_arn`: as it was called. By its alias for links it knows no caller, and takes links.

    Raises `AccessRefusedError` or `InvalidEventError`.
    """
    if function_arn.endswith(f":{LINKS_ALIAS}"):
        link = parse_decision(event)
        if not isinstance(link, LinkDecision):
            raise AccessRefusedError("only links are decided by here")
        return NOBODY, link
    named, envelope = called_by(event), _envelope(event)
    signed = _parsed(lambda: SignedRequest.model_validate_json(envelope.request))
    request = _parsed(lambda: _ANY.validate_python(signed.decision))
    if isinstance(request, LinkDecision):
        raise AccessRefusedError("links are decided by through their page")
    power = power_of(request.action, getattr(request, "id", ""))
    if not function_arn.endswith(f":{power}"):
        raise AccessRefusedError(
            f"to {request.action} is a power of its own: call the URL of the stack's output {power.output}"
        )
    return check.run(named, envelope, signed, function_arn, now), request


def parse_decision(event: dict[str, Any]) -> Decision:
    """Raise `InvalidEventError` that names every field at fault."""
    content = _content(event)
    return _parsed(lambda: _ANY.validate_json(content))


def _envelope(event: dict[str, Any]) -> ProvenEnvelope:
    content = _content(event)
    try:
        return _parsed(lambda: ProvenEnvelope.model_validate_json(content))
    except InvalidEventError as error:
        message = "there is no whole proof of who calls: imagegate of this gate's own version sends one"
        raise ProofRefusedError(message) from error


def _content(event: dict[str, Any]) -> bytes:
    body = event.get("body")
    if not isinstance(body, str) or not 0 < len(body) <= _LONGEST:
        raise InvalidEventError(f"the body must be a JSON object of at most {_LONGEST} bytes")
    try:
        return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError as error:
        raise InvalidEventError(f"the body cannot be read: {error}") from error


def _parsed(parse: Callable[[], _Parsed]) -> _Parsed:
    try:
        return parse()
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidEventError(f"not a decision: {faults}") from error


def answer(error: ImageGateError) -> tuple[int, dict[str, Any]]:
    """The HTTP status and body for a refusal or a fault that passes."""
    status = 503
    for kind, code in ((AccessRefusedError, 403), (RecordNotFoundError, 404), (RejectedInputError, 400)):
        if isinstance(error, kind):
            status = code
            break
    return status, {"error": type(error).__name__, "message": str(error)}


def responded(status: int, told: dict[str, Any]) -> dict[str, Any]:
    """What a function URL answers (payload format 2.0)."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(told),
    }
