"""The rules of a gate: the values that an image must satisfy, and the action if it does not.

A rule that is None or off is not checked. The ids of the rules are part of messages, records and waivers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from imagegate.findings.finding import Finding, FindingKind, Package, Severity
from imagegate.findings.package_url import is_package_named

CYCLONEDX_JSON = "application/vnd.cyclonedx+json"
SPDX_JSON = "application/spdx+json"
T = TypeVar("T")

DENIED = "findings.denied"
PROHIBITED = "packages.prohibited"
# The rules about findings that are no vulnerabilities.
RULES_OF_KINDS: Mapping[FindingKind, str] = {
    FindingKind.SECRET: "findings.secrets",
    FindingKind.MISCONFIGURATION: "findings.misconfigurations",
    FindingKind.LICENSE: "findings.licenses",
}
UNSUPPORTED = "scan.unsupported"
AGE = "image.max_age"
SIZE = "image.max_size"
LABELS = "image.labels"
BASE = "image.base_images"
PLATFORMS = "image.platforms"
NON_ROOT = "image.non_root"
LAYERS = "image.layers"
AMBIGUOUS = "image.ambiguous"
TAGS = "image.tags"
FORBIDDEN_TAGS = "image.forbidden_tags"
ENTRY = "image.entry"
SIGNATURE = "evidence.require_signature"
PROVENANCE = "evidence.require_provenance"
# A waiver of one of these waives the whole rule. Findings are waived one by one, by vulnerability and package.
# ENTRY is not among them: a person who may waive rules could let images in without approval.
WAIVABLE = (
    *(UNSUPPORTED, AGE, SIZE, LABELS, BASE, PLATFORMS, NON_ROOT, LAYERS, TAGS, FORBIDDEN_TAGS),
    *(SIGNATURE, PROVENANCE, PROHIBITED),
)


class Action(StrEnum):
    ENFORCE = "enforce"
    WARN = "warn"
    OFF = "off"


@dataclass(frozen=True)  # no slots: a generic alias that is called could not make one
class Rule(Generic[T]):
    """A value that an image must satisfy, and the action if it does not."""

    value: T
    action: Action = Action.ENFORCE


Limit = Rule[int]  # more than `value` is a violation


def is_on(rule: Rule[Any] | None) -> bool:
    """Return True if there is a rule, and it is not off."""
    return rule is not None and rule.action is not Action.OFF


def active(rule: Rule[T] | None) -> Rule[T] | None:
    """Return the rule, or None if it is off."""
    return rule if is_on(rule) else None


def rule_of(severity: Severity) -> str:
    """Return the name of the rule that limits the findings of a severity."""
    return _RULE_OF[severity]


# Text is made once: an image can have 100,000 findings.
_RULE_OF: Mapping[Severity, str] = {severity: f"findings.{severity.lower()}" for severity in Severity}


class GraceStart(StrEnum):
    """The event that starts the clock of a finding."""

    SEEN = "seen"  # the first time that a gate sees it in the application
    FIX_AVAILABLE = "fix_available"  # the first time that a gate sees a fix for it


@dataclass(frozen=True, slots=True)
class NoGrace:
    """Findings that have no grace. `epss`: from this probability on (FIRST, 0 to 1), or None if it does not matter."""

    known_exploited: bool = False
    exploit_available: bool = False
    epss: float | None = None


@dataclass(frozen=True, slots=True)
class ProhibitedPackage:
    """A package that no image may have. `name`: a glob. `versions`: `>=2.0, <2.17.1`, or "" for all versions."""

    name: str
    versions: str = ""
    ecosystem: str | None = None  # a package URL type; None: any

    def names(self, package: Package) -> bool:
        """Return True if the package has this name, in this ecosystem; its version is not compared."""
        same = self.ecosystem is None or package.ecosystem in (None, self.ecosystem)
        return same and is_package_named(self.name, package)

    def __str__(self) -> str:
        return f"{self.name} {self.versions}".strip()


DEFAULT_MAX_FINDINGS: Mapping[Severity, Limit] = {
    Severity.CRITICAL: Limit(0),
    Severity.HIGH: Limit(5),
    Severity.MEDIUM: Limit(20),
    Severity.UNDEFINED: Limit(20),
}


@dataclass(frozen=True, slots=True)
class FindingRules:
    """The rules about findings: which count, and how many may. Filters never apply to denied vulnerabilities."""

    max: Mapping[Severity, Limit] = field(default_factory=lambda: dict(DEFAULT_MAX_FINDINGS))
    only_fixable: frozenset[Severity] = frozenset()  # of these severities, only findings with a fix count
    grace: Mapping[Severity, timedelta] = field(default_factory=dict)
    grace_starts: GraceStart = GraceStart.SEEN
    no_grace: NoGrace = NoGrace()
    no_worse_than_next: bool = (
        False  # findings that the image released into the next stage also has do not count
    )
    deny: Rule[frozenset[str]] | None = None  # vulnerabilities that no image may have
    prohibited: Rule[tuple[ProhibitedPackage, ...]] | None = None
    # Of findings that are no vulnerabilities. A kind without a limit here counts by severity, as vulnerabilities do.
    max_of_kind: Mapping[FindingKind, Limit] = field(default_factory=dict)

    def limit_for(self, finding: Finding) -> tuple[str, Limit | None]:
        """Return the rule that counts a finding, and its limit, or None if there is none or it is off."""
        if finding.kind in self.max_of_kind:
            return RULES_OF_KINDS[finding.kind], active(self.max_of_kind[finding.kind])
        return rule_of(finding.severity), active(self.max.get(finding.severity))

    def limits(self) -> Iterator[tuple[str, Limit]]:
        """Yield each rule that limits a number of findings, with its limit, if it is not off; the gravest first."""
        by_severity = ((rule_of(severity), self.max.get(severity)) for severity in Severity)
        by_kind = ((name, self.max_of_kind.get(kind)) for kind, name in RULES_OF_KINDS.items())
        for name, limit in (*by_severity, *by_kind):
            if limit is not None and is_on(limit):
                yield name, limit


@dataclass(frozen=True, slots=True)
class ImageRules:
    """The rules about the image itself, apart from its findings."""

    max_age: Rule[timedelta] | None = None  # since it was first pushed into the first stage
    max_size: Rule[int] | None = None  # bytes, compressed, of each platform
    labels: Rule[Mapping[str, str]] | None = None  # name → glob that the value must match
    base_images: Rule[tuple[str, ...]] | None = None  # stages whose released images it may be built on
    platforms: Rule[frozenset[str]] | None = None  # that it must be built for: linux/arm64
    non_root: Rule[bool] | None = None
    user_names: bool | None = (
        None  # an option of non_root, not a rule: True accepts a named user that is not `root`
    )
    tags: Rule[tuple[str, ...]] | None = None  # globs; each tag must match one
    forbidden_tags: Rule[tuple[str, ...]] | None = None


class SbomFormat(StrEnum):
    """The formats of SBOMs that Inspector exports (API reference, CreateSbomExport)."""

    CYCLONEDX = "cyclonedx"
    SPDX = "spdx"

    @property
    def label(self) -> str:
        """The name for people."""
        return "CycloneDX" if self is SbomFormat.CYCLONEDX else "SPDX"

    @property
    def report_format(self) -> str:
        """The name in Inspector's API."""
        return "CYCLONEDX_1_4" if self is SbomFormat.CYCLONEDX else "SPDX_2_3"

    @property
    def media_type(self) -> str:
        return CYCLONEDX_JSON if self is SbomFormat.CYCLONEDX else SPDX_JSON

    @property
    def file_name(self) -> str:
        return "sbom.cdx.json" if self is SbomFormat.CYCLONEDX else "sbom.spdx.json"


@dataclass(frozen=True, slots=True)
class EvidenceRules:
    """The evidence that an image must carry, and the SBOM that is attached to it when it passes."""

    require_signature: Rule[bool] | None = None  # by the gate of the stage before
    require_provenance: Rule[tuple[str, ...]] | None = None  # globs of builder ids
    sbom: SbomFormat | None = None  # attached if the image has none; no image is blocked for the lack of it


class Attention(StrEnum):
    """The ways to announce a release, by the severity of its worst finding. A refusal is always an alert."""

    LOG = "log"
    ALERT = "alert"


DEFAULT_ALERTS: Mapping[Severity | None, Attention] = {
    Severity.CRITICAL: Attention.ALERT,
    Severity.HIGH: Attention.ALERT,
    Severity.MEDIUM: Attention.ALERT,
    Severity.LOW: Attention.LOG,
    Severity.INFORMATIONAL: Attention.LOG,
    Severity.UNDEFINED: Attention.ALERT,
    None: Attention.LOG,
}
