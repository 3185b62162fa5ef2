"""Published catalogues of vulnerabilities as files: CISA's known exploited ones, and FIRST's EPSS scores."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from imagegate.findings.finding import Finding
from imagegate_cli.scanners.document import ScannerFileError, content_of, decode, load, name_of

_MAX_BYTES = 200 * 1024 * 1024


def known_exploited(path: Path) -> frozenset[str]:
    """Read CISA's `known_exploited_vulnerabilities.json`: `vulnerabilities[].cveID`. Raise `ScannerFileError`."""
    document = load(path)
    listed = document.get("vulnerabilities") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed:
        raise ScannerFileError(f"{path}: not CISA's catalogue: it has no list of vulnerabilities")
    names = [entry.get("cveID") if isinstance(entry, dict) else None for entry in listed]
    for number, name in enumerate(names):
        if not isinstance(name, str):
            raise ScannerFileError(f"{path}: vulnerabilities[{number}].cveID: missing, or no text")
    return frozenset(map(str, names))


def epss_scores(path: Path) -> dict[str, float]:
    """Read FIRST's `epss_scores-….csv`, also gzipped: comment, `cve,epss,percentile`. Raise `ScannerFileError`."""
    lines = (line for line in io.StringIO(_text(path)) if not line.startswith("#"))
    rows = csv.DictReader(lines)
    try:
        if not {"cve", "epss"} <= set(rows.fieldnames or ()):
            raise ScannerFileError(f"{path}: not FIRST's scores: no columns cve and epss")
        return {row["cve"]: _score(row["epss"]) for row in rows}
    except (ValueError, TypeError, csv.Error) as error:
        raise ScannerFileError(f"{path}: line {rows.line_num}: {error}") from error


def _text(path: Path) -> str:
    """Return the text of a file, or of standard input for `-`; unpack gzip."""
    name = name_of(path)
    content = content_of(path, _MAX_BYTES)
    if content.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(io.BytesIO(content)) as packed:
                content = packed.read(_MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ScannerFileError(f"{name}: {error}") from error
        if len(content) > _MAX_BYTES:
            raise ScannerFileError(f"{name}: larger than {_MAX_BYTES >> 20} MiB")
    return decode(content, name)


def _score(text: str) -> float:
    score = float(text)
    if not 0 <= score <= 1:
        raise ValueError(f"{text} is no probability")
    return score


def add_catalogues(
    findings: Iterable[Finding], kev: frozenset[str] | None, epss: dict[str, float] | None
) -> list[Finding]:
    """Add the catalogues to the findings. The graver of catalogue and scanner counts."""
    return [_add_to_finding(finding, kev, epss) for finding in findings]


def _add_to_finding(finding: Finding, kev: frozenset[str] | None, epss: dict[str, float] | None) -> Finding:
    known, score = finding.known_exploited, finding.epss
    if kev is not None and not known:
        known = not kev.isdisjoint(finding.names)
    if epss is not None:
        # A vulnerability without a score is too new to have one.
        score = max(score or 0.0, *(epss.get(name, 0.0) for name in finding.names))
    return replace(finding, known_exploited=known, epss=score)
