"""Knowledge about vulnerabilities beside the findings: EPSS, CISA's catalogue, exploits.

It is one file in the sandbox's folder, which is read for each answer: so it also applies to earlier scans.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from sandbox.session import NoSandboxError, default_state, require_running

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class InvalidIntelligenceError(ValueError):
    """The file is not in the form of this knowledge."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The knowledge about one vulnerability; a member is None or False if the file does not have it."""

    epss: float | None = None  # 0 to 1
    known_exploited: date | None = None  # when CISA added it to its catalogue
    exploit_available: bool = False

    def applied_to(self, finding: dict[str, Any]) -> dict[str, Any]:
        """Return an enhanced finding as it is reported now; this overrules a no of the scanner, never a yes."""
        return finding | {"exploitAvailable": "YES"} if self.exploit_available else finding


_KEYS = ("epss", "known_exploited", "exploit_available")
NOTHING = Knowledge()


@lru_cache(maxsize=4)
def parse(text: str) -> Mapping[str, Knowledge]:
    """Return the knowledge by vulnerability. Raises `InvalidIntelligenceError` with the place of the fault."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidIntelligenceError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidIntelligenceError('expected {"CVE-2021-44228": {"epss": 0.97}}')
    return {name: _known(name, entry) for name, entry in document.items()}


def _known(name: str, entry: Any) -> Knowledge:
    if not _ID.fullmatch(name):
        raise InvalidIntelligenceError(f"not the id of a vulnerability: {name!r}")
    if not isinstance(entry, dict):
        raise InvalidIntelligenceError(f"{name}: expected an object with {', '.join(_KEYS)}")
    if unknown := sorted(set(entry) - set(_KEYS)):
        raise InvalidIntelligenceError(f"{name}: unknown key: {', '.join(unknown)}")
    epss, available = entry.get("epss"), entry.get("exploit_available", False)
    if epss is not None and (type(epss) not in (int, float) or not 0 <= epss <= 1):
        raise InvalidIntelligenceError(f"{name}: epss is {epss!r}, not a number from 0 to 1")
    if not isinstance(available, bool):
        raise InvalidIntelligenceError(f"{name}: exploit_available is {available!r}, not true or false")
    return Knowledge(epss, _day(name, entry.get("known_exploited")), available)


def _day(name: str, value: Any) -> date | None:
    try:
        return None if value is None else date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise InvalidIntelligenceError(
            f"{name}: known_exploited is {value!r}, not a day like 2021-12-10"
        ) from error


def file_in(state: Path) -> Path:
    return state / "intelligence.json"


def read(state: Path) -> Mapping[str, Knowledge]:
    """Return the knowledge in the sandbox's folder; empty without a file."""
    file = file_in(state)
    return parse(file.read_text()) if file.exists() else {}


def knowledge_about(finding: dict[str, Any], intelligence: Mapping[str, Knowledge]) -> Knowledge:
    """Return the knowledge about the vulnerability of an enhanced finding."""
    details = finding.get("packageVulnerabilityDetails", {})
    return intelligence.get(details.get("vulnerabilityId", ""), NOTHING)


def main(argv: Sequence[str]) -> int:
    """Run `python -m sandbox intelligence`; return 0, or 2 after one line that says what is wrong."""
    arguments = _parser().parse_args(argv)
    try:
        text = arguments.file.read_text()
        known = parse(text)
        require_running(arguments.state)
        file_in(arguments.state).write_text(text)
    except (InvalidIntelligenceError, UnicodeDecodeError) as error:
        print(f"intelligence: {arguments.file}: {error}", file=sys.stderr)
        return 2
    except (NoSandboxError, OSError) as error:
        print(f"intelligence: {error}", file=sys.stderr)
        return 2
    exploited = sum(1 for one in known.values() if one.known_exploited)
    print(f"known: {len(known)} vulnerabilities, {exploited} of them exploited")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox intelligence",
        description="Replace what the sandbox's Inspector knows about vulnerabilities.",
    )
    parser.add_argument(
        "file",
        type=Path,
        help='{"CVE-2021-44228": {"epss": 0.97, "known_exploited": "2021-12-10", "exploit_available": true}}',
    )
    parser.add_argument("--state", type=Path, default=default_state(), help="the sandbox's folder")
    return parser
