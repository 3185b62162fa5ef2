"""Severities of CycloneDX vulnerabilities, of which each can have ratings of several sources.

Rule: the rating of the source that the vulnerability itself names counts, else the worst of all. Trivy takes NVD's
rating before the worst of all, so that its SBOM has the same severities as its JSON.
"""

from __future__ import annotations

from dataclasses import dataclass

from imagegate.findings.finding import Severity
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.about import highest_cvss, listed
from imagegate_cli.scanners.fields import Raw
from imagegate_cli.scanners.severities import HIGHEST_SCORE, by_score, by_word, worst

_EPSS = "epss"
_CVSS = "cvss"
_NVD = "nvd"


@dataclass(frozen=True, slots=True)
class _Rating:
    source: str
    severity: Severity
    epss: float | None = None


def severity_of(vulnerability: Raw, *, of_trivy: bool) -> Severity:
    """Return the severity of a vulnerability; UNDEFINED if no rating says one."""
    ratings = [one for one in fields.each(vulnerability, "ratings", read=_rating) if one.epss is None]
    source = (fields.optional(vulnerability, "source", "name") or "").lower()
    for preferred in (source, *((_NVD,) if of_trivy else ())):
        severity = worst(one.severity for one in ratings if one.source == preferred)
        if severity is not Severity.UNDEFINED:
            return severity
    return worst(one.severity for one in ratings)


def epss_of(vulnerability: Raw) -> float | None:
    """Return the EPSS score, which Inspector writes as a rating, or None."""
    scores = [one.epss for one in fields.each(vulnerability, "ratings", read=_rating) if one.epss is not None]
    return max(scores, default=None)


def cvss_of(vulnerability: Raw) -> float | None:
    """Return the highest score of a rating by CVSS, or None."""
    rated = [
        one
        for one in listed(vulnerability.get("ratings"))
        if str(one.get("method", "")).lower().startswith(_CVSS)
    ]
    return highest_cvss(rated, "score")


def _rating(raw: Raw) -> _Rating:
    source = (fields.optional(raw, "source", "name") or "").lower()
    if source == _EPSS:
        return _Rating(source, Severity.UNDEFINED, fields.number(raw, "score", highest=1) or 0.0)
    severity = by_word(fields.optional(raw, "severity"))
    method = (fields.optional(raw, "method") or "").lower()
    if severity is Severity.UNDEFINED and method.startswith(_CVSS):
        severity = by_score(fields.number(raw, "score", highest=HIGHEST_SCORE) or 0.0)
    return _Rating(source, severity)
