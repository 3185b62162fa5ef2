"""The last remedies: what to do about findings that no upgrade and no rebuild removes, at the end a waiver.

A secret is never waived: whoever has the image has it. Rules about the image and its evidence are none of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from shlex import quote
from typing import TYPE_CHECKING

from imagegate.findings.finding import FindingKind
from imagegate.policy.rules import PROHIBITED
from imagegate.text import one_line

if TYPE_CHECKING:
    from imagegate.findings.finding import Place
    from imagegate.gate.tally import OpenFinding
    from imagegate.policy.waiver import WaiverTerms

_MOST_NAMES = 3
# Advice about findings that no upgrade removes: {number} is `2 HIGH` or `1 secret`, {them} is `it` or `them`.
_NO_FIX = "{number} without a known fix: wait for one, or waive {them}"
_UNTOLD = "{number} whose fixes this scanner does not tell: look for newer versions, or waive {them}"
_OF_KIND = {
    FindingKind.SECRET: "revoke {number} and build the image without {them} (RUN --mount=type=secret); a layer"
    " that deletes {them} is not enough",
    FindingKind.MISCONFIGURATION: "correct {number}, or waive {them}",
    FindingKind.LICENSE: "replace the package of {number}, or waive {them}",
}
_MOST_COMMANDS, _USUAL_DAYS = 3, 30


def describe_unsolved(left: Mapping[str, int], blocking: Sequence[OpenFinding]) -> Iterator[str]:
    """Yield a sentence for each way to deal with the findings of a rule that have no fix, with a few of their names.

    `left`: the number of findings that each rule still has to lose.
    """
    for rule, number in left.items():
        yield from _describe(rule, number, [one for one in blocking if one.rule == rule and not one.has_fix])


def find_to_waive(left: Mapping[str, int], blocking: Iterable[OpenFinding]) -> tuple[Place, ...]:
    """Return the places of so many findings that a waiver of each lets the image pass."""
    waivable: dict[str, dict[tuple[Place, ...], None]] = {rule: {} for rule in left}
    for one in blocking:
        if one.rule in left and _may_be_waived(one):
            waivable[one.rule][one.places] = None
    chosen = [places for rule, found in waivable.items() for places in list(found)[: left[rule]]]
    return tuple(dict.fromkeys(place for places in chosen for place in places))


def waiver_commands(places: Sequence[Place], repository: str, terms: WaiverTerms) -> Iterator[str]:
    """Yield the command that waives each of the first places. `repository`: for which images it counts.

    The reader replaces words in capital letters.
    """
    days, ticket = min(_USUAL_DAYS, terms.max_days), " --ticket TICKET" if terms.needs_ticket else ""
    for vulnerability, package in places[:_MOST_COMMANDS]:
        names = f"--cve {quote(one_line(vulnerability))} --package {quote(one_line(package))}"
        yield f"imagegate decide waive {repository} {names} --reason TEXT{ticket} --expires {days}d"
    if (more := len(places) - _MOST_COMMANDS) > 0:
        yield f"and the same for {more} more"


def _may_be_waived(finding: OpenFinding) -> bool:
    """Return False also for a finding that names no package, and for prohibited packages: these are waived by rule."""
    is_secret = finding.kind is FindingKind.SECRET
    return bool(finding.fixes) and not (finding.has_fix or is_secret or finding.rule == PROHIBITED)


def _describe(rule: str, number: int, findings: Iterable[OpenFinding]) -> Iterator[str]:
    by_advice: dict[str, dict[tuple[Place, ...], OpenFinding]] = {}
    for one in findings:
        by_advice.setdefault(_advice(one), {})[one.places] = one
    for advice, found in by_advice.items():
        some, one = min(number, len(found)), next(iter(found.values()))
        names = list(dict.fromkeys(map(str, found.values())))
        more = " …" if len(names) > _MOST_NAMES else ""
        text = advice.format(number=_name(rule, some, one.kind), them="it" if some == 1 else "them")
        yield f"{text}: {', '.join(names[:_MOST_NAMES])}{more}"


def _advice(finding: OpenFinding) -> str:
    return _OF_KIND.get(finding.kind) or (_NO_FIX if finding.is_fix_told else _UNTOLD)


def _name(rule: str, number: int, kind: FindingKind) -> str:
    if kind is not FindingKind.VULNERABILITY:
        return kind.counted(number)
    return f"{number} {rule.removeprefix('findings.').upper() if rule.startswith('findings.') else rule}"
