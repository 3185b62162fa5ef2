"""Rules whose data the scanner does not give: they would block everything, or count for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imagegate.policy.file.inheritance import ExpandedPolicy, rule_value
from imagegate.policy.file.values import OFF
from imagegate.policy.file.yaml import Path
from imagegate.policy.policy import Scanner

_FIX = "whether there is a fix"
_CONTENT = "what an image is made of"
_NO_GRACE = {
    "known_exploited": "what is known to be exploited",
    "exploit_available": "whether there is an exploit",
    "epss": "how probable an exploitation is",
}


def capability_faults(gates: ExpandedPolicy) -> Iterator[tuple[Path, str]]:
    """What basic scanning does not say (Amazon ECR user guide, "Scan images for software vulnerabilities")."""
    if gates.data.get("scanner", Scanner.BASIC) != Scanner.BASIC:
        return
    for name, gate in gates.stages.items():
        for place, what in _asked(gate):
            yield ("stages", name, *place), _message(what, "rule")
        evidence = gate.get("evidence")
        if isinstance(evidence, dict) and evidence.get("sbom") not in (None, OFF):
            yield ("stages", name, "evidence", "sbom"), _message(_CONTENT, "key")
    waivers = gates.data.get("waivers")
    for number, waiver in enumerate(waivers if isinstance(waivers, list) else ()):
        if isinstance(waiver, dict) and waiver.get("until") == "fix_available":
            yield ("waivers", number, "until"), _message(_FIX, "key")


def _message(what: str, kind: str) -> str:
    return f"basic scanning does not say {what}: say scanner: enhanced, or take the {kind} out"


def _asked(gate: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    if rule_value(gate, "findings", "only_fixable"):
        yield ("findings", "only_fixable", "value"), _FIX
    findings = gate.get("findings")
    if isinstance(findings, dict) and findings.get("grace_starts") == "fix_available":
        yield ("findings", "grace_starts"), _FIX
    no_grace = rule_value(gate, "findings", "no_grace")
    for key, what in _NO_GRACE.items():
        asked = no_grace.get(key) if isinstance(no_grace, dict) else None
        if asked is not None and asked is not False and asked != OFF:  # 0 is a probability
            yield ("findings", "no_grace", "value", key), what
