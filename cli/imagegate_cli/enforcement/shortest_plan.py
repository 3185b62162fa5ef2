"""The shortest plan to unblock all images: actions, and waivers for images that no action unblocks.

Rules: an image is freed if all of its actions are done and enough of its findings are waived. The step that frees the
most images for each thing to do comes first. No waiver is proposed where actions suffice. The search is greedy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

# A longer list of waivers is not proposed instead of actions.
_FEW = 5


@dataclass(frozen=True, slots=True, order=True)
class FixAction:
    """An action of a team. It is the same action in several images if it is about the same base or packages."""

    kind: str  # rebuild, upgrade, change
    about: tuple[str, ...]  # the base, or the packages, or a rule and how to satisfy it


@dataclass(frozen=True, slots=True, order=True)
class Waive:
    """The subject of a proposed waiver: a vulnerability in a package, or a rule."""

    what: str
    package: str | None = None

    def __str__(self) -> str:
        return f"{self.what} in {self.package}" if self.package else self.what


@dataclass(frozen=True, slots=True)
class Need:
    """The number of these findings that must be waived. Each finding needs all of its waivers."""

    number: int
    findings: tuple[frozenset[Waive], ...]

    def lacks(self, chosen: frozenset[Waive]) -> int:
        """Return how many more findings must be waived, beside those that the chosen waivers cover."""
        return max(0, self.number - sum(finding <= chosen for finding in self.findings))

    @property
    def is_possible(self) -> bool:
        return len(self.findings) >= self.number


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """The plan for one image. `texts` has each action in the words of the image's record."""

    name: str
    repository: str
    judged_at: str = ""  # RFC 3339
    texts: Mapping[FixAction, str] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()  # after the actions
    needs_at_once: tuple[Need, ...] = ()  # without any action
    rules: frozenset[Waive] = frozenset()  # that no action satisfies
    rules_at_once: frozenset[Waive] = frozenset()  # more of them, without any action
    obstacles_at_once: tuple[str, ...] = ()  # reasons that no waiver should remove
    obstacles: tuple[str, ...] = ()  # reasons that neither actions nor waivers remove

    @property
    def actions(self) -> frozenset[FixAction]:
        return frozenset(self.texts)

    @property
    def waives(self) -> bool:
        return bool(self.needs or self.rules)

    @property
    def can_be_freed(self) -> bool:
        return not self.obstacles and all(need.is_possible for need in self.needs)

    def at_once(self) -> ImagePlan:
        """Return the plan without actions, by waivers alone."""
        obstacles = (*self.obstacles, *self.obstacles_at_once)
        return replace(
            self,
            texts={},
            needs=self.needs_at_once,
            rules=self.rules | self.rules_at_once,
            obstacles=obstacles,
        )

    def is_freed(self, actions: frozenset[FixAction], waived: frozenset[Waive]) -> bool:
        """Tell whether these actions and waivers free the image."""
        is_done = self.actions <= actions and self.rules <= waived
        return is_done and not any(need.lacks(waived) for need in self.needs)

    def could_use(self, waive: Waive) -> bool:
        """Tell whether the image can need the waiver."""
        return waive in self.rules or any(waive in one for need in self.needs for one in need.findings)


@dataclass(frozen=True, slots=True)
class PlanStep:
    """Actions and waivers that are done together, and the images that they free after the earlier steps."""

    actions: tuple[FixAction, ...]
    waivers: tuple[Waive, ...]
    frees: tuple[ImagePlan, ...]

    @property
    def size(self) -> int:
        return len(self.actions) + len(self.waivers)


