"""Severities: from words and CVSS scores to those of ECR. A severity that a file lacks is UNDEFINED, never milder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from imagegate.findings.finding import Severity

HIGHEST_SCORE = 10
# Qualitative severity rating scale (CVSS v3.1, section 5).
_BANDS = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))
_RANK = {severity: rank for rank, severity in enumerate(Severity)}  # UNDEFINED is last
_WORDS: Mapping[str, Severity] = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "important": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "low": Severity.LOW,
    # ECR's word for what Debian calls negligible.
    "negligible": Severity.INFORMATIONAL,
    "info": Severity.INFORMATIONAL,
    "informational": Severity.INFORMATIONAL,
}


def by_word(word: str | None) -> Severity:
    """Return the severity that a word means, in any case; UNDEFINED for any other word, also for `none`."""
    return _WORDS.get((word or "").lower(), Severity.UNDEFINED)


def by_score(score: float) -> Severity:
    """Return the severity of a CVSS score from 0 to 10; a score of 0 is UNDEFINED."""
    return next((severity for least, severity in _BANDS if score >= least), Severity.UNDEFINED)


def worst(severities: Iterable[Severity]) -> Severity:
    """Return the gravest severity; UNDEFINED only if all are."""
    return min(severities, key=_RANK.__getitem__, default=Severity.UNDEFINED)
