"""Who lets images into a stage, as the policy file says it: `none`, `required`, or a mapping."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from imagegate.policy.approval_terms import ApprovalTerms, stands_for_one
from imagegate.policy.file.shape import Shape
from imagegate.policy.file.values import OFF, DecisionTime
from imagegate.policy.file.yaml import Path, describe

_WORDS = ("none", "required", OFF)
_TERMS = ApprovalTerms()
# IAM user guide, "IAM ARNs": a user or a role, also as a glob; or a tag that is on it.
_APPROVER = re.compile(
    r"arn:[a-z0-9-]+:iam::(\d{12}|\*):(user|role)/[\w+=,.@/*?-]+|tag:[\w+./:@-]+=[\w+=./:@ -]*"
)
_ROLE = re.compile(r"arn:[a-z0-9-]+:iam::(\d{12}|\*):role/[\w+=,.@*?-]+")
_ADDRESS = re.compile(r"[^@\s,<>\"]+@[^@\s,<>\"]+\.[^@\s,<>\".]+")
_MOST = 50


def _approver(value: object) -> str:
    if not isinstance(value, str) or not _APPROVER.fullmatch(value):
        raise ValueError(
            f"must be the ARN of a user or role (arn:aws:iam::123456789012:role/name), or tag:KEY=VALUE, "
            f"not {describe(value)}"
        )
    return value


def _role(value: object) -> str:
    if not isinstance(value, str) or not _ROLE.fullmatch(value):
        raise ValueError(
            "must be the ARN of a role, without its path (arn:aws:iam::123456789012:role/name), "
            f"not {describe(value)}"
        )
    return value


def _address(value: object) -> str:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise ValueError(f"must be an e-mail address, not {describe(value)}")
    return value


_Approver = Annotated[
    str,
    BeforeValidator(_approver),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{_APPROVER.pattern})$"}),
]
_Role = Annotated[
    str,
    BeforeValidator(_role),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{_ROLE.pattern})$"}),
]
_Address = Annotated[str, BeforeValidator(_address), WithJsonSchema({"type": "string", "format": "email"})]


class ApprovalShape(Shape):
    """What has to happen before an image comes into the stage."""

    approvers: Annotated[list[_Approver], Field(max_length=_MOST)] = Field(
        default=[],
        description="Who may decide: ARNs of users and roles, also with *, and tag:KEY=VALUE for all who have that "
        "tag. Default: whoever has the power to approve.",
        examples=[["arn:aws:iam::123456789012:role/release-managers", "tag:team=platform"]],
    )
    quorum: Annotated[int, Field(ge=1, le=20)] = Field(
        default=_TERMS.quorum,
        description="How many people have to approve. One rejection keeps the image out.",
    )
    expires: DecisionTime = Field(
        default=_TERMS.expires,
        description="What nobody decides in this time stays out: 5m to 90d. Default: 7d.",
    )
    reason: Literal["required", "optional"] = Field(
        default="optional", description="Whether whoever decides has to say why."
    )
    by_mail: Annotated[list[_Address], Field(max_length=_MOST)] = Field(
        default=[],
        description="Who gets a mail with links to decide by, without IAM. Not for the last stage.",
        examples=[["ann@example.com"]],
    )
    named_sessions: Annotated[list[_Role], Field(max_length=_MOST)] = Field(
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
    """`required` is a mapping that says nothing more."""
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


def _words_too(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [
        {"enum": list(_WORDS)},
        *(part for part in schema["anyOf"] if part != {"type": "null"}),
    ]
    schema["default"] = "none"


Approval = Annotated[ApprovalShape | None, BeforeValidator(_approval), Field(json_schema_extra=_words_too)]


def approval_faults(name: str, gate: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """What nobody could satisfy, and links where they must not be; it reads the plain data."""
    terms = gate.get("approval")
    if not isinstance(terms, dict):
        return
    approvers, by_mail = _listed(terms, "approvers"), _listed(terms, "by_mail")
    if by_mail and gate.get("promotes_to") is None:
        why = "whoever reads a mailbox would decide about it; name approvers"
        yield ("approval", "by_mail"), f"not for the last stage, {name}: {why}"
    quorum, people = terms.get("quorum"), {*map(str, approvers), *(str(one).lower() for one in by_mail)}
    named = [str(role) for role in _listed(terms, "named_sessions")]
    are_counted = bool(approvers) and all(stands_for_one(person, named) for person in people)
    if are_counted and isinstance(quorum, int) and quorum > len(people):
        yield ("approval", "quorum"), f"{quorum} have to approve, and only {len(people)} may"


def _listed(terms: Mapping[str, Any], key: str) -> list[Any]:
    value = terms.get(key)
    return value if isinstance(value, list) else []
