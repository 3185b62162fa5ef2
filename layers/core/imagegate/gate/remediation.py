"""Remedies: the shortest list of actions after which an image would pass. Only what is known to help is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import combinations
from typing import Any

from imagegate.findings.comparison import Later
from imagegate.findings.finding import Place
from imagegate.gate.facts import BaseImage
from imagegate.gate.tally import OpenFinding
from imagegate.gate.verdict import PlatformScan
from imagegate.policy.policy import Stage
from imagegate.policy.rules import DENIED, PROHIBITED, Action

# So many sets of actions are tried when a shorter list than the obvious one is looked for.
_TRIED = 5_000
# A longer list is not made a better one by one action less.
_SHORTENED = 6


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A newer image of the base: what rebuilding on it would remove."""

    base: BaseImage
    newer: BaseImage
    gone: frozenset[Place]  # in the old base and not in the new one


@dataclass(frozen=True, slots=True)
class Remedy:
    """One action, and how many of the findings that count it removes."""

    kind: str  # upgrade, rebuild
    text: str  # "upgrade jinja2 to 3.1.6"
    removes: int
    packages: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.text}: removes {self.removes}"

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "text": self.text,
            "removes": self.removes,
            "packages": list(self.packages),
        }


@dataclass(frozen=True, slots=True)
class Remedies:
    """The actions, and what stays in the way after them: findings without a fix, by rule."""

    actions: tuple[Remedy, ...] = ()
    left: Mapping[str, int] = field(default_factory=dict)

    @property
    def texts(self) -> tuple[str, ...]:
        """As people are told: each action, and what no action mends."""
        left = [
            f"{number} {rule.removeprefix('findings.').upper()} without a known fix: wait for one, or waive"
            for rule, number in self.left.items()
        ]
        return (*map(str, self.actions), *left)

    def as_json(self) -> dict[str, Any]:
        return {"actions": [remedy.as_json() for remedy in self.actions], "left": dict(self.left)}


