"""Remedies: the shortest list of actions that helps, checked by trying all of them and by judging again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.findings.finding import Finding, FindingKind, Package
from imagegate.gate.last_remedies import waiver_commands
from imagegate.gate.remediation import Rebuild, Remedies, Remedy
from imagegate.gate.verdict import VerdictOutcome
from imagegate.policy.rules import (
    DENIED,
    PROHIBITED,
    RULES_OF_KINDS,
    Action,
    FindingRules,
    Limit,
    ProhibitedPackage,
    Rule,
)
from imagegate.policy.waiver import WaiverTerms
from tests.unit.any_trials import mixed
from tests.unit.samples import DAY, image, stage, waiver
from tests.unit.trials import CRITICAL, HIGH, Platform, Trial, base, trial, well_known

Upgrades = Mapping[str, str]
LIMITS = {CRITICAL: Limit(0), HIGH: Limit(1)}


def package(name: str, fixed: str | None = "2") -> Package:
    return Package(name, "1", fixed, "deb")


def critical(number: int, *packages: Package) -> Finding:
    return Finding(f"CVE-{number}", CRITICAL, packages)


def blocked(*findings: Finding, **changes: Any) -> Trial:
    return trial(*findings, rules=FindingRules(max=LIMITS), **changes)


def remedies(case: Trial) -> Remedies:
    return case.judged().remedies


def texts(case: Trial) -> list[str]:
    return list(map(str, remedies(case).actions))


# what a person reads


def test_an_image_that_passes_needs_no_remedy() -> None:
    assert remedies(blocked(Finding("CVE-1", HIGH, (package("a"),)))) == Remedies()


def test_an_upgrade_says_to_which_version_and_how_much_it_removes() -> None:
    case = blocked(critical(1, package("jinja2", "3")), critical(2, package("jinja2", "3")))
    (remedy,) = remedies(case).actions
    assert str(remedy) == "upgrade jinja2 to 3: removes 2"
    assert remedy.packages == ("jinja2",)
    assert remedies(case).left == {}
    assert remedies(case).as_json() == {
        "actions": [{"kind": "upgrade", "text": "upgrade jinja2 to 3", "removes": 2, "packages": ["jinja2"]}],
        "left": {},
    }


def test_of_several_fixes_the_latest_is_named() -> None:
    fixes = ("3", "10", "9")
    assert texts(blocked(*(critical(n, package("a", fix)) for n, fix in enumerate(fixes)))) == [
        "upgrade a to 10: removes 3"
    ]


def test_packages_that_share_a_finding_are_upgraded_together() -> None:
    case = blocked(critical(1, package("b", "3"), package("a"), package("c")))
    assert texts(case) == ["upgrade a, c to 2 and b to 3: removes 1"]
    case = blocked(
        critical(1, package("a"), package("b")), critical(2, package("b", "5")), critical(3, package("c"))
    )
    assert texts(case) == ["upgrade a to 2 and b to 5: removes 2", "upgrade c to 2: removes 1"]


def test_findings_without_a_fix_stay_and_are_counted() -> None:
    case = blocked(critical(1, package("a", None)), critical(2, package("b")), critical(3))
    assert texts(case) == ["upgrade b to 2: removes 1"]
    assert remedies(case).left == {"findings.critical": 2}


def test_a_finding_with_one_unfixable_package_is_not_fixed() -> None:
    case = blocked(critical(1, package("a"), package("b", None)))
    assert (texts(case), remedies(case).left) == ([], {"findings.critical": 1})


def test_only_as_much_is_upgraded_as_the_limit_asks_for() -> None:
    high = [Finding(f"CVE-{n}", HIGH, (package(name),)) for n, name in enumerate("abcc")]
    assert [remedy.removes for remedy in remedies(blocked(*high[:2])).actions] == [1]
    assert [remedy.removes for remedy in remedies(blocked(*high)).actions] == [2, 1]
    assert texts(blocked(*high))[0] == "upgrade c to 2: removes 2"


def test_the_largest_action_is_not_named_where_fewer_do_without_it() -> None:
    """`most` removes four, but then both of the others are needed all the same."""
    found = [("most", CRITICAL, 2), ("most", HIGH, 2), ("left", CRITICAL, 3), ("right", HIGH, 3)]
    some = [
        Finding(f"CVE-{name}-{severity}-{n}", severity, (package(name),))
        for name, severity, number in found
        for n in range(number)
    ]
    case = trial(*some, rules=FindingRules(max={CRITICAL: Limit(2), HIGH: Limit(2)}))
    assert sorted(texts(case)) == ["upgrade left to 2: removes 3", "upgrade right to 2: removes 3"]


def test_one_upgrade_mends_every_platform_and_is_counted_once() -> None:
    found = (critical(1, package("a")), critical(2, package("a")))
    scans = tuple(Platform(well_known(number, 2), found[: number + 1]) for number in (0, 1))
    assert texts(blocked(platforms=scans)) == ["upgrade a to 2: removes 2"]


def test_warnings_and_waived_findings_need_no_remedy() -> None:
    others = [Finding(f"CVE-{n}", HIGH, (package("z"),)) for n in (7, 8, 9)]
    case = blocked(critical(1, package("a")), *others)
    for action in (Action.WARN, Action.OFF):
        changed = case.with_rules(max={CRITICAL: Limit(0), HIGH: Limit(0, action)})
        assert texts(changed) == ["upgrade a to 2: removes 1"]
    granted = tuple(waiver(vulnerability=f"CVE-{n}", package="z") for n in (7, 8, 9))
    assert texts(replace(case, waivers=granted)) == ["upgrade a to 2: removes 1"]


def test_an_image_that_findings_do_not_block_is_not_mended_by_upgrades() -> None:
    case = blocked(Finding("CVE-1", HIGH, (package("a"),))).with_image_rules(max_age=Rule(DAY))
    assert not case.passes
    assert remedies(case) == Remedies()


@pytest.mark.parametrize(
    ("rules", "rule"),
    [
        (FindingRules(max={}, deny=Rule(frozenset({"CVE-1"}))), DENIED),
        (FindingRules(max={}, prohibited=Rule((ProhibitedPackage("a"),))), PROHIBITED),
    ],
)
def test_denied_and_prohibited_packages_must_be_removed(rules: FindingRules, rule: str) -> None:
    mendable, stuck = (
        trial(critical(1, package("a")), rules=rules),
        trial(critical(1, package("a", None)), rules=rules),
    )
    assert texts(mendable) == ["upgrade a to 2: removes 1"]
    assert remedies(stuck) == Remedies((), {rule: 1})
    warned = FindingRules(
        max=LIMITS,
        deny=rules.deny and replace(rules.deny, action=Action.WARN),
        prohibited=rules.prohibited and replace(rules.prohibited, action=Action.WARN),
    )
    assert texts(trial(critical(2, package("b")), rules=warned)) == ["upgrade b to 2: removes 1"]
    assert texts(trial(critical(1, package("a")), rules=replace(warned, max={}))) == []


def test_unknown_findings_are_fixed_like_counted_ones() -> None:
    rules = FindingRules(max={CRITICAL: Limit(0)}, only_fixable=frozenset({CRITICAL}))
    case = trial(critical(1, package("a")), rules=rules)
    assert case.outcome is VerdictOutcome.ERROR
    assert texts(case) == ["upgrade a to 2: removes 1"]


def test_a_package_that_breaks_two_rules_is_removed_once() -> None:
    rules = FindingRules(max=LIMITS, deny=Rule(frozenset({"CVE-1"})))
    assert texts(trial(critical(1, package("a")), rules=rules)) == ["upgrade a to 2: removes 1"]


def test_the_message_names_findings_that_no_action_fixes() -> None:
    unfixed = replace(critical(2, package("b", None)), fixable=False)
    found = remedies(blocked(critical(1, package("a")), unfixed))
    assert found.texts == (
        "upgrade a to 2: removes 1",
        "1 CRITICAL without a known fix: wait for one, or waive it: CVE-2 (b 1)",
    )
    assert Remedies().texts == ()


def test_no_known_fix_is_not_said_where_the_scanner_does_not_tell() -> None:
    (text,) = remedies(blocked(critical(1, package("b", None)))).texts
    assert text.startswith(
        "1 CRITICAL whose fixes this scanner does not tell: look for newer versions, or waive it: "
    )


def test_each_way_to_deal_with_findings_of_one_rule_is_named() -> None:
    no_fix = [replace(critical(number, package("a", None)), fixable=False) for number in (1, 2)]
    secret = Finding("aws-access-key-id", CRITICAL, (Package("app/.env"),), kind=FindingKind.SECRET)
    assert remedies(blocked(*no_fix, critical(3, package("b", None)), secret)).texts == (
        "2 CRITICAL without a known fix: wait for one, or waive them: CVE-1 (a 1), CVE-2 (a 1)",
        "1 CRITICAL whose fixes this scanner does not tell: look for newer versions, or waive it: CVE-3 (b 1)",
        "revoke 1 secret and build the image without it (RUN --mount=type=secret); a layer that deletes it is not"
        " enough: aws-access-key-id (app/.env)",
    )


@pytest.mark.parametrize("kind", RULES_OF_KINDS)
def test_a_rule_of_a_kind_has_its_own_remedy(kind: FindingKind) -> None:
    found = [Finding(f"x-{number}", HIGH, (Package("app/x"),), kind=kind) for number in range(3)]
    rules = FindingRules(max=LIMITS, max_of_kind={kind: Limit(1)})
    result = remedies(trial(*found, rules=rules))
    assert result.left == {RULES_OF_KINDS[kind]: 2}
    (text,) = result.texts
    assert f"2 {kind}s" in text
    assert text.endswith("x-0 (app/x), x-1 (app/x), x-2 (app/x)")


# rebuilding


def on_newer_base(*gone: tuple[str, str]) -> Rebuild:
    newer = replace(base("golden", "newer base"), tags=("12.1",))
    return Rebuild(base("golden"), newer, frozenset(gone))


REBUILT = f"rebuild on base/debian:12.1 ({image(seed='newer base').digest.short})"


def test_a_newer_base_is_built_upon_when_that_is_shorter() -> None:
    case = blocked(critical(1, package("a")), critical(2, package("b", None)), critical(3, package("c")))
    all_of_it = replace(case, rebuild=on_newer_base(("CVE-1", "a"), ("CVE-2", "b")))
    assert texts(all_of_it) == [f"{REBUILT}: removes 2", "upgrade c to 2: removes 1"]
    assert remedies(all_of_it).left == {}
    assert remedies(all_of_it).actions[0].kind == "rebuild"


def test_a_newer_base_that_does_not_help_is_not_named() -> None:
    case = blocked(critical(1, package("a")))
    for gone in ((), (("CVE-1", "b"),), (("CVE-2", "a"),)):
        assert texts(replace(case, rebuild=on_newer_base(*gone))) == ["upgrade a to 2: removes 1"]
    both = blocked(critical(1, package("a"), package("b", None)))
    assert texts(replace(both, rebuild=on_newer_base(("CVE-1", "a")))) == []


def test_a_base_that_mends_no_more_than_an_upgrade_is_left_alone() -> None:
    case = replace(blocked(critical(1, package("a"))), rebuild=on_newer_base(("CVE-1", "a")))
    assert texts(case) == ["upgrade a to 2: removes 1"]


def test_nobody_looks_for_a_newer_base_of_an_image_that_passes() -> None:
    judging = blocked().judging()
    judging.read_scan(blocked().platforms[0].scan, ())

    def never() -> Rebuild | None:
        raise AssertionError("asked")

    assert judging.decide(rebuild=never).remedies == Remedies()


# all possible lists


def upgrades(remedy: Remedy) -> Upgrades:
    """Read from its text, as a person would."""
    parts = remedy.text.removeprefix("upgrade ").split(" and ")
    return {
        name: version
        for part in parts
        for names, version in [part.split(" to ")]
        for name in names.split(", ")
    }


def is_mended(found: Finding, done: Upgrades, gone: Collection[tuple[str, str]] = ()) -> bool:
    if all(place in gone for place in found.places):
        return True
    return bool(found.packages) and all(
        p.fixed is not None and p.name in done and int(done[p.name]) >= int(p.fixed) for p in found.packages
    )


def after(case: Trial, done: Upgrades, gone: Collection[tuple[str, str]] = ()) -> Trial:
    """Return the image as it is after the remedy."""
    for number, platform in enumerate(case.platforms):
        left = tuple(found for found in platform.findings if not is_mended(found, done, gone))
        case = case.with_platform(number, findings=left)
    return case


def needs(case: Trial) -> Iterator[tuple[str, int, list[Finding]]]:
    """Yield each rule that refuses a platform, with the number of findings too many, and the findings."""
    rules = case.stage.findings
    for platform in case.platforms:
        for severity, limit in rules.max.items():
            counting = [found for found in platform.findings if found.severity is severity]
            if limit.action is Action.ENFORCE and len(counting) > limit.value:
                yield f"findings.{severity.lower()}", len(counting) - limit.value, counting
        denied = [
            found for found in platform.findings if rules.deny and found.vulnerability in rules.deny.value
        ]
        if denied:
            yield DENIED, len(denied), denied


def in_the_way(case: Trial) -> list[Finding]:
    return [found for _, _, some in needs(case) for found in some]


def unmet(case: Trial) -> int:
    return sum(number for _, number, _ in needs(case))


def groups(findings: Iterable[Finding]) -> list[frozenset[str]]:
    """Return packages that go together, because they share findings."""
    found: list[frozenset[str]] = []
    for one in findings:
        names = frozenset(p.name for p in one.packages)
        touched = [group for group in found if group & names]
        found = [group for group in found if not group & names] + [names.union(*touched)]
    return [group for group in found if group]


def targets(findings: Iterable[Finding]) -> Upgrades:
    """Return the latest fix of each package that can be fixed."""
    latest: dict[str, str] = {}
    for one in findings:
        if all(p.fixed for p in one.packages):
            for p in one.packages:
                latest[p.name] = str(max(int(latest.get(p.name, 0)), int(p.fixed or 0)))
    return latest


def shortest(case: Trial, gone: Collection[tuple[str, str]] | None) -> tuple[int, int]:
    """Return how many findings are too many after the best list of actions, and the length of that list."""
    start = after(case, {}, gone) if gone is not None else case
    way = [found for found in in_the_way(case) if gone is None or not is_mended(found, {}, gone)]
    latest = targets(way)
    best = [
        (unmet(after(start, {n: latest[n] for group in some for n in group if n in latest})), len(some))
        for size in range(5)
        for some in combinations(groups(way), size)
    ]
    least, length = min(best)
    return least, length + (gone is not None)


FIXES = (None, "2", "3", "10")
any_findings = mixed(
    lambda number, one, other, first, second: Finding(
        f"CVE-{number}",
        CRITICAL if number % 2 else HIGH,
        (package(one, first),) if other in (None, one) else (package(one, first), package(other, second)),
    ),
    number=range(6),
    one="abcd",
    other=(None, None, None, "a", "b", "c"),
    first=(*FIXES, "2"),
    second=FIXES,
)
scans = st.lists(any_findings, max_size=6, unique_by=lambda found: found.places)
rules_of_remedies = mixed(
    FindingRules,
    max=(
        {CRITICAL: Limit(0), HIGH: Limit(1)},
        {CRITICAL: Limit(1), HIGH: Limit(0)},
        {CRITICAL: Limit(2)},
        {CRITICAL: Limit(0, Action.WARN), HIGH: Limit(0)},
    ),
    deny=(None, Rule(frozenset({"CVE-4"}))),
)


@st.composite
def cases(draw: st.DrawFn) -> Trial:
    found = draw(st.lists(scans, min_size=1, max_size=2))
    platforms = tuple(Platform(well_known(n, len(found)), tuple(some)) for n, some in enumerate(found))
    return Trial(stage(findings=draw(rules_of_remedies)), platforms)


@given(cases())
def test_the_list_helps_and_no_shorter_one_does(case: Trial) -> None:
    found = remedies(case)
    done = {name: version for remedy in found.actions for name, version in upgrades(remedy).items()}
    changed = after(case, done)
    assert (unmet(changed), len(found.actions)) == shortest(case, None)
    assert changed.passes is (not found.left)
    assert found.left == {
        rule: max(number for other, number, _ in needs(changed) if other == rule)
        for rule, _, _ in needs(changed)
    }


@given(cases())
def test_an_action_removes_the_blocking_findings_that_it_fixes(case: Trial) -> None:
    found = remedies(case)
    for remedy in found.actions:
        mended = {one.places for one in in_the_way(case) if is_mended(one, upgrades(remedy))}
        assert remedy.removes == len(mended)
        assert remedy.packages == tuple(sorted(upgrades(remedy)))
    assert [remedy.removes for remedy in found.actions] == sorted(
        (r.removes for r in found.actions), reverse=True
    )


any_gone = st.frozensets(
    st.tuples(st.sampled_from([f"CVE-{n}" for n in range(6)]), st.sampled_from("abcd")), max_size=9
)


@given(cases(), any_gone)
def test_with_a_newer_base_the_list_is_still_the_shortest(
    case: Trial, gone: frozenset[tuple[str, str]]
) -> None:
    found = remedies(replace(case, rebuild=on_newer_base(*gone)))
    rebuilt = [remedy for remedy in found.actions if remedy.kind == "rebuild"]
    done = {n: v for remedy in found.actions if remedy.kind == "upgrade" for n, v in upgrades(remedy).items()}
    changed = after(case, done, gone if rebuilt else ())
    helps = any(is_mended(one, {}, gone) for one in in_the_way(case))
    best = min(shortest(case, None), shortest(case, gone)) if helps else shortest(case, None)
    assert (unmet(changed), len(found.actions)) == best
    for remedy in rebuilt:
        mended = {(one.severity, one.places) for one in in_the_way(case) if is_mended(one, {}, gone)}
        assert remedy.removes >= len(mended)


def test_a_long_list_is_still_made() -> None:
    """If not all lists can be tried, the remedy names one that helps."""
    found = remedies(blocked(*(critical(n, package(f"p{n}")) for n in range(40))))
    assert (len(found.actions), found.left) == (40, {})


@given(st.data())
def test_waivers_are_the_last_remedy_and_as_many_as_needed(data: st.DataObject) -> None:
    kinds = st.sampled_from([FindingKind.VULNERABILITY, FindingKind.LICENSE])
    found = [
        replace(critical(number, package(data.draw(st.sampled_from("ab")), None)), kind=data.draw(kinds))
        for number in range(data.draw(st.integers(1, 5)))
    ]
    case = blocked(*found)
    waivers = tuple(
        waiver(vulnerability=name, package=package_) for name, package_ in remedies(case).to_waive
    )
    assert replace(case, waivers=waivers).passes
    assert not replace(case, waivers=waivers[1:]).passes


@pytest.mark.parametrize(
    "finding",
    [
        Finding("key", CRITICAL, (Package("app/.env"),), kind=FindingKind.SECRET),  # revoke it
        critical(1, package("a")),  # upgrade
        Finding("CVE-1", CRITICAL),  # it names no package
    ],
)
def test_what_has_another_remedy_is_not_to_be_waived(finding: Finding) -> None:
    assert remedies(blocked(finding)).to_waive == ()


def test_the_command_of_a_waiver_keeps_the_terms_of_the_policy() -> None:
    places = [("CVE-1", "a"), ("CVE-2", "b; rm -rf /"), ("CVE-3", "c"), ("CVE-4", "d"), ("CVE-5", "e")]
    lines = list(waiver_commands(places, "shop-dev", WaiverTerms(max_days=7, needs_ticket=True)))
    assert lines[:2] == [
        "imagegate decide waive shop-dev --cve CVE-1 --package a --reason TEXT --ticket TICKET --expires 7d",
        "imagegate decide waive shop-dev --cve CVE-2 --package 'b; rm -rf /' --reason TEXT --ticket TICKET"
        " --expires 7d",
    ]
    assert lines[3:] == ["and the same for 2 more"]
