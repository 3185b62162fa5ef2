"""The body of a request to `decide`, as typed models: what a person may decide, one model per action."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field, structs

from imagegate.errors import InvalidEventError
from imagegate.grants.approval import Choice
from imagegate.grants.approval_link import LONGEST_TOKEN
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.names import A_VULNERABILITY, PACKAGE_URL, VULNERABILITY, match_package_url
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

Plain = Annotated[str, Meta(max_length=500)]
Text = Annotated[str, Meta(min_length=1, max_length=500)]


class _Texts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields whose texts are each one printable line: others will read them beside other texts."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for a text of more than one line, or of spaces alone: it would be no reason."""
        for name, value in structs.asdict(self).items():
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and not is_one_line(text):
                    raise ValueError(f"{name} must be one line of printable text, not {one_line(text, 60)!r}")
                if isinstance(text, str) and text.isspace():
                    raise ValueError(f"{name} must have more than spaces")


class _DecisionModel(_Texts, frozen=True, kw_only=True, tag_field="action"):
    schema_: Literal[1] = field(name="schema")

    @property
    def action(self) -> str:
        return str(self.__struct_config__.tag)

    def about(self) -> dict[str, str]:
        """Return the release or the image that the decision names, and the action, for the log."""
        names = {name: getattr(self, name, None) for name in ("repository", "digest", "attempt")}
        named = {"action": self.action}
        if names["repository"] and names["digest"]:
            image = f"{names['repository']}@{names['digest']}"
            named |= (
                {"release": f"{image} attempt {names['attempt']}"} if names["attempt"] else {"image": image}
            )
        return named


class WaiverModel(_Texts, frozen=True, kw_only=True):
    """A requested waiver. The caller does not say who grants it, and when."""

    owner: Text
    reason: Text
    expires: date
    rule: Text | None = None
    vulnerability: str | None = None
    package: Text | None = None
    repositories: Text | None = None
    digest: str | None = None
    ticket: Text | None = None
    until: Literal["fix_available"] | None = None
    justification: str | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` for a name that would match nothing."""
        super().__post_init__()
        if self.vulnerability is not None and not VULNERABILITY.fullmatch(self.vulnerability):
            raise ValueError(f"vulnerability must be {A_VULNERABILITY}, not {self.vulnerability!r:.80}")
        if self.package and self.package.startswith(PACKAGE_URL):
            match_package_url(self.package)

    def as_waiver(self) -> Waiver:
        """Raise `InvalidEventError` or `InvalidDigestError`."""
        if self.rule and self.vulnerability:
            raise InvalidEventError("a waiver is about a vulnerability or about a rule, not about both")
        if self.justification and self.justification not in JUSTIFICATIONS:
            raise InvalidEventError(f"justification must be one of {', '.join(JUSTIFICATIONS)}")
        fields = structs.asdict(self)
        until = fields.pop("until")
        fields["digest"] = Digest.parse(self.digest) if self.digest else None
        if self.package and self.package.startswith(PACKAGE_URL):
            fields["package"] = self.package.replace(
                "/@", "/%40"
            )  # purl-spec: a namespace that begins with @
        return Waiver(**fields, until_fix=until is not None)


class WaiveModel(_DecisionModel, frozen=True, kw_only=True, tag="waive"):
    waiver: WaiverModel

    def as_request(self) -> WaiveRequest:
        return WaiveRequest(self.waiver.as_waiver())


class WithdrawModel(_DecisionModel, frozen=True, kw_only=True, tag="withdraw"):
    id: Text

    def as_request(self) -> WithdrawWaiverRequest | WithdrawBreakGlassRequest:
        """Return a request about a waiver (`w-…`) or about a break-glass (`b-…`)."""
        if self.id.startswith("b-"):
            return WithdrawBreakGlassRequest(self.id)
        return WithdrawWaiverRequest(self.id)


class BreakGlassModel(_DecisionModel, frozen=True, kw_only=True, tag="break-glass"):
    repositories: Text
    digest: str
    reason: Text
    expires: Annotated[datetime, Meta(tz=True)]

    def as_request(self) -> BreakGlassRequest:
        return BreakGlassRequest(self.repositories, Digest.parse(self.digest), self.reason, self.expires)


class RevokeModel(_DecisionModel, frozen=True, kw_only=True, tag="revoke"):
    """`onward` also revokes what the gates after this one signed."""

    repository: Text
    digest: str
    reason: Text
    onward: bool = True

    def as_request(self) -> RevokeRequest:
        return RevokeRequest(ImageRef.of(self.repository, self.digest), self.reason, self.onward)


class _ApprovalDecisionModel(_DecisionModel, frozen=True, kw_only=True):
    repository: Text
    digest: str
    attempt: Annotated[int, Meta(ge=1)]
    reason: Plain = ""

    def as_request(self) -> ApprovalDecisionRequest:
        release = ReleaseId(ImageRef.of(self.repository, self.digest), self.attempt)
        return ApprovalDecisionRequest(release, Choice(self.action), self.reason)


class ApproveModel(_ApprovalDecisionModel, frozen=True, kw_only=True, tag="approve"):
    """An approval."""


class RejectModel(_ApprovalDecisionModel, frozen=True, kw_only=True, tag="reject"):
    """A rejection."""


class LinkDecisionModel(_DecisionModel, frozen=True, kw_only=True, tag="decide-by-link"):
    token: Annotated[str, Meta(max_length=LONGEST_TOKEN)]
    reason: Plain = ""

    def as_request(self) -> LinkDecisionRequest:
        return LinkDecisionRequest(self.token, self.reason)


class RollbackModel(_DecisionModel, frozen=True, kw_only=True, tag="rollback"):
    """`from` is the image that the caller believes to be the current release."""

    repository: Text
    to: str
    from_: str = field(name="from")
    reason: Text

    def as_request(self) -> RollbackRequest:
        to, came_from = Digest.parse(self.to), Digest.parse(self.from_)
        return RollbackRequest(repository=self.repository, to=to, came_from=came_from, reason=self.reason)


class ReleaseByHandModel(_DecisionModel, frozen=True, kw_only=True, tag="release"):
    """`adopt` is for an image from before the installation."""

    repository: Text
    digest: str
    tags: Annotated[list[Text], Meta(min_length=1, max_length=1000)]
    adopt: bool = False

    def as_request(self) -> ReleaseByHandRequest:
        reason = StartReason.ADOPTED if self.adopt else StartReason.OPERATOR
        return ReleaseByHandRequest(ImageRef.of(self.repository, self.digest), tuple(self.tags), reason)


DecisionModel = (
    WaiveModel
    | WithdrawModel
    | BreakGlassModel
    | RevokeModel
    | ApproveModel
    | RejectModel
    | LinkDecisionModel
    | RollbackModel
    | ReleaseByHandModel
)