# What a candidate removes, or what has to go: how many findings of each rule, on each platform.
_Owed = tuple[int, str]
_Numbers = Mapping[_Owed, int]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An action; no two candidates that are weighed against each other mend the same finding."""

    describe: Callable[[int], Remedy]
    findings: tuple[OpenFinding, ...]
    pays: _Numbers

    def worth(self, unmet: _Numbers) -> int:
        return sum(min(number, unmet.get(owed, 0)) for owed, number in self.pays.items())

    def remedy(self) -> Remedy:
        """A vulnerability that is on several platforms, or breaks several rules, is one."""
        return self.describe(len({one.places for one in self.findings}))


@dataclass(frozen=True, slots=True)
class _InTheWay:
    """A finding of a rule that blocks, and the platform that has it."""

    platform: int
    finding: OpenFinding

    @property
    def owed(self) -> _Owed:
        return self.platform, self.finding.rule


def remedies(
    stage: Stage, scans: Sequence[PlatformScan], later: Later, rebuild: Rebuild | None = None
) -> Remedies:
    """For all platforms at once: one upgrade mends each of them."""
    needs: dict[_Owed, int] = {}
    found: list[_InTheWay] = []
    for number, scan in enumerate(scans):
        mine = dict(_needs(stage, scan))
        needs |= {(number, rule): count for rule, count in mine.items()}
        found += [_InTheWay(number, one) for one in scan.tally.open if one.rule in mine]
    plans = [_plan(_upgrades(found, later), needs)]
    if rebuild is not None:
        plans.append(_plan_with(rebuild, found, needs, later))
    chosen = min(plans, key=lambda plan: (sum(_unmet(plan, needs).values()), len(plan)))
    left: dict[str, int] = {}
    for (_, rule), number in _unmet(chosen, needs).items():
        left[rule] = max(left.get(rule, 0), number)
    told = sorted((candidate.remedy() for candidate in chosen), key=lambda remedy: -remedy.removes)
    return Remedies(tuple(told), left)


def _needs(stage: Stage, scan: PlatformScan) -> Iterator[tuple[str, int]]:
    """How many findings of each rule that blocks have to go."""
    found = Counter(one.rule for one in scan.tally.open)
    for severity, limit in stage.findings.max.items():
        rule = f"findings.{severity.lower()}"
        if limit.action is Action.ENFORCE and found[rule] > limit.value:
            yield rule, found[rule] - limit.value
    deny, prohibited = stage.findings.deny, stage.findings.prohibited
    if deny and deny.action is Action.ENFORCE and found[DENIED]:
        yield DENIED, found[DENIED]
    if prohibited and prohibited.action is Action.ENFORCE and found[PROHIBITED]:
        yield PROHIBITED, found[PROHIBITED]


def _plan_with(
    rebuild: Rebuild, found: Sequence[_InTheWay], needs: _Numbers, later: Later
) -> list[_Candidate]:
    """Rebuild first, then upgrade what is still there."""
    gone = [one for one in found if all(place in rebuild.gone for place in one.finding.places)]
    if not gone:
        return _plan(_upgrades(found, later), needs)
    first = _candidate(_RebuildOn(rebuild.newer), gone)
    are_gone = {id(one) for one in gone}
    rest = [one for one in found if id(one) not in are_gone]
    return [first, *_plan(_upgrades(rest, later), _unmet([first], needs))]


def _candidate(describe: Callable[[int], Remedy], found: Sequence[_InTheWay]) -> _Candidate:
    return _Candidate(describe, tuple(one.finding for one in found), Counter(one.owed for one in found))


def _upgrades(found: Sequence[_InTheWay], later: Later) -> list[_Candidate]:
    """Packages that share a finding are upgraded together: one alone would not remove it."""
    groups = _PackageGroups()
    for one in found:
        groups.join([fix.package for fix in one.finding.fixes])
    mends: dict[str, list[_InTheWay]] = {}
    targets: dict[str, dict[str, str]] = {}
    for one in found:
        fixes = one.finding.fixes
        if not fixes or any(fix.fixed is None for fix in fixes):
            continue
        group = groups.of(fixes[0].package)
        mends.setdefault(group, []).append(one)
        known = targets.setdefault(group, {})
        for fix in fixes:
            known[fix.package] = _latest(known.get(fix.package), fix.fixed or "", fix.ecosystem, later)
    return [_candidate(_Upgrade(targets[group]), mended) for group, mended in mends.items()]


def _latest(known: str | None, fixed: str, ecosystem: str | None, later: Later) -> str:
    if known is None or known == fixed:
        return fixed
    return later(known, fixed, ecosystem) or max(known, fixed)


@dataclass(frozen=True, slots=True)
class _Upgrade:
    targets: Mapping[str, str]

    def __call__(self, removes: int) -> Remedy:
        by_version: dict[str, list[str]] = {}
        for name, version in sorted(self.targets.items()):
            by_version.setdefault(version, []).append(name)
        texts = [f"{', '.join(names)} to {version}" for version, names in by_version.items()]
        return Remedy("upgrade", "upgrade " + " and ".join(texts), removes, tuple(sorted(self.targets)))


@dataclass(frozen=True, slots=True)
class _RebuildOn:
    base: BaseImage

    def __call__(self, removes: int) -> Remedy:
        return Remedy("rebuild", f"rebuild on {self.base} ({self.base.image.digest.short})", removes)


class _PackageGroups:
    """Which packages go together (union-find)."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def of(self, name: str) -> str:
        while (parent := self._parents.setdefault(name, name)) != name:
            name = parent
        return name

    def join(self, names: Sequence[str]) -> None:
        for name in names[1:]:
            self._parents[self.of(name)] = self.of(names[0])


def _unmet(chosen: Iterable[_Candidate], needs: _Numbers) -> dict[_Owed, int]:
    paid: Counter[_Owed] = Counter()
    for candidate in chosen:
        paid.update(candidate.pays)
    return {owed: number - paid[owed] for owed, number in needs.items() if number > paid[owed]}


def _plan(candidates: Sequence[_Candidate], needs: _Numbers) -> list[_Candidate]:
    """The greedy choice, or a shorter one that does as much, where few enough can be tried."""
    greedy = _greedy(candidates, needs)
    if len(greedy) > _SHORTENED:
        return greedy
    goal = sum(_unmet(greedy, needs).values())
    tried = 0
    for size in range(1, len(greedy)):
        for some in combinations(candidates, size):
            tried += 1
            if tried > _TRIED:
                return greedy
            if sum(_unmet(some, needs).values()) <= goal:
                return list(some)
    return greedy


def _greedy(candidates: Sequence[_Candidate], needs: _Numbers) -> list[_Candidate]:
    """What an action is worth only falls while others are chosen, so only the first in the heap is weighed again."""
    chosen: list[_Candidate] = []
    unmet = dict(needs)
    heap = [(-candidate.worth(unmet), number) for number, candidate in enumerate(candidates)]
    heapify(heap)
    while unmet and heap:
        _, number = heappop(heap)
        worth = candidates[number].worth(unmet)
        if heap and -worth > heap[0][0]:
            heappush(heap, (-worth, number))
        elif worth:
            chosen.append(candidates[number])
            unmet = _unmet(chosen, needs)
    return chosen
