"""What a person asks for, as they write it: until when, for which images, in whose name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Self

import click

from imagegate.canonical_json import parse_timestamp
from imagegate.duration import parse_duration
from imagegate.errors import RejectedInputError
from imagegate.oci.image import Digest
from imagegate.policy.rules import WAIVABLE
from imagegate_cli.context import now
from imagegate_cli.reference import RepositoryReference

if TYPE_CHECKING:
    from imagegate.gate.openvex import Statement, VexDocument
    from imagegate_cli.stack import Stack

_WILDCARD = re.compile(r"[*?\[]")
# What names of repositories consist of, and the wildcards.
_REPOSITORIES = re.compile(r"[a-z0-9._/*?\[\]!-]+")
_LONGEST_TEXT = 500  # as the function takes it


class DayType(click.ParamType[date]):
    """`2027-01-31`, or `30d` from today; UTC."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        if (duration := parse_duration(value, "d")) is not None:
            return now().date() + duration
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day; write 2027-01-31, or 30d from today")


class EndType(click.ParamType[datetime]):
    """`4h`, `30m` or `2d` from now, or an RFC 3339 time with its zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        if (duration := parse_duration(value, "mhd")) is not None:
            return now() + duration
        try:
            return parse_timestamp(value)
        except RejectedInputError:
            self.fail(f"{value!r} is no time; write 4h, 30m or 2d from now, or 2027-01-31T18:00:00Z")


class RuleType(click.ParamType[str]):
    """A rule that can be waived as a whole."""

    name = "rule"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if str(value).startswith("findings."):
            self.fail(f"{value} is not waived as a whole: waive the findings, each with --cve and --package")
        if value not in WAIVABLE:
            self.fail(f"{value!r} cannot be waived; rules that can: {', '.join(WAIVABLE)}")
        return str(value)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which images: a glob over repositories, one image, or one image wherever the glob finds it."""

    repositories: str
    digest: Digest | None = None
    tag: str | None = None  # named by mistake: a tag is not an image

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise `RejectedInputError`."""
        if not _WILDCARD.search(text):
            reference = RepositoryReference.parse(text)
            return cls(reference.repository, reference.digest, None if reference.digest else reference.tag)
        repositories, at, digest = text.partition("@")
        if not _REPOSITORIES.fullmatch(repositories):
            raise RejectedInputError(f"no repository can match {repositories!r}")
        return cls(repositories, Digest.parse(digest) if at else None)

    @property
    def text(self) -> str:
        return f"{self.repositories}@{self.digest.short}" if self.digest else self.repositories

    @property
    def is_pattern(self) -> bool:
        return bool(_WILDCARD.search(self.repositories))


@dataclass(frozen=True, slots=True)
class FromVex:
    """What OpenVEX documents come to: waivers to ask for, statements that waive nothing, and why others do not."""

    waivers: list[dict[str, Any]]
    told: list[Statement]
    notes: list[str]


class ScopeType(click.ParamType[Scope]):
    name = "scope"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Scope:
        if isinstance(value, Scope):
            return value
        try:
            return Scope.parse(value)
        except RejectedInputError as error:
            self.fail(f"{error}; write REPOSITORY, a pattern such as 'shop-*', or REPOSITORY@DIGEST")


def name_of(arn: str) -> str:
    """`arn:aws:iam::1:user/ann` and `arn:aws:sts::1:assumed-role/Admin/ann` are ann."""
    return arn.rpartition(":")[2].rpartition("/")[2]


def from_vex(documents: Sequence[VexDocument], scope: Scope, stack: Stack, expires: date) -> FromVex:
    """What documents ask for now, about the images of the scope."""
    from imagegate.gate.openvex_history import StatementHistory
    from imagegate.gate.openvex_image import Image, Name

    history = StatementHistory(documents, now())
    image = Image(
        names=(Name(stack.registry, scope.repositories),),
        digests=frozenset({str(scope.digest)} if scope.digest else ()),
        patterns=tuple(stage.repositories for stage in stack.policy.stages.values()),
        any_digest=scope.digest is None,
    )
    waivers, notes = history.waivers(image, scope.repositories, scope.digest, expires)
    asked = [waiver.as_json() for waiver in waivers]
    for one in asked:
        one["reason"] = _shortened(one["reason"])
    return FromVex(
        asked, [one for one in history.statements if not one.is_favourable and not one.fault], notes
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
