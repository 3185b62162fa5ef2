"""The names and severities of SARIF results, wherever a tool puts them.

Rule: if a file does not say how grave a result is, the graver reading counts. Property bags are free-form (SARIF 2.1.0,
section 3.8): a property of an unexpected type is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imagegate.findings.finding import Severity
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.fields import Raw
from imagegate_cli.scanners.naming import advisory_in, cves_in, preferred
from imagegate_cli.scanners.severities import HIGHEST_SCORE, by_score, worst

# Scanners write `error` for HIGH and for CRITICAL alike.
_ERROR = "error"
_LEVELS: Mapping[str, Severity] = {
    _ERROR: Severity.HIGH,
    "warning": Severity.MEDIUM,
    "note": Severity.LOW,
    "none": Severity.INFORMATIONAL,
}
_WORDS: Mapping[str, Severity] = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "low": Severity.LOW,
}
_WORD = "|".join(_WORDS)
# `with a critical severity vulnerability` (Snyk), `Severity : HIGH` (Docker Scout).
_IN_TEXT = re.compile(rf"\b({_WORD})[ -]severity\b|\bseverity\s*[:=]\s*({_WORD})\b", re.IGNORECASE)
# GitHub's `security-severity`; `cvssv3_baseScore` (Trivy, Snyk, AWS CodeCatalyst), `cvssV3Score`, `cvss_score`, ….
_OWN_SCORE = "securityseverity"
_SCORE = re.compile(r"cvss.*score|cvss(v?[234][0-9]?)?|basescore")
_GRAVER_FIRST = list(Severity)


class SarifRule:
    """A reporting descriptor: the names and texts that all results of one kind share."""

    def __init__(self, raw: Raw) -> None:
        self.id = fields.text(raw, "id")
        self.url = fields.optional(raw, "helpUri")
        self.level = fields.optional(raw, "defaultConfiguration", "level")
        self.properties = Properties(raw)
        self.short = fields.optional(raw, "shortDescription", "text") or ""
        full = fields.optional(raw, "fullDescription", "text") or ""
        self._name = fields.optional(raw, "name") or ""
        self._texts = (self.short, full)
        self.description = full or self.short or None

    def names(self, name: str, text: str) -> tuple[str, tuple[str, ...]]:
        """Return the vulnerability of a result of this rule, and its aliases.

        Texts count only if nothing else names an advisory: they mention other vulnerabilities, too.
        """
        own = advisory_in(name) or advisory_in(self._name)
        cves = cves_in((name, self._name, self.url or "", *self.properties.names))
        if own is None and not cves:
            cves = cves_in((*self._texts, text))
        if own is not None and cves_in([own]):
            return own, ()
        return preferred(own or name, cves)


class Properties:
    """A property bag."""

    def __init__(self, raw: Raw) -> None:
        bag = raw.get("properties")
        self._bag: Mapping[str, Any] = bag if isinstance(bag, dict) else {}

    @property
    def purls(self) -> list[str]:
        return list(_texts(self._bag.get("purls")))

    @property
    def names(self) -> list[str]:
        """Texts that may name vulnerabilities."""
        values = [value for key, value in self._bag.items() if key == "tags" or "cve" in key.lower()]
        return [text for value in values for text in _texts(value)]

    @property
    def word(self) -> Severity:
        """The severity as a word, from a property of that name or from a tag; UNDEFINED if there is none."""
        stated = [value for key, value in self._bag.items() if "severity" in key.lower()]
        words = [text.lower() for value in (*stated, self._bag.get("tags")) for text in _texts(value)]
        return worst(_WORDS.get(word, Severity.UNDEFINED) for word in ("", *words))

    @property
    def score(self) -> float | None:
        """GitHub's score, else the highest CVSS score, or None if there is none."""
        scores = dict(_scores(self._bag))
        own = scores.pop(_OWN_SCORE, None)
        return own or max(scores.values(), default=own)


def _scores(bag: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in bag.items():
        name = re.sub(r"[^a-z0-9]", "", f"{prefix}{key}".lower())
        if isinstance(value, dict) and not prefix:
            yield from _scores(value, f"{key}.")
        elif name == _OWN_SCORE or _SCORE.fullmatch(name):
            score = _number(value)
            if score is not None:
                yield name, score


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= HIGHEST_SCORE else None


def _texts(value: Any) -> Iterator[str]:
    """Yield the ASCII texts of a value or a list: names and words are ASCII."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and one.isascii():
            yield one


def severity_of(
    rule: SarifRule, own: Properties, stated: Severity, level: str | None, text: str
) -> tuple[Severity, Severity | None]:
    """Return the severity of a result, and the worst possible one if the file does not say which.

    `stated` is the severity in the scanner's own text. With a score, the worse of both counts: results with different
    severities can share a rule, and the rule has one score. Without a score, words count, else the level.
    """
    score = own.score if own.score is not None else rule.properties.score
    level = level or rule.level or "warning"
    if score:  # Trivy and Grype write 0.0 for an unknown severity
        # Grype writes low for an unknown severity.
        return worst((by_score(score), Severity.UNDEFINED if stated is Severity.LOW else stated)), None
    if stated is not Severity.UNDEFINED:
        return (Severity.UNDEFINED if score == 0 and stated is Severity.LOW else stated), None
    by_level = _LEVELS.get(level, Severity.UNDEFINED)
    word = worst((own.word, rule.properties.word, _word_in((text, rule.short))))
    if word is not Severity.UNDEFINED and _is_at_least(word, by_level):
        return word, None
    if level == _ERROR:
        return Severity.HIGH, Severity.CRITICAL
    return (Severity.UNDEFINED if score == 0 else by_level), None


def _word_in(texts: Iterable[str]) -> Severity:
    words = [word for text in texts for groups in _IN_TEXT.findall(text) for word in groups if word]
    return worst(_WORDS.get(word.lower(), Severity.UNDEFINED) for word in ("", *words))


def _is_at_least(one: Severity, other: Severity) -> bool:
    return _GRAVER_FIRST.index(one) <= _GRAVER_FIRST.index(other)
