"""The shape of approval: `none`, `required`, or a mapping."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.file.schema.shape import Shape
from imagegate.policy.file.values import OFF, DecisionTime, matching, pattern_schema
from imagegate.policy.file.yaml import describe

_WORDS = ("none", "required", OFF)
_TERMS = ApprovalTerms()
# IAM user guide, "IAM ARNs": a user or a role, also as a glob; or a tag of users and roles.
_APPROVER = re.compile(
    r"arn:[a-z0-9-]+:iam::(\d{12}|\*):(user|role)/[\w+=,.@/*?-]+|tag:[\w+./:@-]+=[\w+=./:@ -]*"
)
_ROLE = re.compile(r"arn:[a-z0-9-]+:iam::(\d{12}|\*):role/[\w+=,.@*?-]+")
_ADDRESS = re.compile(r"[^@\s,<>\"]+@[^@\s,<>\"]+\.[^@\s,<>\".]+")
_MAX_ENTRIES = 50


_Approver = Annotated[
    str,
    BeforeValidator(
        matching(
            _APPROVER,
            "the ARN of a user or role (arn:aws:iam::123456789012:role/name), or tag:KEY=VALUE",
        )
    ),
    pattern_schema(_APPROVER),
]
_Role = Annotated[
    str,
    BeforeValidator(
        matching(_ROLE, "the ARN of a role, without its path (arn:aws:iam::123456789012:role/name)")
    ),
    pattern_schema(_ROLE),
]
_Address = Annotated[
    str,
    BeforeValidator(matching(_ADDRESS, "an e-mail address")),
    WithJsonSchema({"type": "string", "format": "email"}),
]


class ApprovalShape(Shape):
    """The conditions for an image to enter the stage."""

    approvers: Annotated[list[_Approver], Field(max_length=_MAX_ENTRIES)] = Field(
        default=[],
        description="Who may decide: ARNs of users and roles, also with *, and tag:KEY=VALUE for all who have that "
        "tag. Default: everybody who has the power to approve.",
        examples=[["arn:aws:iam::123456789012:role/release-managers", "tag:team=platform"]],
    )
    quorum: Annotated[int, Field(ge=1, le=20)] = Field(
        default=_TERMS.quorum,
        description="How many people have to approve. One rejection keeps the image out.",
    )
    expires: DecisionTime = Field(
        default=_TERMS.expires,
        description="An image that nobody decides about in this time stays out: 5m to 90d. Default: 7d.",
    )
    reason: Literal["required", "optional"] = Field(
        default="optional", description="Whether a decision needs a reason."
    )
    by_mail: Annotated[list[_Address], Field(max_length=_MAX_ENTRIES)] = Field(
        default=[],
        description="Who gets a mail with links to decide by, without IAM. Not for the last stage.",
        examples=[["ann@example.com"]],
    )
    named_sessions: Annotated[list[_Role], Field(max_length=_MAX_ENTRIES)] = Field(
        default=[],
        description="Roles whose sessions are named after people, because their trust policy says so: each name "
        "counts as a person. Of all other roles, all sessions are one; IAM Identity Center's are named by themselves.",
        examples=[["arn:aws:iam::123456789012:role/release-managers"]],
    )

    def terms(self) -> ApprovalTerms:
        return ApprovalTerms(
            approvers=tuple(self.approvers),
            quorum=self.quorum,
            expires=self.expires,
            needs_reason=self.reason == "required",
            by_mail=tuple(self.by_mail),
            named_sessions=tuple(self.named_sessions),
        )


def _approval(value: object) -> object:
    """Read a word or a mapping; `required` is a mapping with all defaults."""
    if value in (None, "none", OFF):
        return None
    if value == "required":
        return ApprovalShape.model_construct(
            approvers=[],
            quorum=_TERMS.quorum,
            expires=_TERMS.expires,
            reason="optional",
            by_mail=[],
            named_sessions=[],
        )
    if not isinstance(value, dict):
        raise ValueError(f"must be none, required or a mapping, not {describe(value)}")
    return value


def _allow_words(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [
        {"enum": list(_WORDS)},
        *(part for part in schema["anyOf"] if part != {"type": "null"}),
    ]
    schema["default"] = "none"


Approval = Annotated[ApprovalShape | None, BeforeValidator(_approval), Field(json_schema_extra=_allow_words)]
