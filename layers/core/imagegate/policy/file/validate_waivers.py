"""Faults of the waivers in a policy file: keys that exclude each other, a scope that is too wide, a day too far away.

It reads the plain data, so that it finds faults also in a waiver that has others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from imagegate.oci.image import Digest
from imagegate.policy.audit_rules import AUDITED
from imagegate.policy.file.yaml import Path, PathFault
from imagegate.policy.rules import PROHIBITED, UNSUPPORTED, WAIVABLE
from imagegate.policy.waiver import MAX_DAYS, Waiver

_Texts = Mapping[str, str]
# Two waivers that have the same values for these say the same.
_IDENTITY = ("rule", "vulnerability", "package", "repositories", "digest", "until", "expires")


def waiver_faults(data: Mapping[str, Any], today: date | None) -> Iterator[PathFault]:
    """Yield every fault of the waivers, with its path. `today`: the day on which a new file is checked, or None."""
    waivers = data.get("waivers")
    terms = data.get("waiver_terms")
    first: dict[tuple[str | None, ...], int] = {}
    for number, raw in enumerate(waivers if isinstance(waivers, list) else ()):
        if not isinstance(raw, dict):
            continue
        path: Path = ("waivers", number)
        # A value that is not text, or is empty, is a fault of the shape: here it counts as given.
        texts = {key: str(value or "x") for key, value in raw.items()}
        for key, message in _faults(texts, terms if isinstance(terms, dict) else {}, today):
            yield (*path, *key), message
        same = first.setdefault(tuple(texts.get(key) for key in _IDENTITY), number)
        if same != number:
            yield path, f"says the same as waivers[{same}]"


def _faults(texts: _Texts, terms: Mapping[str, Any], today: date | None) -> Iterator[PathFault]:
    rule, vulnerability = texts.get("rule"), texts.get("vulnerability")
    if rule and vulnerability:
        yield ("rule",), "a waiver is about a vulnerability or about a rule, not both"
    elif not rule and not vulnerability:
        yield (), "must say what is waived: vulnerability and package, or rule"
    elif rule:
        yield from _keys_of_vulnerabilities(rule, texts)
    if not _was_accepted(texts, today):
        yield from (((), fault) for fault in _scope_faults(texts))
    if terms.get("ticket") == "required" and "ticket" not in texts:
        yield ("ticket",), "is missing: waiver_terms asks for a ticket"
    max_days, expires = terms.get("max_days", MAX_DAYS), _parse_day(texts.get("expires", ""))
    if today and expires and isinstance(max_days, int) and (expires - today).days > max_days:
        yield (
            ("expires",),
            f"is more than {max_days} days away, which is what waiver_terms.max_days allows",
        )


def _keys_of_vulnerabilities(rule: str, texts: _Texts) -> Iterator[PathFault]:
    """Yield the keys of a waiver of a rule that only a waiver of a vulnerability may have."""
    for key in ("until", "justification"):
        if key in texts:
            yield (key,), "belongs to a waiver of a vulnerability"
    if rule != PROHIBITED and "package" in texts:
        yield ("package",), f"belongs to a waiver of a vulnerability, or of {PROHIBITED}"


def _was_accepted(texts: _Texts, today: date | None) -> bool:
    """Return True for a wide waiver that older versions accepted: it does not count, but the file stays readable."""
    return today is None and texts.get("rule") == UNSUPPORTED and "repositories" in texts


def _scope_faults(texts: _Texts) -> list[str]:
    """Return the faults of the scope: first of all keys, then of those that are not `repositories`."""
    rule = texts.get("rule")
    waiver = Waiver(
        owner="",
        reason="",
        expires=date.max,
        # An unknown or missing rule is another fault.
        rule=rule if rule in (*WAIVABLE, *AUDITED) else UNSUPPORTED,
        vulnerability=texts.get("vulnerability"),
        package=texts.get("package"),
        repositories=texts.get("repositories"),
        digest=Digest.of(b"") if "digest" in texts else None,
    )
    faults = (waiver.scope_fault(), replace(waiver, repositories="some").scope_fault())
    return [fault for fault in dict.fromkeys(faults) if fault]


def _parse_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
