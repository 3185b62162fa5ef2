"""Weighing: why each finding counts or does not, what is missing where nobody can tell, and what is folded."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.findings.finding import EXAMPLES, Finding, FindingKind, Severity
from imagegate.gate.finding_rules import Clock, FindingEvaluator, FindingRuling, RulingReason, Terms
from imagegate.gate.tally import FindingTally, StartedClocks, worse
from imagegate.policy.rules import (
    DENIED,
    PROHIBITED,
    RULES_OF_KINDS,
    Action,
    FindingRules,
    GraceStart,
    Limit,
    NoGrace,
    ProhibitedPackage,
    Rule,
)
from imagegate.policy.waiver import Waiver, Waivers, WaiverTerms
from tests.unit.samples import (
    DAY,
    NOON,
    digest,
    finding,
    package,
    rule_waiver,
    severities,
    tally_of,
    terms,
    waiver,
)
from tests.unit.trials import satisfies

HIGH, LOW = Severity.HIGH, Severity.LOW
LIMIT = {HIGH: Limit(0)}
FIX = "whether there is a fix"
KEV = "whether it is known to be exploited (KEV)"
EXPLOIT = "whether an exploit is available"
EPSS = "its EPSS"


def rules(**changes: Any) -> FindingRules:
    return FindingRules(**{"max": LIMIT, **changes})


def waivers(*some: Waiver) -> Waivers:
    return Waivers(some, WaiverTerms(), "shop/api-dev", [digest()], NOON)


def rulings(one: Finding, asked: FindingRules, **more: Any) -> tuple[FindingRuling, ...]:
    return FindingEvaluator(terms(asked, **more)).evaluate(one)


def ruling(one: Finding, asked: FindingRules, **more: Any) -> FindingRuling:
    (found,) = rulings(one, asked, **more)
    return found


def known_since(age: timedelta, fix: timedelta | None = None, name: str = "openssl") -> dict[Any, Clock]:
    return {("CVE-2026-1", name): Clock(NOON - age, None if fix is None else NOON - fix)}


def test_a_finding_of_a_severity_with_a_limit_counts() -> None:
    assert ruling(finding(), rules()) == FindingRuling("findings.high", RulingReason.COUNTS)
    assert ruling(finding(severity=LOW), rules()) == FindingRuling("findings.low", RulingReason.NO_LIMIT)
    off = rules(max={HIGH: Limit(0, Action.OFF)})
    assert ruling(finding(), off) == FindingRuling("findings.high", RulingReason.NO_LIMIT)


@pytest.mark.parametrize(("kind", "rule"), RULES_OF_KINDS.items())
def test_a_kind_with_a_rule_counts_there_alone_whatever_its_severity(kind: FindingKind, rule: str) -> None:
    """Neither filters nor grace are for it; without a rule it counts as a vulnerability does."""
    for severity in Severity:
        one = replace(finding(severity=severity), kind=kind, at_worst=Severity.CRITICAL)
        asked = rules(
            max=dict.fromkeys(Severity, Limit(0)),
            only_fixable=frozenset(Severity),
            grace=dict.fromkeys(Severity, DAY),
            max_of_kind={kind: Limit(0)},
        )
        assert ruling(one, asked) == FindingRuling(rule, RulingReason.COUNTS)
        assert ruling(one, asked, waivers=waivers(waiver())).reason is RulingReason.WAIVED
        off = replace(asked, max_of_kind={kind: Limit(0, Action.OFF)})
        assert ruling(one, off) == FindingRuling(rule, RulingReason.NO_LIMIT)
        other = replace(asked, max_of_kind={})
        assert rulings(one, other) == rulings(replace(one, kind=FindingKind.VULNERABILITY), other)


@pytest.mark.parametrize("reason", RulingReason)
def test_a_finding_counts_by_the_reason_of_its_ruling(reason: RulingReason) -> None:
    assert FindingRuling("x", reason).holds is (reason in ("counts", "unknown", "denied", "prohibited"))


# filters


@pytest.mark.parametrize(
    ("fixable", "expected"),
    [
        (True, FindingRuling("findings.high", RulingReason.COUNTS)),
        (False, FindingRuling("findings.high", RulingReason.NO_FIX)),
        (None, FindingRuling("findings.high", RulingReason.UNKNOWN, missing=(FIX,))),
    ],
)
def test_only_what_can_be_fixed_counts_where_the_rule_says_so(
    fixable: bool | None, expected: FindingRuling
) -> None:
    only = rules(only_fixable=frozenset({HIGH}))
    assert ruling(finding(fixable=fixable), only) == expected
    assert (
        ruling(finding(fixable=fixable), rules(only_fixable=frozenset({LOW}))).reason is RulingReason.COUNTS
    )


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(), FindingRuling("findings.high", RulingReason.GRACE, until="2026-11-28T12:00:00Z")),
        (3 * DAY, FindingRuling("findings.high", RulingReason.GRACE, until="2026-11-25T12:00:00Z")),
        (
            7 * DAY - timedelta(seconds=1),
            FindingRuling("findings.high", RulingReason.GRACE, until="2026-11-21T12:00:01Z"),
        ),
        (7 * DAY, FindingRuling("findings.high", RulingReason.COUNTS)),
        (30 * DAY, FindingRuling("findings.high", RulingReason.COUNTS)),
    ],
)
def test_a_finding_has_its_time_from_when_it_was_seen_first(age: timedelta, expected: FindingRuling) -> None:
    graceful = rules(grace={HIGH: 7 * DAY})
    assert ruling(finding(), graceful, clocks=known_since(age)) == expected


def test_a_new_finding_has_all_of_its_grace_time() -> None:
    graceful = rules(grace={HIGH: 7 * DAY})
    assert ruling(finding(), graceful).until == "2026-11-28T12:00:00Z"
    other = {
        ("CVE-2026-2", "openssl"): Clock(NOON - 30 * DAY),
        ("CVE-2026-1", "zlib"): Clock(NOON - 30 * DAY),
    }
    assert ruling(finding(), graceful, clocks=other).until == "2026-11-28T12:00:00Z"


def test_time_is_given_by_severity() -> None:
    assert ruling(finding(), rules(grace={LOW: 7 * DAY})).reason is RulingReason.COUNTS


def test_the_clock_that_runs_longest_decides_about_several_packages() -> None:
    graceful = rules(grace={HIGH: 7 * DAY})
    both = finding("CVE-2026-1", HIGH, package("zlib"), package("openssl"))
    clocks = known_since(6 * DAY) | known_since(2 * DAY, name="zlib")
    assert ruling(both, graceful, clocks=clocks).until == "2026-11-22T12:00:00Z"
    assert ruling(both, graceful, clocks=known_since(7 * DAY)).reason is RulingReason.COUNTS


@pytest.mark.parametrize(
    ("fixable", "clocks", "expected"),
    [
        (False, {}, FindingRuling("findings.high", RulingReason.GRACE, until="a fix")),
        (False, known_since(99 * DAY), FindingRuling("findings.high", RulingReason.GRACE, until="a fix")),
        (True, {}, FindingRuling("findings.high", RulingReason.GRACE, until="2026-11-28T12:00:00Z")),
        (
            True,
            known_since(99 * DAY),
            FindingRuling("findings.high", RulingReason.GRACE, until="2026-11-28T12:00:00Z"),
        ),
        (
            True,
            known_since(99 * DAY, DAY),
            FindingRuling("findings.high", RulingReason.GRACE, until="2026-11-27T12:00:00Z"),
        ),
        (True, known_since(99 * DAY, 7 * DAY), FindingRuling("findings.high", RulingReason.COUNTS)),
        (False, known_since(99 * DAY, 7 * DAY), FindingRuling("findings.high", RulingReason.COUNTS)),
        (None, known_since(DAY), FindingRuling("findings.high", RulingReason.UNKNOWN, missing=(FIX,))),
    ],
)
def test_time_may_start_with_the_first_fix_instead(
    fixable: bool | None, clocks: dict[Any, Clock], expected: FindingRuling
) -> None:
    by_fix = rules(grace={HIGH: 7 * DAY}, grace_starts=GraceStart.FIX_AVAILABLE)
    assert ruling(finding(fixable=fixable), by_fix, clocks=clocks) == expected


@pytest.mark.parametrize(
    ("no_grace", "told", "expected"),
    [
        (NoGrace(known_exploited=True), {"known_exploited": True}, RulingReason.COUNTS),
        (NoGrace(known_exploited=True), {"known_exploited": False}, RulingReason.GRACE),
        (NoGrace(known_exploited=True), {}, (KEV,)),
        (NoGrace(exploit_available=True), {"exploit": True}, RulingReason.COUNTS),
        (NoGrace(exploit_available=True), {"exploit": False}, RulingReason.GRACE),
        (NoGrace(exploit_available=True), {}, (EXPLOIT,)),
        (NoGrace(epss=0.5), {"epss": 0.5}, RulingReason.COUNTS),
        (NoGrace(epss=0.5), {"epss": 0.49}, RulingReason.GRACE),
        (NoGrace(epss=0.0), {"epss": 0.0}, RulingReason.COUNTS),
        (NoGrace(epss=0.5), {}, (EPSS,)),
        (NoGrace(True, True, 0.5), {}, (KEV, EXPLOIT, EPSS)),
        (NoGrace(True, True, 0.5), {"known_exploited": False, "epss": 0.1}, (EXPLOIT,)),
        (NoGrace(True, True, 0.5), {"epss": 0.9}, RulingReason.COUNTS),
        (NoGrace(), {"known_exploited": True, "exploit": True, "epss": 1.0}, RulingReason.GRACE),
    ],
)
def test_exploited_and_likely_exploited_findings_have_no_grace_time(
    no_grace: NoGrace, told: dict[str, Any], expected: RulingReason | tuple[str, ...]
) -> None:
    found = ruling(finding(**told), rules(grace={HIGH: 7 * DAY}, no_grace=no_grace))
    if isinstance(expected, RulingReason):
        assert (found.reason, found.missing) == (expected, ())
    else:
        assert (found.reason, found.missing) == (RulingReason.UNKNOWN, expected)


def test_whether_something_is_urgent_does_not_matter_once_its_time_is_over() -> None:
    over = rules(grace={HIGH: DAY}, no_grace=NoGrace(True, True, 0.5))
    assert ruling(finding(), over, clocks=known_since(DAY)) == FindingRuling(
        "findings.high", RulingReason.COUNTS
    )


@pytest.mark.parametrize(
    ("baseline", "reason"),
    [
        (None, RulingReason.COUNTS),
        (frozenset(), RulingReason.COUNTS),
        (frozenset({("CVE-2026-1", "openssl")}), RulingReason.COUNTS),
        (frozenset({("CVE-2026-1", "openssl"), ("CVE-2026-2", "zlib")}), RulingReason.COUNTS),
        (frozenset({("CVE-2026-1", "openssl"), ("CVE-2026-1", "zlib")}), RulingReason.NOT_WORSE),
    ],
)
def test_findings_that_the_next_stage_has_in_every_package_do_not_count(
    baseline: frozenset[tuple[str, str]] | None, reason: RulingReason
) -> None:
    both = finding("CVE-2026-1", HIGH, package("openssl"), package("zlib"))
    assert ruling(both, rules(no_worse_than_next=True), baseline=baseline).reason is reason
    assert ruling(both, rules(), baseline=baseline).reason is RulingReason.COUNTS


def test_another_version_of_a_package_is_no_new_place() -> None:
    known = frozenset({("CVE-2026-1", "openssl")})
    newer = finding("CVE-2026-1", HIGH, package(installed="3.9"))
    assert ruling(newer, rules(no_worse_than_next=True), baseline=known).reason is RulingReason.NOT_WORSE


# denied and prohibited


@pytest.mark.parametrize("names", [{"CVE-2026-1"}, {"GHSA-1"}, {"CVE-2026-1", "CVE-2"}])
def test_a_denied_finding_is_denied_by_any_of_its_names_in_spite_of_filters(names: set[str]) -> None:
    harmless = finding(severity=LOW, aliases=("GHSA-1",), fixable=False)
    asked = FindingRules(
        max={LOW: Limit(9)},
        only_fixable=frozenset({LOW}),
        grace={LOW: 99 * DAY},
        no_worse_than_next=True,
        deny=Rule(frozenset(names)),
    )
    known = frozenset(harmless.places)
    assert rulings(harmless, asked, baseline=known) == (
        FindingRuling(DENIED, RulingReason.DENIED),
        FindingRuling("findings.low", RulingReason.NO_FIX),
    )
    assert [one.rule for one in rulings(finding("CVE-3"), asked)] == ["findings.high"]


@pytest.mark.parametrize("action", Action)
def test_a_list_that_is_off_denies_nothing(action: Action) -> None:
    asked = rules(deny=Rule(frozenset({"CVE-2026-1"}), action))
    assert (DENIED in [one.rule for one in rulings(finding(), asked)]) is (action is not Action.OFF)


def test_a_denied_finding_is_waived_only_by_a_waiver_of_that_finding() -> None:
    asked = rules(deny=Rule(frozenset({"CVE-2026-1"})))
    told = rulings(finding(), asked, waivers=waivers(waiver()))
    assert [(one.rule, one.reason, one.waiver) for one in told] == [
        (DENIED, RulingReason.WAIVED, waiver().id),
        ("findings.high", RulingReason.WAIVED, waiver().id),
    ]
    for rule in (DENIED, "findings.high"):
        whole = waivers(rule_waiver(rule))
        assert {one.reason for one in rulings(finding(), asked, waivers=whole)} == {
            RulingReason.DENIED,
            RulingReason.COUNTS,
        }


@pytest.mark.parametrize(
    ("prohibited", "installed", "expected"),
    [
        (ProhibitedPackage("openssl"), None, RulingReason.PROHIBITED),
        (ProhibitedPackage("open*"), "1", RulingReason.PROHIBITED),
        (ProhibitedPackage("openssl", "<2"), "1", RulingReason.PROHIBITED),
        (ProhibitedPackage("openssl", "<2"), "2", None),
        (ProhibitedPackage("openssl", "<2"), None, RulingReason.UNKNOWN),
        (ProhibitedPackage("openssl", "<2"), "odd", RulingReason.UNKNOWN),
        (ProhibitedPackage("openssl", "<2", "deb"), "1", RulingReason.PROHIBITED),
        (ProhibitedPackage("openssl", "<2", "npm"), "1", None),
        (ProhibitedPackage("OPENSSL"), "1", None),
        (ProhibitedPackage("ssl"), "1", None),
    ],
)
def test_a_package_is_prohibited_by_name_version_and_ecosystem(
    prohibited: ProhibitedPackage, installed: str | None, expected: RulingReason | None
) -> None:
    asked = FindingRules(max={}, prohibited=Rule((ProhibitedPackage("other"), prohibited)))
    found = finding("CVE-2026-1", HIGH, package("zlib"), package(installed=installed))
    told = {one.rule: one.reason for one in rulings(found, asked, satisfies=satisfies)}
    assert told.get(PROHIBITED) is expected


def test_versions_that_nobody_can_compare_are_unknown() -> None:
    asked = FindingRules(max={}, prohibited=Rule((ProhibitedPackage("openssl", "<2"),)))
    first, _ = rulings(finding("CVE-2026-1", HIGH, package(installed="1")), asked, satisfies=None)
    assert first == FindingRuling(PROHIBITED, RulingReason.UNKNOWN, missing=("whether openssl 1 is <2",))


def test_a_prohibited_package_is_waived_by_name_and_each_for_itself() -> None:
    asked = FindingRules(max={}, prohibited=Rule((ProhibitedPackage("*"),)))
    granted = waivers(rule_waiver(PROHIBITED, package="openssl"))
    both = finding("CVE-2026-1", HIGH, package("openssl"), package("zlib"))
    assert rulings(finding(), asked, waivers=granted)[0].reason is RulingReason.WAIVED
    assert rulings(both, asked, waivers=granted)[0].reason is RulingReason.PROHIBITED


# waivers


def test_a_finding_is_waived_when_it_is_waived_in_every_package() -> None:
    both = finding("CVE-2026-1", HIGH, package("openssl"), package("zlib"))
    soon = waiver(package="zlib", expires=date(2026, 12, 1))
    assert ruling(both, rules(), waivers=waivers(waiver())).reason is RulingReason.COUNTS
    told = ruling(both, rules(), waivers=waivers(waiver(), soon))
    assert told == FindingRuling("findings.high", RulingReason.WAIVED, until="2026-12-01", waiver=soon.id)


def test_a_finding_without_a_package_cannot_be_waived_by_package() -> None:
    assert (
        ruling(replace(finding(), packages=()), rules(), waivers=waivers(waiver())).reason
        is RulingReason.COUNTS
    )


def test_a_waiver_answers_what_the_scanner_does_not_say() -> None:
    asked = rules(only_fixable=frozenset({HIGH}), grace={HIGH: DAY}, no_grace=NoGrace(True))
    assert ruling(finding(), asked, waivers=waivers(waiver())).reason is RulingReason.WAIVED


@pytest.mark.parametrize(
    ("asked", "told", "more"),
    [
        ({"only_fixable": frozenset({HIGH})}, {"fixable": False}, {}),
        ({"no_worse_than_next": True}, {}, {"baseline": frozenset({("CVE-2026-1", "openssl")})}),
        ({"grace": {HIGH: DAY}}, {}, {}),
        ({"max": {}}, {}, {}),
    ],
)
def test_no_waiver_is_used_for_what_does_not_count_anyway(
    asked: dict[str, Any], told: dict[str, Any], more: dict[str, Any]
) -> None:
    some = waivers(waiver(), waiver(expires=date(2026, 1, 1)))
    assert ruling(finding(**told), rules(**asked), waivers=some, **more).reason is not RulingReason.WAIVED
    assert not some.used
    assert not some.idle


# what the rulings say


def test_a_ruling_has_only_the_members_with_a_value() -> None:
    assert FindingRuling("findings.high", RulingReason.COUNTS).as_json() == {
        "rule": "findings.high",
        "why": "counts",
    }
    assert FindingRuling("r", RulingReason.WAIVED, "2026-12-01", "w-1", ("its EPSS",)).as_json() == {
        "rule": "r",
        "why": "waived",
        "until": "2026-12-01",
        "waiver": "w-1",
        "missing": ["its EPSS"],
    }


def test_blocking_rulings_come_first() -> None:
    asked = FindingRules(
        max=LIMIT, deny=Rule(frozenset({"CVE-2026-1"})), prohibited=Rule((ProhibitedPackage("openssl"),))
    )
    told = rulings(finding(), asked, waivers=waivers(waiver()))
    assert [one.rule for one in told] == [PROHIBITED, DENIED, "findings.high"]
    assert [one.holds for one in told] == [True, False, False]


@pytest.mark.parametrize(
    ("no_grace", "told", "needed"),
    [
        (NoGrace(known_exploited=True), {}, True),
        (NoGrace(known_exploited=True), {"known_exploited": False}, False),
        (NoGrace(epss=0.5), {}, True),
        (NoGrace(epss=0.5), {"epss": 0.1}, False),
        (NoGrace(exploit_available=True), {}, False),
        (NoGrace(), {}, False),
    ],
)
def test_details_are_requested_only_if_they_can_change_the_verdict(
    no_grace: NoGrace, told: dict[str, Any], needed: bool
) -> None:
    asked = rules(grace={HIGH: DAY}, no_grace=no_grace)
    assert FindingEvaluator(terms(asked)).needs_details(finding(**told)) is needed
    assert not FindingEvaluator(terms(asked, clocks=known_since(DAY))).needs_details(finding(**told))
    assert not FindingEvaluator(terms(asked, waivers=waivers(waiver()))).needs_details(finding(**told))


def test_asking_what_details_are_needed_uses_no_waiver() -> None:
    """With the details the finding may not need it any more."""
    some = waivers(waiver(), waiver(package="zlib", expires=date(2026, 1, 1)))
    evaluator = FindingEvaluator(terms(rules(grace={HIGH: DAY}, no_grace=NoGrace(True)), waivers=some))
    assert not evaluator.needs_details(finding())
    assert evaluator.needs_details(finding("CVE-2026-1", HIGH, package("zlib")))
    assert (some.used, some.idle) == ({}, {})


# folding


def tallied(asked: FindingRules, *findings: Finding, **more: Any) -> FindingTally:
    return tally_of(terms(asked, **more), findings)


def test_findings_are_folded_by_what_decided_about_them() -> None:
    asked = rules(only_fixable=frozenset({HIGH}))
    found = tallied(
        asked,
        *(finding(f"CVE-{n}", fixable=fixable) for n, fixable in enumerate((True, False, False, None))),
        finding("CVE-9", LOW),
    )
    assert found.all.counts == {HIGH: 4, LOW: 1}
    assert found.counting.counts == {HIGH: 1}
    assert found.unknown.counts == {HIGH: 1}
    assert found.aside == {RulingReason.NO_FIX: 2, RulingReason.NO_LIMIT: 1}
    assert list(found.missing) == [FIX]
    assert [one.rule for one in found.open] == ["findings.high"] * 2


def test_a_finding_in_several_packages_counts_once() -> None:
    many = finding("CVE-1", HIGH, *(package(name) for name in ("a", "b", "c")))
    found = tallied(rules(deny=Rule(frozenset({"CVE-1"})), prohibited=Rule((ProhibitedPackage("*"),))), many)
    assert found.counting.counts == {HIGH: 1}
    assert found.violations == {DENIED: 1, PROHIBITED: 1}


@given(st.integers(0, 3 * EXAMPLES))
def test_a_few_examples_are_kept_and_all_are_counted(number: int) -> None:
    asked = rules(deny=Rule(frozenset({"GHSA-1"})), prohibited=Rule((ProhibitedPackage("openssl", "<2"),)))
    some = [finding(f"CVE-{n}", HIGH, package(installed=None), aliases=("GHSA-1",)) for n in range(number)]
    found = tallied(asked, *some, satisfies=satisfies, baseline=frozenset())
    kept = [f"CVE-{n} (openssl)" for n in range(min(number, EXAMPLES))]
    assert found.violations.get(DENIED, 0) == number
    assert found.examples_of.get(DENIED, []) == found.incomparable == found.added_examples == kept
    assert found.added == number


def test_the_worst_is_of_what_is_not_waived() -> None:
    granted = waivers(waiver())
    assert tallied(rules(), finding(), finding("CVE-2", LOW), waivers=granted).worst is LOW
    assert tallied(rules(), finding(), finding("CVE-2", LOW)).worst is HIGH
    assert tallied(rules(grace={HIGH: DAY}), finding(), waivers=granted).worst is HIGH
    assert tallied(rules()).worst is None


@given(severities, severities)
def test_of_two_severities_the_graver_one_is_worse(one: Severity, other: Severity) -> None:
    order = list(Severity)
    assert worse(one, other) is worse(other, one) is order[min(order.index(one), order.index(other))]
    assert worse(one, None) is worse(None, one) is one


def test_findings_of_the_baseline_and_new_ones_are_named() -> None:
    both = finding("CVE-2026-1", HIGH, package("openssl"), package("zlib"))
    known = frozenset({("CVE-2026-1", "zlib"), ("CVE-2026-5", "gone")})
    found = tallied(rules(), both, finding("CVE-7"), baseline=known)
    assert found.still_there == {("CVE-2026-1", "zlib")}
    assert found.added == 2
    assert tallied(rules(), both).added == 0


@pytest.mark.parametrize("timed", [frozenset(), frozenset({LOW}), frozenset({HIGH})])
def test_clocks_are_kept_for_what_some_stage_gives_time(timed: frozenset[Severity]) -> None:
    """This stage need not give time itself: the clock starts at the first gate."""
    clocks = StartedClocks(terms(rules(), timed=timed))
    clocks.add(finding(fixable=True))
    expected = {("CVE-2026-1", "openssl"): Clock(NOON, NOON)} if HIGH in timed else {}
    assert clocks.started == expected


def test_a_clock_that_runs_is_kept_again_only_when_a_fix_is_seen() -> None:
    (place,) = finding().places
    for fixable, expected in ((None, {}), (False, {}), (True, {place: Clock(NOON - DAY, NOON)})):
        started = StartedClocks(terms(rules(), timed=frozenset({HIGH}), clocks={place: Clock(NOON - DAY)}))
        started.add(finding(fixable=fixable))
        assert started.started == expected


@pytest.mark.parametrize(
    ("known", "fixable", "expected"),
    [
        (None, None, Clock(NOON)),
        (None, False, Clock(NOON)),
        (None, True, Clock(NOON, NOON)),
        (Clock(NOON - DAY), False, Clock(NOON - DAY)),
        (Clock(NOON - DAY), True, Clock(NOON - DAY, NOON)),
        (Clock(NOON - DAY, NOON - DAY), False, Clock(NOON - DAY, NOON - DAY)),
        (Clock(NOON - DAY, NOON - DAY), True, Clock(NOON - DAY, NOON - DAY)),
    ],
)
def test_a_clock_never_starts_again(known: Clock | None, fixable: bool | None, expected: Clock) -> None:
    (place,) = finding().places
    asked: Terms = terms(rules(), clocks={place: known} if known else {})
    assert asked.clock(finding(fixable=fixable), place) == expected
