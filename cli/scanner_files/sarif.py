"""SARIF 2.1.0 (OASIS), as Trivy, Grype and others write it. It knows no packages and no fixes: texts may name them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from cli.scanner_files import fields
from cli.scanner_files.fields import MalformedError, Raw
from cli.scanner_files.naming import advisory_in, digest_in, package_of
from cli.scanner_files.report import Report, knows, worst
from imagegate.domain.finding import Finding, Package, Severity

_VERSION = "2.1.0"
# Qualitative severity rating scale (CVSS v3.1, section 5). Trivy and Grype write 0.0 where they know of no severity.
_BANDS = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))
_LEVELS: Mapping[str, Severity] = {
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "note": Severity.LOW,
    "none": Severity.INFORMATIONAL,
}
# Results that say that all is well, and those of an earlier run (sections 3.27.9 and 3.27.24).
_WELL = ("pass", "notApplicable")
_GONE = "absent"
# The texts of Trivy's and of Grype's results: pkg/report/sarif.go and grype/presenter/sarif/presenter.go.
_TRIVY = re.compile(
    r"Package: (\S+)\nInstalled Version: (\S*)\nVulnerability (\S+)\nSeverity: (\S*)\nFixed Version:([^\n]*)"
)
_GRYPE = re.compile(r"A (\w+) vulnerability in (\S+) package: (.+?), version (\S+) was found")
_NOTE = "SARIF has no place for fixes and exploits: what rests on them is unknown; the scanner's own JSON tells more"


def is_report(document: Raw) -> bool:
    return "runs" in document and ("version" in document or "$schema" in document)


def read(document: Raw) -> Report:
    """Raise `MalformedError`."""
    version = fields.text(document, "version")
    if version != _VERSION:
        raise MalformedError(f"{_VERSION} is understood, not {version[:20]!a}", "version")
    runs = fields.each(document, "runs", read=_Run)
    names = list(dict.fromkeys(run.target for run in runs if run.target))
    digests = [reference for run in runs for reference in run.digests]
    return Report(
        scanner="sarif",
        findings=[finding for run in runs for finding in run.findings],
        knows=knows("sarif"),
        target=names[0] if len(names) == 1 else None,
        digest=digest_in(names) or digest_in(digests),
        completed_at=min((run.ended_at for run in runs if run.ended_at), default=None),
        why=next((run.why for run in runs if run.why), "" if runs else "it has no run of any tool"),
        notes=(_NOTE,),
    )


class _Run:
    """One run of one tool."""

    def __init__(self, raw: Raw) -> None:
        rules = fields.each(raw, "tool", "driver", "rules", read=_Rule)
        for more in fields.each(
            raw, "tool", "extensions", read=lambda one: fields.each(one, "rules", read=_Rule)
        ):
            rules += more
        self._rules = rules
        self._by_id = {rule.id: rule for rule in reversed(rules)}
        self.tool = fields.text(raw, "tool", "driver", "name")
        found = fields.each(raw, "results", read=self._finding)
        self.findings = [finding for finding in found if finding is not None]
        self.target = fields.optional(raw, "properties", "imageName")
        self.digests = fields.texts(raw, "properties", "repoDigests")
        ends = fields.each(raw, "invocations", read=lambda one: fields.moment(one, "endTimeUtc"))
        self.ended_at = min((end for end in ends if end), default=None)
        self.why = self._why(raw)

    def _why(self, raw: Raw) -> str:
        """No list of results is not an empty one (section 3.14.23)."""
        if raw.get("results") is None:
            return f"{self.tool} gave no results"
        succeeded = fields.each(raw, "invocations", read=lambda one: one.get("executionSuccessful"))
        return f"{self.tool} says that it did not succeed" if False in succeeded else ""

    def _finding(self, raw: Raw) -> Finding | None:
        if fields.optional(raw, "kind") in _WELL or fields.optional(raw, "baselineState") == _GONE:
            return None
        rule = self._rule(raw)
        name = fields.optional(raw, "ruleId") or fields.optional(raw, "rule", "id") or rule.id
        text = fields.optional(raw, "message", "text") or ""
        told = _of_trivy(text) or _of_grype(text) or _of_purl(rule)
        level = fields.optional(raw, "level")
        return replace(
            told, vulnerability=advisory_in(name) or name, severity=_severity(rule, told, level), url=rule.url
        )

    def _rule(self, raw: Raw) -> _Rule:
        """By its id, or by its place among the driver's rules."""
        name = fields.optional(raw, "ruleId") or fields.optional(raw, "rule", "id")
        position = raw.get("ruleIndex")
        if name is None and isinstance(position, int) and 0 <= position < len(self._rules):
            return self._rules[position]
        if name is None:
            raise MalformedError("missing", "ruleId")
        # A result may name a part of a rule: `CVE-2026-0001/openssl` (section 3.27.5).
        return self._by_id.get(name) or self._by_id.get(name.rpartition("/")[0]) or _Rule({"id": name})


class _Rule:
    """What a tool says about all results of one kind."""

    def __init__(self, raw: Raw) -> None:
        self.id = fields.text(raw, "id")
        self.url = fields.optional(raw, "helpUri")
        self.level = fields.optional(raw, "defaultConfiguration", "level")
        self.score = _score(raw)
        self.purls = fields.texts(raw, "properties", "purls")


def _score(rule: Raw) -> float | None:
    """GitHub's `security-severity`: a CVSS score, as text."""
    if not isinstance(fields.inner(rule, "properties").get("security-severity"), str):
        return fields.number(rule, "properties", "security-severity", highest=10)
    told = fields.optional(rule, "properties", "security-severity")
    try:
        score = None if told is None else float(told)
    except ValueError as error:
        raise MalformedError(f"not a score: {str(told)[:20]!a}", "properties", "security-severity") from error
    return fields.number(
        {"properties": {"security-severity": score}}, "properties", "security-severity", highest=10
    )


def _severity(rule: _Rule, told: Finding, level: str | None) -> Severity:
    """By the score and the word in the text, else by the level, which cannot tell HIGH from CRITICAL.

    The worse of both: results with different severities can share a rule, and the rule has one score.
    """
    if rule.score is None:
        by_level = _LEVELS.get(level or rule.level or "warning", Severity.UNDEFINED)
        return by_level if told.severity is Severity.UNDEFINED else told.severity
    by_score = next((severity for least, severity in _BANDS if rule.score >= least), Severity.UNDEFINED)
    # Grype calls low what it knows no severity of.
    word = Severity.UNDEFINED if told.severity is Severity.LOW else told.severity
    return worst((by_score, word))


def _of_trivy(text: str) -> Finding | None:
    """Trivy leaves the fixed version empty where there is none."""
    found = _TRIVY.match(text)
    if not found:
        return None
    name, installed, _, severity, fixed = (part.strip() or None for part in found.groups())
    package = Package(name or "", installed, fixed)
    return Finding("", Severity.parse(severity), (package,), fixable=fixed is not None)


def _of_grype(text: str) -> Finding | None:
    found = _GRYPE.match(text)
    if not found:
        return None
    severity, _, name, installed = found.groups()
    return Finding("", Severity.parse(severity), (Package(name, installed),))


def _of_purl(rule: _Rule) -> Finding:
    """A rule that is about one package URL only."""
    package = package_of(rule.purls[0]) if len(rule.purls) == 1 else None
    return Finding("", Severity.UNDEFINED, (package,) if package else ())
