"""A finding of the audit: one check that fails for one thing, who must act, and how."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Self

from imagegate.audit.checks import CATALOGUE, AuditCheck
from imagegate.canonical_json import canonical_json, parse_timestamp, timestamp
from imagegate.text import printable

LONGEST_DETAIL = 2_000  # characters


class ResourceKind(StrEnum):
    """The kinds of things that a finding is about."""

    REPOSITORY = "repository"
    IMAGE = "image"
    REGISTRY = "registry"
    PRINCIPAL = "principal"  # a role, a user or an account
    ACCOUNT = "account"


class FindingState(StrEnum):
    """The states of a finding over time."""

    NEW = "new"  # no report before had it
    OPEN = "open"
    WAIVED = "waived"  # until a day, for a reason
    RESOLVED = "resolved"  # the report before had it, and this one looked and does not


@dataclass(frozen=True, slots=True)
class AuditedResource:
    """The thing that was looked at. `repository` and `stage` are None where there is none."""

    kind: ResourceKind
    arn: str  # of an image: that of its repository, `/` and the digest, as findings of AWS have it
    repository: str | None = None
    digest: str | None = None
    tag: str | None = None  # for people: it may move, so it is no part of the identity
    stage: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The identity of the resource."""
        return str(self.kind), self.arn

    @property
    def name(self) -> str:
        """The resource for people."""
        if self.repository is None:
            return self.arn
        if self.kind is not ResourceKind.IMAGE:
            return self.repository
        return (
            f"{self.repository}:{self.tag}" if self.tag else f"{self.repository}@{(self.digest or '')[:19]}"
        )

    def as_json(self) -> dict[str, Any]:
        others = {"repository": self.repository, "digest": self.digest, "tag": self.tag, "stage": self.stage}
        given = {name: value for name, value in others.items() if value is not None}
        return {"kind": str(self.kind), "arn": self.arn, **given}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**{**raw, "kind": ResourceKind(raw["kind"])})


@dataclass(frozen=True, slots=True)
class AdvisedRemedy:
    """The way out. `command`: a line for a shell that does it, or None if no single command does."""

    text: str
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """A check that fails for a resource.

    A check yields it as NEW, without a time; `history.follow` gives the state over time, `waiving.waive` the waiver.
    """

    check: AuditCheck
    resource: AuditedResource
    detail: str
    remedy: AdvisedRemedy
    evidence: tuple[str, ...] = ()  # digests of the records that prove it
    owner: str | None = None  # by the policy's owners
    state: FindingState = FindingState.NEW
    first_seen: datetime | None = None
    resolved_at: datetime | None = None
    waiver: str | None = None  # its id
    waived_until: date | None = None
    waiver_reason: str | None = None

    def __post_init__(self) -> None:
        """Cut the detail: it may have texts of images, of megabytes or with half a surrogate pair."""
        object.__setattr__(self, "detail", printable(self.detail, LONGEST_DETAIL))

    @property
    def id(self) -> str:
        """The same in each report: `f-`, then 24 hex digits of the hash of check and resource."""
        identity = canonical_json([self.check.id, *self.resource.key])
        return "f-" + hashlib.sha256(identity).hexdigest()[:24]

    @property
    def is_standing(self) -> bool:
        """True for a finding that somebody must act on: neither waived nor resolved."""
        return self.state in (FindingState.NEW, FindingState.OPEN)

    def as_json(self) -> dict[str, Any]:
        optional = {
            "owner": self.owner,
            "firstSeen": self.first_seen and timestamp(self.first_seen),
            "resolvedAt": self.resolved_at and timestamp(self.resolved_at),
            "waiver": self.waiver,
            "waivedUntil": self.waived_until and self.waived_until.isoformat(),
            "waiverReason": self.waiver_reason,
        }
        remedy = {"text": self.remedy.text, "command": self.remedy.command}
        return {
            "id": self.id,
            "check": self.check.id,
            "severity": str(self.check.severity),
            "title": self.check.title,
            "resource": self.resource.as_json(),
            "detail": self.detail,
            "evidence": list(self.evidence),
            "remedy": {name: value for name, value in remedy.items() if value is not None},
            "state": str(self.state),
            **{name: value for name, value in optional.items() if value is not None},
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self | None:
        """Return the finding, or None for a check that this version does not have any more."""
        check = CATALOGUE.get(raw["check"])
        if check is None:
            return None
        until = raw.get("waivedUntil")
        return cls(
            check=check,
            resource=AuditedResource.from_json(raw["resource"]),
            detail=raw["detail"],
            remedy=AdvisedRemedy(**raw["remedy"]),
            evidence=tuple(raw["evidence"]),
            owner=raw.get("owner"),
            state=FindingState(raw["state"]),
            first_seen=_moment(raw.get("firstSeen")),
            resolved_at=_moment(raw.get("resolvedAt")),
            waiver=raw.get("waiver"),
            waived_until=date.fromisoformat(until) if until else None,
            waiver_reason=raw.get("waiverReason"),
        )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse_timestamp(text)
