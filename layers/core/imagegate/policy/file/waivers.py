"""The waivers of the policy file, and their terms: what they may say, and which of them can never count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from imagegate.oci.image import Digest
from imagegate.policy.file.packages import PACKAGE_URL, package_url
from imagegate.policy.file.shape import Shape
from imagegate.policy.file.values import Day, DigestText, Text, Vulnerability, one_of
from imagegate.policy.file.yaml import Path
from imagegate.policy.rules import PROHIBITED, UNSUPPORTED, WAIVABLE
from imagegate.policy.waiver import JUSTIFICATIONS, MAX_DAYS, Waiver, WaiverTerms


def _rule(value: object) -> str:
    if isinstance(value, str) and value.startswith("findings."):
        raise ValueError("findings are waived one by one: give vulnerability and package instead of rule")
    return one_of(WAIVABLE, "no rule that can be waived")(value)


def _package(value: object) -> str:
    if isinstance(value, str) and value.startswith(PACKAGE_URL):
        package_url(value)
        return value.replace("/@", "/%40")  # purl-spec: so a namespace is written in package URLs
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be the name of a package, or its package URL")
    return value


_RuleName = Annotated[str, BeforeValidator(_rule), WithJsonSchema({"enum": list(WAIVABLE)})]
_PackageName = Annotated[str, BeforeValidator(_package), WithJsonSchema({"type": "string", "minLength": 1})]
_Justification = Annotated[
    str,
    BeforeValidator(one_of(JUSTIFICATIONS, "no justification of OpenVEX")),
    WithJsonSchema({"enum": list(JUSTIFICATIONS)}),
]


class TermsShape(Shape):
    """What waivers must be, here and at run time."""

    max_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=MAX_DAYS, description="At most so many days until a waiver ends. Default: 90."
    )
    ticket: Literal["optional", "required"] = Field(
        default="optional", description="Whether a waiver must name a ticket."
    )

    def terms(self) -> WaiverTerms:
        return WaiverTerms(self.max_days, self.ticket == "required")


class WaiverShape(Shape):
    """About a vulnerability in a package, or about a rule; for some repositories, or for one image."""

    vulnerability: Vulnerability | None = Field(
        default=None,
        description="The vulnerability that may be there; with package.",
        examples=["CVE-2026-1234"],
    )
    package: _PackageName | None = Field(
        default=None,
        description="The package it is in: its name, or its package URL (without a version: every version).",
        examples=["openssl", "pkg:npm/event-stream@3.3.6"],
    )
    rule: _RuleName | None = Field(
        default=None,
        description="The rule that need not hold, instead of a vulnerability. packages.prohibited needs package.",
    )
    repositories: Text | None = Field(
        default=None, description="For images in these repositories: a pattern.", examples=["legacy-*"]
    )
    digest: DigestText | None = Field(
        default=None, description="For this image only, or this platform of an image."
    )
    owner: Text = Field(description="Who answers for it.", examples=["ann@example.com"])
    reason: Text = Field(description="Why it may pass.")
    ticket: Text | None = Field(default=None, description="Where it is worked on.", examples=["SEC-12"])
    expires: Day = Field(description="The last day on which it counts (UTC).", examples=["2027-01-31"])
    until: Literal["fix_available"] | None = Field(
        default=None, description="fix_available: ends as soon as there is a fix. Needs scanner: enhanced."
    )
    justification: _Justification | None = Field(
        default=None,
        description="Why the image is not affected by the vulnerability, in the words of OpenVEX.",
    )

    def waiver(self) -> Waiver:
        return Waiver(
            owner=self.owner,
            reason=self.reason,
            expires=self.expires,
            rule=self.rule,
            vulnerability=self.vulnerability,
            package=self.package,
            repositories=self.repositories,
            digest=Digest(self.digest) if self.digest else None,
            ticket=self.ticket,
            until_fix=self.until is not None,
            justification=self.justification,
        )


_Faults = Iterator[tuple[Path, str]]


def waiver_faults(data: Mapping[str, Any], today: date | None) -> _Faults:
    """Of waivers that can be read in part, too. `today`: the day on which the file is new; None: it was accepted."""
    waivers = data.get("waivers")
    first: dict[tuple[Any, ...], int] = {}
    terms = data.get("waiver_terms")
    for number, raw in enumerate(waivers if isinstance(waivers, list) else ()):
        if not isinstance(raw, dict):
            continue
        path: Path = ("waivers", number)
        # What is not text, or empty, is a fault of its own: here it counts as given.
        texts = {key: str(value or "x") for key, value in raw.items()}
        yield from (((*path, *key), message) for key, message in _parts(texts, today))
        yield from (((*path, *key), message) for key, message in _against(terms, texts, today))
        before = first.setdefault(_what(texts), number)
        if before != number:
            yield path, f"says the same as waivers[{before}]"


def _parts(texts: Mapping[str, str], today: date | None) -> _Faults:
    """What does not go together."""
    rule, vulnerability = texts.get("rule"), texts.get("vulnerability")
    if rule and vulnerability:
        yield ("rule",), "a waiver is about a vulnerability or about a rule, not both"
    elif not rule and not vulnerability:
        yield (), "must say what is waived: vulnerability and package, or rule"
    elif rule:
        yield from _of_rule(rule, texts)
    if not _was_accepted(texts, today):
        sketch = _sketch(texts)
        scopes = [sketch.scope_fault(), replace(sketch, repositories="some").scope_fault()]
        yield from (((), scope) for scope in dict.fromkeys(scopes) if scope)


def _was_accepted(texts: Mapping[str, str], today: date | None) -> bool:
    """Older files might waive this for every repository. It does not count any more, but the file can be read."""
    return today is None and texts.get("rule") == UNSUPPORTED and "repositories" in texts


def _of_rule(rule: str, texts: Mapping[str, str]) -> _Faults:
    for key in ("until", "justification"):
        if key in texts:
            yield (key,), "belongs to a waiver of a vulnerability"
    if rule != PROHIBITED and "package" in texts:
        yield ("package",), f"belongs to a waiver of a vulnerability, or of {PROHIBITED}"


def _sketch(texts: Mapping[str, str]) -> Waiver:
    """As much of it as its scope needs; a rule that is not known, or missing, is a fault of its own."""
    rule, digest = texts.get("rule"), Digest.of(b"") if "digest" in texts else None
    return Waiver(
        owner="",
        reason="",
        expires=date.max,
        rule=rule if rule in WAIVABLE else UNSUPPORTED,
        vulnerability=texts.get("vulnerability"),
        package=texts.get("package"),
        repositories=texts.get("repositories"),
        digest=digest,
    )


def _against(terms: Any, texts: Mapping[str, str], today: date | None) -> _Faults:
    said = terms if isinstance(terms, dict) else {}
    if said.get("ticket") == "required" and "ticket" not in texts:
        yield ("ticket",), "is missing: waiver_terms asks for a ticket"
    days, expires = said.get("max_days", MAX_DAYS), _day_of(texts.get("expires", ""))
    if today is None or expires is None or not isinstance(days, int):
        return
    if (expires - today).days > days:
        yield ("expires",), f"is more than {days} days away, which is what waiver_terms.max_days allows"


def _day_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _what(texts: Mapping[str, str]) -> tuple[Any, ...]:
    keys = ("rule", "vulnerability", "package", "repositories", "digest", "until", "expires")
    return tuple(texts.get(key) for key in keys)
