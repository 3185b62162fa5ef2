"""SARIF 2.1.0 (OASIS), as Trivy, Grype and others write it. It has no fields for packages and fixes; texts may."""

from __future__ import annotations

import re
from dataclasses import replace

from imagegate.findings.finding import Finding, FindingKind, Package, Severity
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.fields import MalformedError, Raw
from imagegate_cli.scanners.naming import digest_in, package_of
from imagegate_cli.scanners.parsers.sarif_rules import Properties, SarifRule, severity_of
from imagegate_cli.scanners.report import ScannerReport, knows

_VERSION = "2.1.0"
# Results that report no problem, and results of an earlier run (sections 3.27.9 and 3.27.24).
_NOT_FINDINGS = ("pass", "notApplicable")
_ABSENT = "absent"
_LOG = frozenset({"$schema", "version", "runs", "properties"})
# The texts of Trivy's and of Grype's results: pkg/report/sarif.go and grype/presenter/sarif/presenter.go.
_TRIVY = re.compile(
    r"Package: (\S+)\nInstalled Version: (\S*)\nVulnerability (\S+)\nSeverity: (\S*)\nFixed Version:([^\n]*)"
)
# Of Trivy's secrets, misconfigurations and licenses.
_TRIVY_OTHER = re.compile(
    r"Artifact: ([^\n]*)\n(?:Type: [^\n]*\n)?(Secret|Vulnerability|License) [^\n]*\n"
    r"(?:Severity: (\S*)|PkgName: ([^\n]*)\n Classification: [^\n]*\n Path: ([^\n]*))"
)
_KINDS = {
    "Secret": FindingKind.SECRET,
    "Vulnerability": FindingKind.MISCONFIGURATION,
    "License": FindingKind.LICENSE,
}
_GRYPE = re.compile(r"A (\w+) vulnerability in (\S+) package: (.+?), version (\S+) was found")
_NOTE = "SARIF has no fields for fixes and exploits: rules about them are unknown; the scanner's own JSON has more"


def is_report(document: Raw) -> bool:
    return "runs" in document and ("version" in document or "$schema" in document)


def read(document: Raw) -> ScannerReport:
    """Read a SARIF log. Raise `MalformedError` with the path of a field that cannot be read."""
    version = fields.text(document, "version")
    if version != _VERSION:
        raise MalformedError(f"{_VERSION} is understood, not {version[:20]!a}", "version")
    runs = fields.each(document, "runs", read=_Run)
    names = list(dict.fromkeys(run.target for run in runs if run.target))
    digests = [reference for run in runs for reference in run.digests]
    return ScannerReport(
        scanner="sarif",
        findings=[finding for run in runs for finding in run.findings],
        knows=knows("sarif"),
        target=names[0] if len(names) == 1 else None,
        digest=digest_in(names) or digest_in(digests),
        completed_at=min((run.ended_at for run in runs if run.ended_at), default=None),
        why=next((run.why for run in runs if run.why), "" if runs else "it has no run of any tool"),
        notes=(_NOTE, *fields.unread_notes(fields.unread_sections(document, _LOG), "the file")),
    )


class _Run:
    """One run of one tool."""

    def __init__(self, raw: Raw) -> None:
        rules = fields.each(raw, "tool", "driver", "rules", read=SarifRule)
        for more in fields.each(
            raw, "tool", "extensions", read=lambda one: fields.each(one, "rules", read=SarifRule)
        ):
            rules += more
        self._rules = rules
        self._by_id = {rule.id: rule for rule in reversed(rules)}
        self.tool = fields.text(raw, "tool", "driver", "name")
        results = fields.each(raw, "results", read=self._finding)
        self.findings = [finding for finding in results if finding is not None]
        self.target = fields.optional(raw, "properties", "imageName")
        self.digests = fields.texts(raw, "properties", "repoDigests")
        ends = fields.each(raw, "invocations", read=lambda one: fields.moment(one, "endTimeUtc"))
        self.ended_at = min((end for end in ends if end), default=None)
        self.why = self._why(raw)

    def _why(self, raw: Raw) -> str:
        """Say why the run is incomplete; an absent list of results is not an empty one (section 3.14.23)."""
        if raw.get("results") is None:
            return f"{self.tool} gave no results"
        if fields.inner(raw, "externalPropertyFileReferences").get("results"):
            return f"{self.tool} wrote results into other files"
        succeeded = fields.each(raw, "invocations", read=lambda one: one.get("executionSuccessful"))
        return f"{self.tool} says that it did not succeed" if False in succeeded else ""

    def _finding(self, raw: Raw) -> Finding | None:
        if fields.optional(raw, "kind") in _NOT_FINDINGS or fields.optional(raw, "baselineState") == _ABSENT:
            return None
        rule = self._rule(raw)
        id_ = fields.optional(raw, "ruleId") or fields.optional(raw, "rule", "id") or rule.id
        text = fields.optional(raw, "message", "text") or ""
        parsed = _parse_trivy(text) or _parse_grype(text) or _parse_purl(rule)
        level = fields.optional(raw, "level")
        severity, at_worst = severity_of(rule, Properties(raw), parsed.severity, level, text)
        name, aliases = rule.names(id_, text)
        return replace(
            parsed,
            vulnerability=name,
            aliases=aliases,
            severity=severity,
            at_worst=at_worst,
            url=rule.url,
            description=rule.description,
        )

    def _rule(self, raw: Raw) -> SarifRule:
        """Find the rule of a result by its id, or by its index among the driver's rules."""
        name = fields.optional(raw, "ruleId") or fields.optional(raw, "rule", "id")
        position = raw.get("ruleIndex")
        if name is None and isinstance(position, int) and 0 <= position < len(self._rules):
            return self._rules[position]
        if name is None:
            raise MalformedError("missing", "ruleId")
        # A result may name a part of a rule: `CVE-2026-0001/openssl` (section 3.27.5).
        return self._by_id.get(name) or self._by_id.get(name.rpartition("/")[0]) or SarifRule({"id": name})


def _parse_trivy(text: str) -> Finding | None:
    """Parse the text of a result of Trivy, which has an empty fixed version if there is no fix."""
    match = _TRIVY.match(text)
    if not match:
        return _parse_trivy_other(text)
    name, installed, _, severity, fixed = (part.strip() or None for part in match.groups())
    package = Package(name or "", installed, fixed)
    return Finding("", Severity.parse(severity), (package,), fixable=fixed is not None)


def _parse_trivy_other(text: str) -> Finding | None:
    """Parse a secret, misconfiguration or license; its location is used as the package, as in Trivy's JSON."""
    match = _TRIVY_OTHER.match(text)
    if not match:
        return None
    artifact, kind, severity, package, path = match.groups()
    where = package or path or artifact.lstrip("/")
    return Finding("", Severity.parse(severity), (Package(where),) if where else (), kind=_KINDS[kind])


def _parse_grype(text: str) -> Finding | None:
    match = _GRYPE.match(text)
    if not match:
        return None
    severity, _, name, installed = match.groups()
    return Finding("", Severity.parse(severity), (Package(name, installed),))


def _parse_purl(rule: SarifRule) -> Finding:
    """Return the package of a rule that is about one package URL only."""
    package = package_of(rule.properties.purls[0]) if len(rule.properties.purls) == 1 else None
    return Finding("", Severity.UNDEFINED, (package,) if package else ())
