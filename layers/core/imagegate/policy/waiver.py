"""Waivers: a named owner lets a finding or a rule pass for some images, for a reason, until a day.

Rules: a waiver that has expired, was withdrawn, lasts too long or covers too much never counts, and a warning says why.
A waiver with a smaller scope, or less time, never lets more pass.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from imagegate.canonical_json import canonical_json, parse_timestamp, timestamp
from imagegate.errors import RejectedInputError
from imagegate.findings.finding import Finding, Package
from imagegate.findings.package_url import PackageUrl, names_match
from imagegate.oci.image import Digest
from imagegate.policy.audit_rules import AUDITED
from imagegate.policy.rules import PROHIBITED, WAIVABLE

MAX_DAYS = 90
EVERY_PACKAGE = "*"  # every package of the one image whose digest is given
# The end of a waiver is announced this long before.
ENDING = timedelta(days=7)
# The letters and digits that a glob of repositories must contain at least.
_MIN_LETTERS = 2
# `[…]` of a glob as `fnmatch` reads it: a `]` at its beginning is one of its characters.
_ONE_OF = re.compile(r"\[!?\]?[^\]]*\]")
# OpenVEX specification, "Status Justifications".
JUSTIFICATIONS = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)
_TEXTS = ("rule", "vulnerability", "package", "repositories", "ticket", "justification")


@dataclass(frozen=True, slots=True)
class WaiverTerms:
    """The terms of the policy for waivers."""

    max_days: int = MAX_DAYS
    needs_ticket: bool = False


@dataclass(frozen=True, slots=True)
class Waiver:
    """A waiver of a vulnerability in a package, or of a rule. It counts up to and including the day `expires` (UTC)."""

    owner: str
    reason: str
    expires: date
    rule: str | None = None
    vulnerability: str | None = None
    package: str | None = None  # its name, or a package URL (without the version: every version)
    repositories: str | None = None  # a glob: `legacy-*`
    digest: Digest | None = None  # of the image, or of one of its platforms
    ticket: str | None = None
    until_fix: bool = False  # it ends as soon as there is a fix
    justification: str | None = None  # OpenVEX: why the image is not affected
    granted_at: datetime | None = None  # at run time; None: it is in the policy file, which is reviewed
    granted_by: str | None = None  # the ARN of who granted it
    withdrawn_at: datetime | None = None

    @property
    def id(self) -> str:
        """A short name: `w-`, then twelve hex digits of the hash of the contents, wherever the waiver is written."""
        contents = {k: v for k, v in self.as_json().items() if k not in ("id", "withdrawnAt")}
        return "w-" + hashlib.sha256(canonical_json(contents)).hexdigest()[:12]

    @property
    def subject(self) -> str:
        return f"{self.vulnerability} in {self.package}" if self.vulnerability else str(self.rule)

    @property
    def where(self) -> str:
        return str(self.digest.short if self.digest else self.repositories)

    def covers_image(self, repository: str, digests: Iterable[Digest]) -> bool:
        """Return True if it is about an image. `digests`: of the image and its platforms."""
        in_repository = self.repositories is None or fnmatchcase(repository, self.repositories)
        return in_repository and (self.digest is None or self.digest in digests)

    def covers(self, finding: Finding, package: Package) -> bool:
        """Return True if it is about this finding in this package, apart from fixes and time."""
        return self.vulnerability in finding.names and self.covers_package(package)

    def covers_package(self, package: Package) -> bool:
        """Return True if it is about this package, by its name or its package URL."""
        if self.package is None:
            return False
        if self.package == EVERY_PACKAGE:
            return True
        purl = PackageUrl.parse(self.package)
        if purl is not None:
            return purl.names(package)
        return names_match(self.package, package.name, package.ecosystem)

    def fault(self, now: datetime, terms: WaiverTerms) -> str | None:
        """Return why it does not count at this time, or None if it does."""
        if self.withdrawn_at is not None and self.withdrawn_at <= now:
            return f"was withdrawn on {self.withdrawn_at:%Y-%m-%d}"
        if _day(now) > self.expires:
            return f"expired on {self.expires}"
        if self.granted_at is not None and self.expires - _day(self.granted_at) > timedelta(terms.max_days):
            return f"lasts longer than the {terms.max_days} days that the policy allows"
        if terms.needs_ticket and not self.ticket:
            return "names no ticket, and the policy asks for one"
        return self.scope_fault()

    def scope_fault(self) -> str | None:
        """Return why its scope is too wide to count at all, or None if it is not."""
        if self.repositories is None and self.digest is None:
            return "names neither repositories nor a digest"
        if self.digest is None and _is_wide(self.repositories or ""):
            return "covers every repository"
        if self.package == EVERY_PACKAGE and self.digest is None:
            return "covers every package, and not of one image alone"
        if self.vulnerability:
            return None if self.package else f"names no package in which {self.vulnerability} is waived"
        if self.rule not in (*WAIVABLE, *AUDITED):
            return f"is about {self.rule or 'nothing'}, which cannot be waived as a whole"
        if self.rule == PROHIBITED and not self.package:
            return "names no package that may be there all the same"
        return None

    def is_ending(self, now: datetime) -> bool:
        """Return True in its last days."""
        left = self.expires - _day(now)
        return timedelta() <= left <= ENDING

    def __str__(self) -> str:
        ticket = f", {self.ticket}" if self.ticket else ""
        return f"waived until {self.expires} by {self.owner}{ticket}: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        own = {"owner": self.owner, "reason": self.reason, "expires": self.expires.isoformat()}
        texts = {name: getattr(self, name) for name in _TEXTS}
        others = {
            "grantedAt": self.granted_at and timestamp(self.granted_at),
            "grantedBy": self.granted_by,
            "withdrawnAt": self.withdrawn_at and timestamp(self.withdrawn_at),
            "digest": self.digest and str(self.digest),
            "until": "fix_available" if self.until_fix else None,
        }
        given = {name: value for name, value in texts.items() if value is not None}
        return {**own, **given, **{name: value for name, value in others.items() if value}}

    @classmethod
    def from_json(cls, raw: Any) -> Waiver:
        """Read the output of `as_json`. Raises `RejectedInputError` for anything else."""
        try:
            return cls(
                owner=_text(raw["owner"]),
                reason=_text(raw["reason"]),
                expires=date.fromisoformat(raw["expires"]),
                digest=Digest.parse(raw["digest"]) if "digest" in raw else None,
                until_fix=_until_fix(raw.get("until")),
                granted_at=_moment(raw.get("grantedAt")),
                granted_by=_text(raw["grantedBy"]) if "grantedBy" in raw else None,
                withdrawn_at=_moment(raw.get("withdrawnAt")),
                **{name: _text(raw[name]) for name in _TEXTS if name in raw},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RejectedInputError(f"not a waiver: {error!r}") from error


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _is_wide(glob: str) -> bool:
    """Return True if the glob contains hardly any letter of a repository's name."""
    literal = _ONE_OF.sub("", glob)
    return sum(character.isalnum() for character in literal) < _MIN_LETTERS


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is not a text")
    return value


