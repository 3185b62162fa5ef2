"""The shapes of waivers and their terms."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from imagegate.oci.image import Digest
from imagegate.policy.audit_rules import AUDITED
from imagegate.policy.file.schema.shape import Shape
from imagegate.policy.file.values import Day, DigestText, Text, Vulnerability, one_of
from imagegate.policy.names import PACKAGE_URL, match_package_url
from imagegate.policy.rules import WAIVABLE
from imagegate.policy.waiver import JUSTIFICATIONS, MAX_DAYS, Waiver, WaiverTerms


def _rule(value: object) -> str:
    if isinstance(value, str) and value.startswith("findings."):
        raise ValueError("findings are waived one by one: give vulnerability and package instead of rule")
    return one_of((*WAIVABLE, *AUDITED), "no rule that can be waived")(value)


def _package(value: object) -> str:
    if isinstance(value, str) and value.startswith(PACKAGE_URL):
        match_package_url(value)
        return value.replace("/@", "/%40")  # purl-spec: the `@` of a namespace is encoded in package URLs
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be the name of a package, or its package URL")
    return value


_RuleName = Annotated[str, BeforeValidator(_rule), WithJsonSchema({"enum": [*WAIVABLE, *AUDITED]})]
_PackageName = Annotated[str, BeforeValidator(_package), WithJsonSchema({"type": "string", "minLength": 1})]
_Justification = Annotated[
    str,
    BeforeValidator(one_of(JUSTIFICATIONS, "no justification of OpenVEX")),
    WithJsonSchema({"enum": list(JUSTIFICATIONS)}),
]


class TermsShape(Shape):
    """The terms for waivers, in the file and at run time."""

    max_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=MAX_DAYS, description="At most so many days until a waiver ends. Default: 90."
    )
    ticket: Literal["optional", "required"] = Field(
        default="optional", description="Whether a waiver must name a ticket."
    )

    def terms(self) -> WaiverTerms:
        return WaiverTerms(self.max_days, self.ticket == "required")


class WaiverShape(Shape):
    """A waiver of a vulnerability in a package, or of a rule, for some repositories or one image."""

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
        description="The rule or the check of the audit that is waived, instead of a vulnerability. "
        "packages.prohibited needs package.",
    )
    repositories: Text | None = Field(
        default=None, description="For images in these repositories: a pattern.", examples=["legacy-*"]
    )
    digest: DigestText | None = Field(
        default=None, description="For this image only, or this platform of an image."
    )
    owner: Text = Field(description="Who is responsible for it.", examples=["ann@example.com"])
    reason: Text = Field(description="Why it may pass.")
    ticket: Text | None = Field(default=None, description="The ticket of the fix.", examples=["SEC-12"])
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