@dataclass(frozen=True, slots=True)
class EnforcementPlan:
    """The steps that free all images but those that are left."""

    steps: tuple[PlanStep, ...]
    left: tuple[ImagePlan, ...]  # images that no step frees
    or_waivers: tuple[Waive, ...] = ()  # these few alone free the same images

    @property
    def freed(self) -> list[ImagePlan]:
        return [plan for step in self.steps for plan in step.frees]

    @property
    def actions(self) -> list[FixAction]:
        return [action for step in self.steps for action in step.actions]

    @property
    def waivers(self) -> list[Waive]:
        return [waive for step in self.steps for waive in step.waivers]

    def texts(self, action: FixAction) -> list[str]:
        """Return the different texts of the action in the records, the newest first."""
        newest = sorted(self.freed, key=lambda plan: plan.judged_at, reverse=True)
        return list(dict.fromkeys(plan.texts[action] for plan in newest if action in plan.texts))

    def repositories(self, waive: Waive) -> list[str]:
        """Return the repositories for which the waiver is needed."""
        return sorted({plan.repository for plan in self.freed if plan.could_use(waive)})

    def repositories_at_once(self, waive: Waive) -> list[str]:
        """Return the repositories for which the waiver is needed if no action is done."""
        return sorted({plan.repository for plan in self.freed if plan.at_once().could_use(waive)})


def shortest_plan(plans: Sequence[ImagePlan]) -> EnforcementPlan:
    """Return the steps that free the images of all plans, those by actions alone first."""
    free, left = _split(plans)
    by_actions = [plan for plan in free if not plan.waives]
    steps = _greedy(by_actions, frozenset(), frozenset())
    rest = [plan for plan in free if plan.waives]
    done = frozenset(action for step in steps for action in step.actions)
    steps += _greedy(rest, done, frozenset())
    return EnforcementPlan(tuple(steps), tuple(left), _at_once(free) if done else ())


def _split(plans: Iterable[ImagePlan]) -> tuple[list[ImagePlan], list[ImagePlan]]:
    free: list[ImagePlan] = []
    left: list[ImagePlan] = []
    for plan in plans:
        (free if plan.can_be_freed else left).append(plan)
    return free, left


def _at_once(plans: Sequence[ImagePlan]) -> tuple[Waive, ...]:
    """Return the few waivers that free the same images without actions; none if they are many."""
    plans = [plan.at_once() for plan in plans]
    if not all(plan.can_be_freed for plan in plans):
        return ()
    waivers = [waive for step in _greedy(plans, frozenset(), frozenset()) for waive in step.waivers]
    return tuple(waivers) if len(waivers) <= _FEW else ()


def _greedy(
    plans: Sequence[ImagePlan], actions: frozenset[FixAction], waived: frozenset[Waive]
) -> list[PlanStep]:
    steps: list[PlanStep] = []
    open_ = list(plans)
    popular = Counter(waive for plan in plans for waive in _all_of(plan))
    while open_:
        best = min(_candidates(open_, actions, waived, popular), key=_rank)
        steps.append(best)
        actions, waived = actions | set(best.actions), waived | set(best.waivers)
        done = set(map(id, best.frees))
        open_ = [plan for plan in open_ if id(plan) not in done]
    return steps


def _all_of(plan: ImagePlan) -> set[Waive]:
    return {waive for need in plan.needs for finding in need.findings for waive in finding} | plan.rules


def _candidates(
    plans: Sequence[ImagePlan],
    actions: frozenset[FixAction],
    waived: frozenset[Waive],
    popular: Counter[Waive],
) -> Iterator[PlanStep]:
    """Yield, for each way to free some image, the step with all images that it frees."""
    seen = set()
    for plan in plans:
        more = plan.actions - actions, _missing(plan, waived, popular)
        if more in seen:
            continue
        seen.add(more)
        freed = [one for one in plans if one.is_freed(actions | more[0], waived | more[1])]
        yield PlanStep(tuple(sorted(more[0])), tuple(sorted(more[1])), tuple(freed))


def _missing(plan: ImagePlan, waived: frozenset[Waive], popular: Counter[Waive]) -> frozenset[Waive]:
    """Return the fewest missing waivers; of equally many, those that more images can use."""
    chosen = waived | plan.rules
    for need in plan.needs:
        while need.lacks(chosen):
            left = [finding - chosen for finding in need.findings if not finding <= chosen]
            chosen |= min(left, key=lambda more: (len(more), -sum(popular[w] for w in more), sorted(more)))
    return chosen - waived


def _rank(step: PlanStep) -> tuple[float, int, list[str]]:
    """Sort by images for each thing to do, then by images, then by name, so that the order is always the same."""
    number = len(step.frees)
    return -number / max(step.size, 1), -number, sorted(plan.name for plan in step.frees)
