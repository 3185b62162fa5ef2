"""What SARIF says of a kind of result: its names and how grave it is, wherever a tool puts them.

Rule: what a file cannot tell is never taken for the milder reading. Property bags are free (SARIF 2.1.0, section 3.8):
what in them is of another kind than expected says nothing, and spoils nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imagegate.findings.finding import Severity
from imagegate_cli.scanners import fields
from imagegate_cli.scanners.fields import Raw
from imagegate_cli.scanners.naming import advisory_in, cves_in, preferred
from imagegate_cli.scanners.report import worst

# Qualitative severity rating scale (CVSS v3.1, section 5). Trivy and Grype write 0.0 where they know of no severity.
_BANDS = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))
_HIGHEST = 10
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
    """What a tool says about all results of one kind."""

    def __init__(self, raw: Raw) -> None:
        self.id = fields.text(raw, "id")
        self.url = fields.optional(raw, "helpUri")
        self.level = fields.optional(raw, "defaultConfiguration", "level")
        self.properties = Properties(raw)
        self.short = fields.optional(raw, "shortDescription", "text") or ""
        full = fields.optional(raw, "fullDescription", "text") or ""
        self._name = fields.optional(raw, "name") or ""
        self._texts = (self.short, full)

    def names(self, name: str, text: str) -> tuple[str, tuple[str, ...]]:
        """The vulnerability of a result of this rule, and its aliases.

        Of texts only where nothing else names an advisory: they speak of other vulnerabilities, too.
        """
        own = advisory_in(name) or advisory_in(self._name)
        found = cves_in((name, self._name, self.url or "", *self.properties.names))
        if own is None and not found:
            found = cves_in((*self._texts, text))
        if own is not None and cves_in([own]):
            return own, ()
        return preferred(own or name, found)


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
        named = [value for key, value in self._bag.items() if key == "tags" or "cve" in key.lower()]
        return [text for value in named for text in _texts(value)]

    @property
    def word(self) -> Severity:
        """The severity in a word, of a property of that name or of a tag; UNDEFINED: there is none."""
        told = [value for key, value in self._bag.items() if "severity" in key.lower()]
        words = [text.lower() for value in (*told, self._bag.get("tags")) for text in _texts(value)]
        return worst(_WORDS.get(word, Severity.UNDEFINED) for word in ("", *words))

    @property
    def score(self) -> float | None:
        """GitHub's, else the highest that is called a score of CVSS; None: there is none."""
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
    return number if 0 <= number <= _HIGHEST else None


def _texts(value: Any) -> Iterator[str]:
    """Also those of a list; names and words are ASCII."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and one.isascii():
            yield one


def severity_of(
    rule: SarifRule, own: Properties, told: Severity, level: str | None, text: str
) -> tuple[Severity, Severity | None]:
    """How grave a result is at least, and at worst where nobody says it.

    `told`: what the scanner's own text says. By the score and that word, the worse of both: results with different
    severities can share a rule, and the rule has one score. Without a score by words, else by the level.
    """
    score = own.score if own.score is not None else rule.properties.score
    level = level or rule.level or "warning"
    if score:
        by_score = next((severity for least, severity in _BANDS if score >= least), Severity.UNDEFINED)
        # Grype calls low what it knows no severity of.
        return worst((by_score, Severity.UNDEFINED if told is Severity.LOW else told)), None
    if told is not Severity.UNDEFINED:
        return (Severity.UNDEFINED if score == 0 and told is Severity.LOW else told), None
    by_level = _LEVELS.get(level, Severity.UNDEFINED)
    word = worst((own.word, rule.properties.word, _word_in((text, rule.short))))
    if word is not Severity.UNDEFINED and _is_at_least(word, by_level):
        return word, None
    if level == _ERROR:
        return Severity.HIGH, Severity.CRITICAL
    return (Severity.UNDEFINED if score == 0 else by_level), None


def _word_in(texts: Iterable[str]) -> Severity:
    words = [word for text in texts for found in _IN_TEXT.findall(text) for word in found if word]
    return worst(_WORDS.get(word.lower(), Severity.UNDEFINED) for word in ("", *words))


def _is_at_least(one: Severity, other: Severity) -> bool:
    return _GRAVER_FIRST.index(one) <= _GRAVER_FIRST.index(other)
