"""The findings record: the findings as they were judged, so that a verdict can be explained, and repeated.

It consists of JSON lines under gzip, one for each finding with its `rulings`. The digest of these bytes is its name.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

from imagegate.canonical_json import parse_timestamp, timestamp
from imagegate.errors import CorruptContentError
from imagegate.findings.finding import Finding, FindingKind, Package, Place, Severity
from imagegate.gate.finding_rules import Clock, FindingRuling
from imagegate.text import shorten

SCHEMA = "imagegate.findings/v1"
_LONGEST_LINE = (
    64 << 20
)  # bytes: a finding is about a package; memory must not depend on who wrote the record
_LONGEST_DESCRIPTION = 200  # characters
_GZIP = 31  # zlib: the largest window, with a gzip header that holds no time
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode
_PACKAGE = ("name", "installed", "fixed", "ecosystem", "purl", "layer", "path")
_FINDING = ("fixable", "exploit", "known_exploited", "published", "url", "arn")
_package_values, _finding_values = attrgetter(*_PACKAGE), attrgetter(*_FINDING)


# Each finding, and the whole line that it was read from.
Lines = Iterator[tuple[Finding, dict[str, Any]]]


class FindingsWriter:
    """Packs findings one by one, in little memory."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        self._packed = [self._packer.compress(_line({"schema": SCHEMA}))]
        self.number = 0

    def add(
        self,
        finding: Finding,
        rulings: tuple[FindingRuling, ...],
        clocks: dict[Place, Clock] | None = None,
        base_layers: frozenset[str] = frozenset(),
    ) -> None:
        """Add one finding, with its description only if it counts, because most findings do not.

        `clocks`: of each of its places, or empty if no stage gives time to its severity.
        """
        line = finding_json(finding)
        line["rulings"] = [ruling.as_json() for ruling in rulings]
        if finding.description and rulings and rulings[0].holds:
            line["description"] = shorten(finding.description, _LONGEST_DESCRIPTION)
        if clocks:
            line["clocks"] = [_clock_json(clocks[place]) for place in finding.places]
        if base_layers:
            line["from"] = [_origin(package, base_layers) for package in finding.packages]
        if packed := self._packer.compress(_line(line)):
            self._packed.append(packed)
        self.number += 1

    def finish(self) -> bytes:
        """Return the whole record; it takes no more findings."""
        packed, self._packed = [*self._packed, self._packer.flush()], []
        return b"".join(packed)


def read(content: bytes) -> Lines:
    """Yield the findings of a record. Raises `CorruptContentError`."""
    lines = _lines(content)
    try:
        if json.loads(next(lines, b"{}")).get("schema") != SCHEMA:
            raise CorruptContentError("not a record of findings")
        for text in lines:
            raw = json.loads(text)
            yield _finding_of(raw), raw
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zlib.error) as error:
        raise CorruptContentError(f"a record of findings that cannot be read: {error!r}") from error


def mentions(content: bytes, name: str) -> bool:
    """Return False if no finding of a record can have this name: 20 times faster than `read`, which then decides."""
    quoted = _line(name).rstrip()
    return any(quoted in line for line in _lines(content))


def clocks_of(finding: Finding, line: dict[str, Any]) -> dict[Place, Clock]:
    """Return the clocks of a finding, as they were when its line was written."""
    return {
        place: Clock(parse_timestamp(raw["seen"]), parse_timestamp(raw["fix"]) if "fix" in raw else None)
        for place, raw in zip(finding.places, line.get("clocks", ()), strict=False)
    }


def _line(value: Any) -> bytes:
    # Reports of scanners may contain half a surrogate pair, which UTF-8 cannot encode.
    return _encode(value).encode(errors="replace") + b"\n"


def _lines(content: bytes) -> Iterator[bytes]:
    unpacker, rest = zlib.decompressobj(_GZIP), b""
    for start in range(0, len(content), 65536):
        if len(rest) > _LONGEST_LINE:
            raise CorruptContentError("a record of findings with a line that is too long")
        *whole, rest = (rest + unpacker.decompress(content[start : start + 65536])).split(b"\n")
        yield from whole
    rest += unpacker.flush()
    if not unpacker.eof or rest or unpacker.unused_data:
        raise CorruptContentError("a record of findings that ends too early")


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return the finding without its rulings and its description, as a line of the record has it."""
    line: dict[str, Any] = {
        "vulnerability": finding.vulnerability,
        "severity": finding.severity.value,
        "packages": [_given(_PACKAGE, _package_values(package)) for package in finding.packages],
    }
    if finding.kind is not FindingKind.VULNERABILITY:
        line["kind"] = finding.kind.value
    if finding.at_worst:
        line["at_worst"] = finding.at_worst.value
    if finding.aliases:
        line["aliases"] = finding.aliases
    line |= _given(_FINDING, _finding_values(finding))
    if finding.epss is not None:
        line["epss"] = finding.epss
    if finding.cvss is not None:
        line["cvss"] = finding.cvss
    return line


def _given(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Return the values that are known, by their names."""
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _finding_of(raw: dict[str, Any]) -> Finding:
    return Finding(
        vulnerability=raw["vulnerability"],
        severity=Severity(raw["severity"]),
        packages=tuple(Package(**package) for package in raw["packages"]),
        aliases=tuple(raw.get("aliases", ())),
        epss=raw.get("epss"),
        cvss=raw.get("cvss"),
        description=raw.get("description"),
        kind=FindingKind(raw.get("kind", FindingKind.VULNERABILITY)),
        at_worst=Severity(raw["at_worst"]) if "at_worst" in raw else None,
        **{name: raw.get(name) for name in _FINDING},
    )


def _clock_json(clock: Clock) -> dict[str, str]:
    seen = {"seen": timestamp(clock.seen_at)}
    return seen | ({"fix": timestamp(clock.fix_seen_at)} if clock.fix_seen_at else {})


def _origin(package: Package, base_layers: frozenset[str]) -> str:
    if package.layer is None:
        return "unknown"
    return "base" if package.layer in base_layers else "own"