def _until_fix(value: Any) -> bool:
    """Read `until`. Raises `ValueError` for an unknown condition, by which the waiver might end earlier."""
    if value not in (None, "fix_available"):
        raise ValueError(f"until {value!r}")
    return value is not None


def _moment(value: Any) -> datetime | None:
    return None if value is None else parse_timestamp(value)


class Waivers:
    """The waivers that are about one image, at one time, and a note of those that were used or did not count."""

    def __init__(
        self,
        waivers: Iterable[Waiver],
        terms: WaiverTerms,
        repository: str,
        digests: Sequence[Digest],
        now: datetime,
    ) -> None:
        covering = [waiver for waiver in waivers if waiver.covers_image(repository, digests)]
        self._faults = {waiver: waiver.fault(now, terms) for waiver in covering}
        self._of_rules = [waiver for waiver in covering if waiver.rule]
        self._of_findings: dict[str, list[Waiver]] = {}
        for waiver in covering:
            if waiver.vulnerability:
                self._of_findings.setdefault(waiver.vulnerability, []).append(waiver)
        self.now = now
        self._image = digests[0] if digests else None
        self._platform: Digest | None = None
        self.used: dict[Waiver, None] = {}  # in the order in which they were used
        self.idle: dict[Waiver, str] = {}  # the waivers that would have been used, and why they do not count

    def __iter__(self) -> Iterator[Waiver]:
        return iter(self._faults)

    def view(self, platform: Digest | None = None) -> Waivers:
        """Return the same waivers for one platform, without notes. Waivers of other platforms do not apply there."""
        view = copy(self)
        view.used, view.idle = {}, {}
        view._platform = platform or self._platform
        return view

    def note(self, view: Waivers) -> None:
        """Take over the notes of a view."""
        self.used |= view.used
        self.idle |= view.idle

    def for_rule(
        self, rule: str, package: Package | None = None, platform: Digest | None = None
    ) -> Waiver | None:
        """Return the waiver of a rule that counts, or None. `package`: the prohibited package that it is about."""
        matching = [w for w in self._of_rules if w.rule == rule and self._applies(w, platform)]
        if package is not None:
            matching = [w for w in matching if w.covers_package(package)]
        return self._first_counting(matching)

    def for_finding(self, finding: Finding, package: Package) -> Waiver | None:
        """Return the waiver of a finding in a package that counts, or None.

        A waiver `until: fix_available` counts only if the scanner says that there is no fix.
        """
        named = [w for name in finding.names for w in self._of_findings.get(name, ())]
        if not named:
            return None
        may_have_fix = package.fixed is not None or finding.fixable is not False
        matching = [w for w in named if w.covers(finding, package) and self._applies(w)]
        for waiver in matching:
            if waiver.until_fix and may_have_fix and self._faults[waiver] is None:
                self.idle[waiver] = (
                    "ended: there is a fix"
                    if package.fixed
                    else "ends with a fix, and whether there is one is not known"
                )
        return self._first_counting([w for w in matching if not (w.until_fix and may_have_fix)])

    def _applies(self, waiver: Waiver, platform: Digest | None = None) -> bool:
        return waiver.digest in (None, self._image, platform or self._platform)

    def _first_counting(self, waivers: list[Waiver]) -> Waiver | None:
        for waiver in waivers:
            fault = self._faults[waiver]
            if fault is None:
                self.used.setdefault(waiver)
                return waiver
            self.idle[waiver] = fault
        return None
