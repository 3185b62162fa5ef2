"""The sentences of the report, the same on a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from imagegate.policy.policy import Mode
from imagegate.text import counted
from imagegate_cli.durations import period_in_words
from imagegate_cli.enforcement.report import ModeChange, StageReport
from imagegate_cli.enforcement.shortest_plan import EnforcementPlan, FixAction, ImagePlan, PlanStep

_MOST_NAMES = 3
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def headline(report: StageReport, span: timedelta) -> str:
    """Return how many images the stage blocked in the last `span`."""
    judged, period = len(report.images.judged), period_in_words(span)
    stage = f"{report.stage} ({report.mode})"
    if not judged:
        return f"{stage}: nothing was judged in the last {period}."
    verb = "blocked" if report.mode is Mode.ENFORCE else "would have blocked"
    return f"{stage}: {verb} {report.images.blocked} of {counted(judged, 'image')} in the last {period}."


def notes(report: StageReport) -> list[str]:
    """Return how many of the blocked images are current, and judged under an earlier policy."""
    return [line for line in (_history(report), _earlier(report)) if line]


def _history(report: StageReport) -> str:
    """Return how many blocked images are not current; empty if all are."""
    images = report.images
    if not (images.fixed or images.replaced):
        return ""
    counts = []
    if images.fixed:
        counts.append(f"{images.fixed} already fixed since by a later push")
    if images.replaced:
        counts.append(f"{images.replaced} replaced by a later push that did not pass either, or gone")
    counts.append(f"{len(images.current) or 'none'} still current")
    return f"{', '.join(counts)}."


def step_in_words(plan: EnforcementPlan, step: PlanStep) -> str:
    """Return `upgrade jinja2 to 3.1.6: frees 3 images (shop-dev:1.0, cart-dev:2.0, …)`."""
    parts = [_action(plan, action) for action in step.actions]
    parts += [f"waive {waive} for {', '.join(plan.repositories(waive))}" for waive in step.waivers]
    return f"{' and '.join(parts)}: frees {counted(len(step.frees), 'image')} ({_names(step.frees)})"


def _action(plan: EnforcementPlan, action: FixAction) -> str:
    texts = plan.texts(action)
    if action.kind == "rebuild" or len(texts) == 1:
        return texts[0]
    return (
        f"{texts[0]} (or {', '.join(text.partition(' to ')[2] for text in texts[1:])}, as each image needs)"
    )


def _names(plans: Sequence[ImagePlan]) -> str:
    names = sorted(plan.name for plan in plans)
    return ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")


def _conclusion(report: StageReport) -> str:
    """Return what the whole plan achieves."""
    plan = report.plan
    if not report.images.current:
        return "No current image is blocked." if report.images.judged else ""
    if not plan.steps:
        return ""
    kinds = [action.kind for action in plan.actions] + ["waiver"] * len(plan.waivers)
    counts = [(kind, kinds.count(kind)) for kind in dict.fromkeys(kinds)]
    things = _and([f"{_word(count)} {kind}{'s' if count > 1 else ''}" for kind, count in counts])
    these = f"{'This' if len(kinds) == 1 else 'These'} {things}"
    if plan.or_waivers:
        number = len(plan.or_waivers)
        these += f", or {'this' if number == 1 else 'these'} {_word(number)} waiver{'s' if number > 1 else ''} alone,"
    is_one = (len(plan.or_waivers) or len(kinds)) == 1
    if plan.left:
        return f"{these} {'leaves' if is_one else 'leave'} {counted(len(plan.left), 'image')} blocked."
    return f"{these} {'leaves' if is_one else 'leave'} no image blocked."


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _word(number: int) -> str:
    return _WORDS[number] if number < len(_WORDS) else str(number)


def _alternative(plan: EnforcementPlan) -> list[str]:
    """Return the few waivers that suffice without any action."""
    return [f"waive {waive} for {', '.join(plan.repositories_at_once(waive))}" for waive in plan.or_waivers]


def _left(plan: EnforcementPlan) -> list[str]:
    return [f"{one.name}: {'; '.join(one.obstacles)}" for one in sorted(plan.left, key=lambda one: one.name)]


def _earlier(report: StageReport) -> str:
    if not report.earlier:
        return ""
    was = "was" if report.earlier == 1 else "were"
    return f"{report.earlier} of them {was} judged under an earlier policy."


@dataclass(frozen=True, slots=True)
class Section:
    """A sentence, and the lines below it."""

    title: str
    lines: Sequence[str] = ()
    is_to_do: bool = False


def sections(report: StageReport) -> Iterator[Section]:
    """Yield the plan, its alternative, the images that are left, and the change of the policy."""
    plan = report.plan
    if plan.steps:
        steps = [step_in_words(plan, step) for step in plan.steps]
        yield Section("The shortest plan:", steps, is_to_do=True)
    if plan.or_waivers:
        yield Section("Or, until that is done:", _alternative(plan), is_to_do=True)
    if plan.left:
        yield Section("No action and no waiver frees these:", _left(plan))
    if conclusion := _conclusion(report):
        yield Section(conclusion)
    if report.mode_change and report.images.judged:
        yield Section(_when(report), [_change(report.mode_change)])


def _when(report: StageReport) -> str:
    if report.plan.left:
        return "When those are settled, too, change this line:"
    return "Then change this line:" if report.images.current else "Change this line:"


def _change(change: ModeChange) -> str:
    return f"{change.where}  {change.says}" + (f"  ({change.note})" if change.note else "")
