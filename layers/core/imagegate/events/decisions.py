"""The body of a request to `decide`, as pydantic models: what a person may decide, one model per action."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import PydanticCustomError

from imagegate.errors import InvalidEventError
from imagegate.grants.approval import Choice
from imagegate.grants.approval_link import LONGEST_TOKEN
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.file.schema.packages import PACKAGE_URL, match_package_url
from imagegate.policy.file.values import Vulnerability
from imagegate.policy.waiver import JUSTIFICATIONS, Waiver
from imagegate.release.release import ReleaseId, StartReason
from imagegate.text import is_one_line, one_line
from imagegate.workflow.decide.requests import (
    ApprovalDecisionRequest,
    BreakGlassRequest,
    LinkDecisionRequest,
    ReleaseByHandRequest,
    RevokeRequest,
    RollbackRequest,
    WaiveRequest,
    WithdrawBreakGlassRequest,
    WithdrawWaiverRequest,
)


def _check_one_line(value: str) -> str:
    """Return the text if it is one printable line: others will read it beside other texts."""
    if is_one_line(value):
        return value
    raise PydanticCustomError(
        "not_one_line",
        "must be one line of printable text, not {shown}",
        {"shown": repr(one_line(value, 60))},
    )


Plain = Annotated[str, Field(max_length=500), AfterValidator(_check_one_line)]
Text = Annotated[Plain, Field(min_length=1)]


def _normalize_package(value: str) -> str:
    """Check a package URL and escape its namespace, as the policy file does: otherwise it would match nothing."""
    if not value.startswith(PACKAGE_URL):
        return value
    match_package_url(value)
    return value.replace("/@", "/%40")  # how purl-spec writes a namespace that begins with @


class _DecisionModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(alias="schema")


class WaiverModel(BaseModel):
    """A requested waiver. The caller does not say who grants it, and when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    owner: Text
    reason: Text
    expires: date
    rule: Text | None = None
    vulnerability: Vulnerability | None = None
    package: Annotated[Text, AfterValidator(_normalize_package)] | None = None
    repositories: Text | None = None
    digest: str | None = None
    ticket: Text | None = None
    until: Literal["fix_available"] | None = None
    justification: str | None = None

    def as_waiver(self) -> Waiver:
        """Raise `InvalidEventError` or `InvalidDigestError`."""
        if self.rule and self.vulnerability:
            raise InvalidEventError("a waiver is about a vulnerability or about a rule, not about both")
        if self.justification and self.justification not in JUSTIFICATIONS:
            raise InvalidEventError(f"justification must be one of {', '.join(JUSTIFICATIONS)}")
        fields = self.model_dump(exclude={"digest", "until"})
        digest = Digest.parse(self.digest) if self.digest else None
        return Waiver(**fields, digest=digest, until_fix=self.until is not None)


class WaiveModel(_DecisionModel):
    action: Literal["waive"]
    waiver: WaiverModel

    def as_request(self) -> WaiveRequest:
        return WaiveRequest(self.waiver.as_waiver())


class WithdrawModel(_DecisionModel):
    action: Literal["withdraw"]
    id: Text

    def as_request(self) -> WithdrawWaiverRequest | WithdrawBreakGlassRequest:
        """Return a request about a waiver (`w-…`) or about a break-glass (`b-…`)."""
        if self.id.startswith("b-"):
            return WithdrawBreakGlassRequest(self.id)
        return WithdrawWaiverRequest(self.id)


class BreakGlassModel(_DecisionModel):
    action: Literal["break-glass"]
    repositories: Text
    digest: str
    reason: Text
    expires: AwareDatetime

    def as_request(self) -> BreakGlassRequest:
        return BreakGlassRequest(self.repositories, Digest.parse(self.digest), self.reason, self.expires)


class RevokeModel(_DecisionModel):
    """`onward` also revokes what the gates after this one signed."""

    action: Literal["revoke"]
    repository: Text
    digest: str
    reason: Text
    onward: bool = True

    def as_request(self) -> RevokeRequest:
        return RevokeRequest(ImageRef.of(self.repository, self.digest), self.reason, self.onward)


class ApprovalDecisionModel(_DecisionModel):
    action: Literal["approve", "reject"]
    repository: Text
    digest: str
    attempt: int = Field(ge=1)
    reason: Plain = ""

    def as_request(self) -> ApprovalDecisionRequest:
        release = ReleaseId(ImageRef.of(self.repository, self.digest), self.attempt)
        return ApprovalDecisionRequest(release, Choice(self.action), self.reason)


class LinkDecisionModel(_DecisionModel):
    action: Literal["decide-by-link"]
    token: Annotated[str, Field(max_length=LONGEST_TOKEN)]
    reason: Plain = ""

    def as_request(self) -> LinkDecisionRequest:
        return LinkDecisionRequest(self.token, self.reason)


class RollbackModel(_DecisionModel):
    """`from` is the image that the caller believes to be the current release."""

    action: Literal["rollback"]
    repository: Text
    to: str
    from_: str = Field(alias="from")
    reason: Text

    def as_request(self) -> RollbackRequest:
        to, came_from = Digest.parse(self.to), Digest.parse(self.from_)
        return RollbackRequest(repository=self.repository, to=to, came_from=came_from, reason=self.reason)


class ReleaseByHandModel(_DecisionModel):
    """`adopt` is for an image from before the installation."""

    action: Literal["release"]
    repository: Text
    digest: str
    tags: Annotated[list[Text], Field(min_length=1, max_length=1000)]
    adopt: bool = False

    def as_request(self) -> ReleaseByHandRequest:
        reason = StartReason.ADOPTED if self.adopt else StartReason.OPERATOR
        return ReleaseByHandRequest(ImageRef.of(self.repository, self.digest), tuple(self.tags), reason)


DecisionModel = (
    WaiveModel
    | WithdrawModel
    | BreakGlassModel
    | RevokeModel
    | ApprovalDecisionModel
    | LinkDecisionModel
    | RollbackModel
    | ReleaseByHandModel
)
ANY_DECISION: TypeAdapter[DecisionModel] = TypeAdapter(
    Annotated[DecisionModel, Field(discriminator="action")]
)
