"""The whole judgement: pure, the same whoever asks and in whatever order, and as the specification says."""

from __future__ import annotations

import random
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from imagegate.findings.finding import Finding, Severity
from imagegate.gate.evaluation import EvaluationResult
from imagegate.gate.finding_rules import Clock
from imagegate.gate.findings_record import clocks_of, read
from imagegate.gate.verdict import VerdictOutcome
from imagegate.policy.rules import GraceStart, Limit
from tests.unit import expected
from tests.unit.any_trials import OPENSSL, ZLIB, finding_trials, trials
from tests.unit.samples import DAY, NOON, finding, waiver
from tests.unit.trials import CRITICAL, FACTS, HIGH, Platform, Trial, trial, well_known

BLOCK, ERROR, PASS = VerdictOutcome.BLOCK, VerdictOutcome.ERROR, VerdictOutcome.PASS


@settings(max_examples=200)
@given(trials())
def test_an_image_passes_exactly_when_the_specification_lets_it_pass(case: Trial) -> None:
    assert case.passes is (expected.outcome(case) is PASS)


@settings(max_examples=200)
@given(finding_trials)
def test_findings_pass_exactly_when_the_specification_lets_them_pass(case: Trial) -> None:
    assert case.passes is (expected.outcome(case) is PASS)


@given(trials() | finding_trials)
def test_refused_and_unknown_results_differ(case: Trial) -> None:
    """Save where time starts with a fix, and the scanner does not say whether there is one."""
    assume(case.stage.findings.grace_starts is GraceStart.SEEN or not case.stage.findings.grace)
    assert case.outcome is expected.outcome(case)


def summary_of(judged: EvaluationResult) -> dict[str, object]:
    return {
        "outcome": judged.verdict.outcome,
        "worst": judged.verdict.worst,
        "used": set(judged.used_waivers),
    } | {"reasons": {(reason.rule, reason.action, reason.is_unknown) for reason in judged.verdict.reasons}}


@given(trials())
def test_the_same_case_has_the_same_verdict_and_judging_changes_nothing_in_it(case: Trial) -> None:
    before = deepcopy(case)
    judged = case.judged()
    assert case == before
    assert case.judged() == judged


@given(trials(most_platforms=3), st.randoms(use_true_random=False))
def test_the_order_of_findings_does_not_matter(case: Trial, chance: random.Random) -> None:
    shuffled = tuple(
        replace(platform, findings=tuple(chance.sample(platform.findings, len(platform.findings))))
        for platform in case.platforms
    )
    assert summary_of(replace(case, platforms=shuffled).judged()) == summary_of(case.judged())


@given(trials(most_platforms=3), st.randoms(use_true_random=False))
def test_the_order_of_platforms_does_not_matter(case: Trial, chance: random.Random) -> None:
    shuffled = tuple(chance.sample(case.platforms, len(case.platforms)))
    assert summary_of(replace(case, platforms=shuffled).judged()) == summary_of(case.judged())


@given(trials(), st.randoms(use_true_random=False))
def test_the_order_of_waivers_does_not_matter_to_the_outcome(case: Trial, chance: random.Random) -> None:
    shuffled = chance.sample(case.all_waivers, len(case.all_waivers))
    assert replace(case, waivers=(), grants=tuple(shuffled)).outcome is case.outcome


@given(trials())
def test_a_waiver_counts_from_every_source(case: Trial) -> None:
    assert replace(case, waivers=(), grants=case.all_waivers).judged() == case.judged()
    assert replace(case, waivers=case.all_waivers, grants=()).judged() == case.judged()


@given(trials())
def test_a_waiver_that_was_not_used_changes_nothing(case: Trial) -> None:
    judged = case.judged()
    without = replace(case, waivers=judged.used_waivers, grants=()).judged()
    assert without.verdict.outcome is judged.verdict.outcome
    assert without.verdict.blocking == judged.verdict.blocking
    assert set(without.used_waivers) == set(judged.used_waivers)


@given(trials())
def test_pass_means_that_nothing_blocks_and_a_refusal_says_why(case: Trial) -> None:
    verdict = case.judged().verdict
    assert (verdict.outcome is PASS) is (not verdict.blocking)
    assert (verdict.outcome is BLOCK) is any(not reason.is_unknown for reason in verdict.blocking)
    assert all(reason.message for reason in verdict.reasons)


@given(finding_trials)
def test_findings_are_kept_as_they_were_judged(case: Trial) -> None:
    judged = case.judged()
    (packed,) = judged.packed_findings
    lines = list(read(packed)) if packed else []
    assert [found for found, _ in lines] == list(case.platforms[0].findings)
    timed = [found for found in case.platforms[0].findings if found.severity in case.stage.findings.grace]
    clocks = [clocks_of(found, line) for found, line in lines if "clocks" in line]
    assert [set(kept) for kept in clocks] == [set(found.places) for found in timed]


