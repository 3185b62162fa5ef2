"""The report in sentences, the same in every form that people read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from imagegate.policy.policy import Mode
from imagegate_cli.durations import period_in_words
from imagegate_cli.enforcement.flip import Flip
from imagegate_cli.enforcement.report import StageReport
from imagegate_cli.enforcement.route import EnforcementPlan, FixAction, ImagePlan, PlanStep

_NAMED = 3
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def headline(report: StageReport, span: timedelta) -> str:
    judged = len(report.tally.judged)
    who = f"{report.stage} ({report.mode})"
    if not judged:
        return f"{who}: nothing was judged in the last {period_in_words(span)}."
    did = "blocked" if report.mode is Mode.ENFORCE else "would have blocked"
    return f"{who}: {did} {report.tally.blocked} of {_number(judged, 'image')} in the last {period_in_words(span)}."


def notes(report: StageReport) -> list[str]:
    """What of that stands, and what it rests on."""
    return [line for line in (_history(report), _earlier(report)) if line]


def _history(report: StageReport) -> str:
    """Empty where all of it stands."""
    tally = report.tally
    counts = {
        "already fixed since by a later push": tally.fixed,
        "replaced by a later push that did not pass either, or gone": tally.replaced,
        "still standing": len(tally.standing),
    }
    if not (tally.fixed or tally.replaced):
        return ""
    return (
        ", ".join(
            f"{number or 'none'} {what}" for what, number in counts.items() if number or "still" in what
        )
        + "."
    )


def told(route: EnforcementPlan, step: PlanStep) -> str:
    """`upgrade jinja2 to 3.1.6: frees 3 images (shop-dev:1.0, cart-dev:2.0, …)`."""
    parts = [_action(route, action) for action in step.actions]
    parts += [f"waive {waive} for {', '.join(route.repositories(waive))}" for waive in step.waivers]
    return f"{' and '.join(parts)}: frees {_number(len(step.frees), 'image')} ({_named(step.frees)})"


def _action(route: EnforcementPlan, action: FixAction) -> str:
    texts = route.texts(action)
    if action.kind == "rebuild" or len(texts) == 1:
        return texts[0]
    return (
        f"{texts[0]} (or {', '.join(text.partition(' to ')[2] for text in texts[1:])}, as each image needs)"
    )


def _named(plans: Sequence[ImagePlan]) -> str:
    names = sorted(plan.name for plan in plans)
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _closing(report: StageReport) -> str:
    """What all of it comes to."""
    route = report.route
    if not report.tally.standing:
        return "Nothing stands in the way." if report.tally.judged else ""
    if not route.steps:
        return ""
    kinds = [action.kind for action in route.actions] + ["waiver"] * len(route.waivers)
    counts = [(kind, kinds.count(kind)) for kind in dict.fromkeys(kinds)]
    things = _and([f"{_word(count)} {kind}{'s' if count > 1 else ''}" for kind, count in counts])
    these = f"{'This' if len(kinds) == 1 else 'These'} {things}"
    if route.or_waivers:
        number = len(route.or_waivers)
        these += f", or {'this' if number == 1 else 'these'} {_word(number)} waiver{'s' if number > 1 else ''} alone,"
    is_one = (len(route.or_waivers) or len(kinds)) == 1
    if route.left:
        return f"{these} {'leaves' if is_one else 'leave'} {_number(len(route.left), 'image')} blocked."
    return f"{these} {'starts' if is_one else 'start'} you at zero."


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _word(number: int) -> str:
    return _WORDS[number] if number < len(_WORDS) else str(number)


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _alternative(route: EnforcementPlan) -> list[str]:
    """The few waivers that would do without any action."""
    return [f"waive {waive} for {', '.join(route.repositories_at_once(waive))}" for waive in route.or_waivers]


def _left(route: EnforcementPlan) -> list[str]:
    return [
        f"{plan.name}: {'; '.join(plan.hopeless)}" for plan in sorted(route.left, key=lambda plan: plan.name)
    ]


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
    route = report.route
    if route.steps:
        yield Section("The shortest way to zero:", [told(route, step) for step in route.steps], is_to_do=True)
    if route.or_waivers:
        yield Section("Or, until that is done:", _alternative(route), is_to_do=True)
    if route.left:
        yield Section("What no action and no waiver frees:", _left(route))
    if end := _closing(report):
        yield Section(end)
    if report.flip and report.tally.judged:
        yield Section(_when(report), [_flip(report.flip)])


def _when(report: StageReport) -> str:
    if report.route.left:
        return "When those are settled, too, flip this line:"
    return "Then flip this line:" if report.tally.standing else "Flip this line:"


def _flip(flip: Flip) -> str:
    return f"{flip.where}  {flip.says}" + (f"  ({flip.note})" if flip.note else "")
