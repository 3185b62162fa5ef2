"""Parameters of decisions as people write them: until when, which rule, which images."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Self

import click

from imagegate.canonical_json import parse_timestamp
from imagegate.duration import parse_duration
from imagegate.errors import RejectedInputError
from imagegate.oci.image import Digest
from imagegate.policy.audit_rules import AUDITED
from imagegate.policy.rules import WAIVABLE
from imagegate_cli.context import now
from imagegate_cli.reference import RepositoryReference, check_is_here

_WILDCARD = re.compile(r"[*?\[]")
# The characters of repository names, and the wildcards.
_REPOSITORIES = re.compile(r"[a-z0-9._/*?\[\]!-]+")


class DayType(click.ParamType[date]):
    """A day in UTC: `2027-01-31`, or `30d` from today."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        if (days := parse_duration(value, "d")) is not None:
            return now().date() + days
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day; write 2027-01-31, or 30d from today")


class EndType(click.ParamType[datetime]):
    """A time: `4h`, `30m` or `2d` from now, or an RFC 3339 time with its zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        if (span := parse_duration(value, "mhd")) is not None:
            return now() + span
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
        if value not in (*WAIVABLE, *AUDITED):
            names = ", ".join((*WAIVABLE, *AUDITED))
            self.fail(f"{value!r} cannot be waived; rules that can: {names}")
        return str(value)


@dataclass(frozen=True, slots=True)
class Scope:
    """The images that a decision is about: a glob over repositories, one image, or one image in each of them."""

    repositories: str
    digest: Digest | None = None
    tag: str | None = None  # a waiver refuses it: a tag does not identify an image

    @classmethod
    def parse(cls, text: str, context: click.Context | None = None) -> Self:
        """Parse `REPOSITORY`, a glob, or either with `@DIGEST`. Raises `RejectedInputError`.

        `context`: of a command whose stack has the images, or None.
        """
        if not _WILDCARD.search(text):
            reference = RepositoryReference.parse(text)
            check_is_here(reference, context)
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


class ScopeType(click.ParamType[Scope]):
    """A scope on the command line."""

    name = "scope"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Scope:
        if isinstance(value, Scope):
            return value
        try:
            return Scope.parse(value, ctx)
        except RejectedInputError as error:
            self.fail(f"{error}; write REPOSITORY, a pattern such as 'shop-*', or REPOSITORY@DIGEST")
