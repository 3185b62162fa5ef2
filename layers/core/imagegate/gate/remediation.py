"""Remedies: the shortest list of actions after which an image would pass. Only actions that are known to help count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import combinations
from typing import TYPE_CHECKING, Any

from imagegate.gate.last_remedies import describe_unsolved, find_to_waive
from imagegate.policy.rules import DENIED, PROHIBITED, Action

if TYPE_CHECKING:
    from imagegate.findings.finding import Later, Place
    from imagegate.gate.facts import BaseImage
    from imagegate.gate.tally import OpenFinding
    from imagegate.gate.verdict import PlatformScan
    from imagegate.policy.policy import Stage

# The most sets of actions that are tried to find a list that is shorter than the greedy one.
_TRIED = 5_000
# A greedy list that is longer than this is taken as it is.
_SHORTENED = 6


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A rebuild on a newer image of the base, and the findings that it would remove."""

    base: BaseImage
    newer: BaseImage
    gone: frozenset[Place]  # in the old base and not in the new one


@dataclass(frozen=True, slots=True)
class Remedy:
    """One action, and how many of the counting findings it removes."""

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
    """The actions, and the number of findings without a fix that still block after them, by rule."""

    actions: tuple[Remedy, ...] = ()
    left: Mapping[str, int] = field(default_factory=dict)
    # The sentences about the rules of `left`; for people, in no record.
    unsolved: tuple[str, ...] = field(default=(), compare=False)
    to_waive: tuple[Place, ...] = field(
        default=(), compare=False
    )  # so many that the rules of `left` let the rest pass

    @property
    def texts(self) -> tuple[str, ...]:
        """The sentences for people: one for each action, then those about what still blocks after them."""
        return (*map(str, self.actions), *self.unsolved)

    def as_json(self) -> dict[str, Any]:
        return {"actions": [remedy.as_json() for remedy in self.actions], "left": dict(self.left)}


