"""Changes that never open the gate: one more finding or platform, waiting, and knowing more, or less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from imagegate.findings.finding import Finding, Severity
from imagegate.findings.scan import WaitOutcome
from imagegate.gate.verdict import VerdictOutcome
from imagegate.policy.rules import Limit
from tests.unit.any_trials import any_trials, findings, trials
from tests.unit.samples import DAY, digest
from tests.unit.trials import CRITICAL, HIGH, Trial, never_opens

BLOCK, ERROR, PASS = VerdictOutcome.BLOCK, VerdictOutcome.ERROR, VerdictOutcome.PASS


def with_finding(case: Trial, number: int, position: int, extra: Finding) -> Trial:
    found = case.platforms[number].findings
    return case.with_platform(number, findings=(*found[:position], extra, *found[position:]))


@given(any_trials, findings, st.integers(0, 5))
def test_one_more_finding_never_opens_the_gate(case: Trial, extra: Finding, position: int) -> None:
    for number in range(len(case.platforms)):
        never_opens(case, with_finding(case, number, position, extra))


@given(any_trials)
def test_a_finding_that_gets_graver_never_opens_a_gate_that_is_stricter_about_graver_ones(
    case: Trial,
) -> None:
    strict = case.with_rules(
        max={CRITICAL: Limit(0), HIGH: Limit(1)}, only_fixable=frozenset({HIGH}), grace={HIGH: DAY}
    )
    for number, platform in enumerate(case.platforms):
        graver = tuple(replace(found, severity=CRITICAL) for found in platform.findings)
        never_opens(strict, strict.with_platform(number, findings=graver))


@given(any_trials, st.lists(st.booleans(), min_size=8, max_size=8))
def test_a_severity_that_is_in_doubt_is_never_easier_than_either(case: Trial, doubts: list[bool]) -> None:
    for number, platform in enumerate(case.platforms):
        pairs = list(zip(platform.findings, doubts, strict=False))
        doubtful = [replace(one, severity=HIGH, at_worst=CRITICAL) if doubt else one for one, doubt in pairs]
        for severity in (HIGH, CRITICAL):
            certain = [replace(one, severity=severity) if doubt else one for one, doubt in pairs]
            before = case.with_platform(number, findings=tuple(certain))
            never_opens(before, case.with_platform(number, findings=tuple(doubtful)))


@given(any_trials, st.sampled_from((CRITICAL, HIGH)))
def test_findings_that_are_announced_and_not_listed_never_open_the_gate(
    case: Trial, severity: Severity
) -> None:
    assert not case.with_platform(0, status="COMPLETE", hidden={severity: 1}).passes


@given(trials(), trials(most_platforms=1), st.integers(0, 2))
def test_one_more_platform_never_opens_the_gate(case: Trial, other: Trial, position: int) -> None:
    """The rule that requires platforms by name is an exception."""
    case = case.with_image_rules(platforms=None)
    extra = replace(other.platforms[0], facts=replace(other.platforms[0].facts, digest=digest("one more")))
    more = (*case.platforms[:position], extra, *case.platforms[position:])
    never_opens(case, replace(case, platforms=more))


@given(trials(most_platforms=3))
def test_an_index_passes_when_each_platform_would_pass_alone(case: Trial) -> None:
    case = case.with_image_rules(platforms=None)
    order = [BLOCK, ERROR, PASS]
    alone = [replace(case, platforms=(platform,)).outcome for platform in case.platforms]
    assert case.outcome is min(alone, key=order.index)


# time

any_while = st.integers(1, 30 * 24).map(lambda hours: timedelta(hours=hours))


@given(any_trials, any_while)
def test_waiting_never_opens_the_gate(case: Trial, later: timedelta) -> None:
    """The clocks that were started run on; and even where nobody kept them, nothing opens."""
    kept = {**case.clocks, **case.judged().started_clocks}
    never_opens(case, replace(case, now=case.now + later, clocks=kept))
    never_opens(case, replace(case, now=case.now + later))


@given(any_trials, any_while)
def test_an_older_clock_never_opens_the_gate(case: Trial, earlier: timedelta) -> None:
    older = {place: replace(clock, seen_at=clock.seen_at - earlier) for place, clock in case.clocks.items()}
    never_opens(case, replace(case, clocks=older))
    older = {
        place: replace(clock, fix_seen_at=(clock.fix_seen_at or case.now) - earlier)
        for place, clock in case.clocks.items()
    }
    never_opens(case, replace(case, clocks=older))


# knowing more

ANSWERS: Mapping[str, tuple[Any, ...]] = {
    "fixable": (True, False),
    "exploit": (True, False),
    "known_exploited": (True, False),
    "epss": (0.0, 1.0),
}


@st.composite
def better_known(draw: st.DrawFn, cases: st.SearchStrategy[Trial]) -> tuple[Trial, Trial]:
    """Draw a case, and the same one with some of its unknown answers."""
    case = draw(cases)
    answers = draw(
        st.fixed_dictionaries({name: st.sampled_from((None, *told)) for name, told in ANSWERS.items()})
    )

    def told(finding: Finding) -> Finding:
        news = {name: answer for name, answer in answers.items() if getattr(finding, name) is None}
        return replace(finding, **news)

    known = case
    for number, platform in enumerate(case.platforms):
        known = known.with_platform(number, findings=tuple(map(told, platform.findings)))
    return case, known


def _has_until_fix(case: Trial) -> bool:
    return any(waiver.until_fix for waiver in case.all_waivers)


@given(better_known(any_trials))
def test_more_knowledge_of_its_findings_never_refuses_an_image_that_passed(
    cases: tuple[Trial, Trial],
) -> None:
    before, after = cases
    assert not before.passes or after.passes


@given(better_known(any_trials))
def test_more_knowledge_never_turns_a_refusal_into_a_pass(cases: tuple[Trial, Trial]) -> None:
    """Save by a waiver until there is a fix: it counts only once it is known that there is none."""
    before, after = cases
    assume(not _has_until_fix(before))
    assert before.outcome is not BLOCK or after.outcome is BLOCK


@given(better_known(any_trials))
def test_once_all_is_known_nothing_is_unknown(cases: tuple[Trial, Trial]) -> None:
    _, known = cases
    for number, platform in enumerate(known.platforms):
        certain = tuple(
            replace(
                found,
                fixable=bool(found.fixable),
                exploit=bool(found.exploit),
                known_exploited=bool(found.known_exploited),
                epss=found.epss or 0.0,
            )
            for found in platform.findings
        )
        known = known.with_platform(number, findings=certain)
    assert not [
        reason
        for reason in known.judged().verdict.reasons
        if reason.is_unknown and reason.rule in ("findings.critical", "findings.high")
    ]


@given(trials())
def test_knowing_less_of_an_image_never_opens_the_gate(case: Trial) -> None:
    for name in ("first_pushed_at", "signature", "provenance"):
        less: dict[str, Any] = {name: None}
        never_opens(case, replace(case, image=replace(case.image, **less)))
    for number in range(len(case.platforms)):
        never_opens(case, case.with_platform_facts(number, size=None))
        never_opens(case, case.with_platform_facts(number, config=None))
        never_opens(case, case.with_platform_facts(number, base_is_known=False))
        never_opens(case, case.with_platform(number, completed_at=None))
        assert not replace(case.with_platform(number, status=None), waited=WaitOutcome.TIMED_OUT).passes