@given(finding_trials)
def test_clocks_start_now_for_what_is_new_and_stay_for_what_is_known(case: Trial) -> None:
    places = [place for found in case.platforms[0].findings for place in found.places]
    assume(len(places) == len(set(places)))
    started = case.judged().started_clocks
    timed = [found for found in case.platforms[0].findings if found.severity in case.stage.findings.grace]
    with_fix = {place for found in timed if found.fixable for place in found.places}
    expected_to_start = {}
    for place in {place for found in timed for place in found.places}:
        known = case.clocks.get(place)
        fix = (known and known.fix_seen_at) or (case.now if place in with_fix else None)
        clock = Clock(known.seen_at if known else case.now, fix)
        if clock != known:
            expected_to_start[place] = clock
    assert started == expected_to_start


def abandoned(case: Trial, *findings: Finding) -> EvaluationResult:
    """Evaluate after a first reading was dropped because the scan had been run again meanwhile."""
    judging, platform = case.judging(), case.platforms[0]
    reading = judging.open_scan(platform.scan, platform.facts.platform)
    for one in findings:
        reading.add(one)
    judging.read_scan(platform.scan, platform.findings, platform.facts.platform)
    return judging.decide()


@given(
    finding_trials,
    st.lists(st.sampled_from([finding("CVE-1", CRITICAL), finding("CVE-3", HIGH, OPENSSL, ZLIB)])),
)
def test_a_dropped_reading_leaves_no_trace(case: Trial, others: list[Finding]) -> None:
    assert abandoned(case, *others) == case.judged()


@given(finding_trials)
def test_the_difference_to_the_next_stage_is_told_when_something_stands_there(case: Trial) -> None:
    delta = case.judged().delta
    assert (delta is None) is (case.baseline is None)
    if delta is not None and case.baseline is not None:
        here = {place for found in case.platforms[0].findings for place in found.places}
        assert delta["removed"] == len(case.baseline - here)
        new = [found for found in case.platforms[0].findings if not set(found.places) <= case.baseline]
        assert delta["added"] == len(new)
        assert len(delta["addedExamples"]) <= len(new)


def two(first: Sequence[Finding], second: Sequence[Finding]) -> Trial:
    """Return an index for two platforms."""
    scans = [Platform(well_known(number, 2), tuple(found)) for number, found in enumerate((first, second))]
    return trial(platforms=tuple(scans)).with_rules(max={})


def test_the_delta_of_several_platforms_names_what_is_new_once() -> None:
    new = finding("CVE-2026-7")
    case = replace(two([new], [new, finding()]), baseline=frozenset((*finding().places, ("CVE-0", "gone"))))
    delta = case.judged().delta
    assert delta == {
        "against": "shop/api-staging:1.0",
        "added": 1,
        "addedExamples": ["CVE-2026-7 (openssl 3.0.1)"],
        "removed": 1,
        "removedExamples": ["CVE-0 (gone)"],
    }


def test_a_clock_that_one_platform_starts_runs_for_the_others_too() -> None:
    case = two([finding(fixable=True)], [finding(fixable=False)]).with_rules(grace={HIGH: DAY})
    assert case.judged().started_clocks == {("CVE-2026-1", "openssl"): Clock(NOON, NOON)}


def test_a_finding_that_is_in_grace_keeps_no_waiver_busy() -> None:
    case = trial(finding(), waivers=(waiver(),)).with_rules(max={HIGH: Limit(0)}, grace={HIGH: DAY})
    assert case.judged().used_waivers == ()
    assert case.passes


def test_an_image_is_judged_a_second_time_from_its_record_with_the_same_verdict() -> None:
    """The kept findings are enough: the same clocks, read back, give the same verdict later."""
    case = trial(finding(fixable=True), finding("CVE-2", HIGH, OPENSSL, ZLIB)).with_rules(
        max={HIGH: Limit(0)}, grace={HIGH: timedelta(days=2)}
    )
    (packed,) = case.judged().packed_findings
    assert packed is not None
    kept = {place: clock for found, line in read(packed) for place, clock in clocks_of(found, line).items()}
    assert kept == case.judged().started_clocks
    again = trial(*(found for found, _ in read(packed)), clocks=kept, now=NOON + DAY, stage=case.stage)
    assert again.passes
    assert not replace(again, now=NOON + 2 * DAY).passes


def test_severities_without_grace_keep_no_clocks() -> None:
    case = trial(finding("CVE-1", Severity.LOW), image=FACTS).with_rules(grace={HIGH: DAY})
    assert case.judged().started_clocks == {}