# A platform, and a rule that blocks there.
_Block = tuple[int, str]
# The number of findings of each rule on each platform: that a candidate removes, or that have to be removed.
_Numbers = Mapping[_Block, int]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An action that may be chosen. No two candidates of one choice remove the same finding."""

    describe: Callable[[int], Remedy]
    findings: tuple[OpenFinding, ...]
    removes: _Numbers

    def worth(self, unmet: _Numbers) -> int:
        """Return how many of the findings that still have to be removed this action removes."""
        return sum(min(number, unmet.get(block, 0)) for block, number in self.removes.items())

    def remedy(self) -> Remedy:
        """Return the remedy. It counts a vulnerability once, on however many platforms and by however many rules."""
        return self.describe(len({one.places for one in self.findings}))


@dataclass(frozen=True, slots=True)
class _BlockingFinding:
    """A finding of a rule that blocks, and the platform that has it."""

    platform: int
    finding: OpenFinding

    @property
    def block(self) -> _Block:
        return self.platform, self.finding.rule


def remedies(
    stage: Stage, scans: Sequence[PlatformScan], later: Later, rebuild: Rebuild | None = None
) -> Remedies:
    """Return the remedies for all platforms together, because one upgrade helps each of them."""
    needs: dict[_Block, int] = {}
    blocking: list[_BlockingFinding] = []
    for number, scan in enumerate(scans):
        own_needs = dict(_needs(stage, scan))
        needs |= {(number, rule): count for rule, count in own_needs.items()}
        blocking += [_BlockingFinding(number, one) for one in scan.tally.open if one.rule in own_needs]
    plans = [_plan(_upgrades(blocking, later), needs)]
    if rebuild is not None:
        plans.append(_plan_with(rebuild, blocking, needs, later))
    chosen = min(plans, key=lambda plan: (sum(_unmet(plan, needs).values()), len(plan)))
    left: dict[str, int] = {}
    for (_, rule), number in _unmet(chosen, needs).items():
        left[rule] = max(left.get(rule, 0), number)
    actions = sorted((candidate.remedy() for candidate in chosen), key=lambda remedy: -remedy.removes)
    findings = [one.finding for one in blocking]
    return Remedies(
        tuple(actions), left, tuple(describe_unsolved(left, findings)), find_to_waive(left, findings)
    )


def _needs(stage: Stage, scan: PlatformScan) -> Iterator[tuple[str, int]]:
    """Yield each rule that blocks, with the number of findings that have to be removed."""
    numbers = Counter(one.rule for one in scan.tally.open)
    for rule, limit in stage.findings.limits():
        if limit.action is Action.ENFORCE and numbers[rule] > limit.value:
            yield rule, numbers[rule] - limit.value
    deny, prohibited = stage.findings.deny, stage.findings.prohibited
    if deny and deny.action is Action.ENFORCE and numbers[DENIED]:
        yield DENIED, numbers[DENIED]
    if prohibited and prohibited.action is Action.ENFORCE and numbers[PROHIBITED]:
        yield PROHIBITED, numbers[PROHIBITED]


def _plan_with(
    rebuild: Rebuild, blocking: Sequence[_BlockingFinding], needs: _Numbers, later: Later
) -> list[_Candidate]:
    """Plan to rebuild first, then to upgrade the packages of the findings that remain."""
    gone = [one for one in blocking if all(place in rebuild.gone for place in one.finding.places)]
    if not gone:
        return _plan(_upgrades(blocking, later), needs)
    first = _candidate(_RebuildOn(rebuild.newer), gone)
    gone_ids = {id(one) for one in gone}
    rest = [one for one in blocking if id(one) not in gone_ids]
    return [first, *_plan(_upgrades(rest, later), _unmet([first], needs))]


def _candidate(describe: Callable[[int], Remedy], removed: Sequence[_BlockingFinding]) -> _Candidate:
    return _Candidate(describe, tuple(one.finding for one in removed), Counter(one.block for one in removed))


def _upgrades(blocking: Sequence[_BlockingFinding], later: Later) -> list[_Candidate]:
    """Return the possible upgrades. Packages that share a finding are one upgrade: one alone would not remove it."""
    groups = _PackageGroups()
    for one in blocking:
        groups.join([fix.package for fix in one.finding.fixes])
    removed: dict[str, list[_BlockingFinding]] = {}
    targets: dict[str, dict[str, str]] = {}
    for one in blocking:
        fixes = one.finding.fixes
        if not fixes or any(fix.fixed is None for fix in fixes):
            continue
        group = groups.of(fixes[0].package)
        removed.setdefault(group, []).append(one)
        known = targets.setdefault(group, {})
        for fix in fixes:
            known[fix.package] = _latest(known.get(fix.package), fix.fixed or "", fix.ecosystem, later)
    return [_candidate(_Upgrade(targets[group]), findings) for group, findings in removed.items()]


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
    """Groups of packages that are upgraded together (union-find)."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def of(self, name: str) -> str:
        while (parent := self._parents.setdefault(name, name)) != name:
            name = parent
        return name

    def join(self, names: Sequence[str]) -> None:
        for name in names[1:]:
            self._parents[self.of(name)] = self.of(names[0])


def _unmet(chosen: Iterable[_Candidate], needs: _Numbers) -> dict[_Block, int]:
    """Return how many findings still have to be removed after the chosen actions."""
    removed: Counter[_Block] = Counter()
    for candidate in chosen:
        removed.update(candidate.removes)
    return {block: number - removed[block] for block, number in needs.items() if number > removed[block]}


def _plan(candidates: Sequence[_Candidate], needs: _Numbers) -> list[_Candidate]:
    """Return the greedy choice, or a shorter one that removes as much, if there are few enough to try."""
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
    """Choose the action of the greatest worth, again and again.

    The worth of an action only falls while others are chosen, so only the first of the heap is computed again.
    """
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
            unmet = _unmet(chosen[-1:], unmet)
    return chosen
