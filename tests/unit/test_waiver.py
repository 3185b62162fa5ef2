"""Waivers: what they cover, why they do not count, and that they are the same from every source."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagegate.errors import RejectedInputError
from imagegate.findings.finding import Finding, Package
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image_config import ImageConfig
from imagegate.policy.rules import NON_ROOT, PROHIBITED, WAIVABLE, Action, Limit, Rule
from imagegate.policy.waiver import JUSTIFICATIONS, Waiver, Waivers, WaiverTerms
from tests.unit.samples import DAY, NOON, digest, finding, json_values, package, rule_waiver, waiver
from tests.unit.trials import HIGH, HOUR, Trial, trial

TERMS = WaiverTerms()

texts = st.text(min_size=1, max_size=9)
moments = st.integers(0, 10**8).map(lambda seconds: NOON + timedelta(seconds=seconds))
any_waivers = st.builds(
    Waiver,
    owner=texts,
    reason=texts,
    expires=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    rule=st.none() | st.sampled_from(WAIVABLE),
    vulnerability=st.none() | texts,
    package=st.none() | texts,
    repositories=st.none() | texts,
    digest=st.none() | st.just(digest()),
    ticket=st.none() | texts,
    until_fix=st.booleans(),
    justification=st.none() | st.sampled_from(JUSTIFICATIONS),
    granted_at=st.none() | moments,
    granted_by=st.none() | texts,
    withdrawn_at=st.none() | moments,
)


# the form


@given(any_waivers)
def test_a_waiver_reads_back_as_it_was_written(one: Waiver) -> None:
    assert Waiver.from_json(one.as_json()) == one
    assert Waiver.from_json(one.as_json()).id == one.id


@given(any_waivers, moments)
def test_a_waiver_keeps_its_name_when_it_is_withdrawn(one: Waiver, moment: datetime) -> None:
    assert replace(one, withdrawn_at=moment).id == one.id
    assert one.id.startswith("w-")
    assert len(one.id) == 14


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": "bob@example.com"},
        {"reason": "another"},
        {"expires": date(2026, 12, 22)},
        {"rule": NON_ROOT},
        {"vulnerability": "CVE-2026-2"},
        {"package": "zlib"},
        {"repositories": "shop/*"},
        {"digest": digest()},
        {"ticket": "SEC-1"},
        {"until_fix": True},
        {"justification": JUSTIFICATIONS[0]},
        {"granted_at": NOON},
        {"granted_by": "arn:aws:iam::123456789012:user/ann"},
    ],
)
def test_a_waiver_that_says_something_else_has_another_name(changes: dict[str, Any]) -> None:
    assert waiver(**changes).id != waiver().id


WHOLE = waiver(digest=digest(), granted_at=NOON, withdrawn_at=NOON, granted_by="arn").as_json()


@pytest.mark.parametrize("field", ["owner", "reason", "expires"])
def test_a_waiver_that_lacks_its_owner_reason_or_end_is_refused(field: str) -> None:
    with pytest.raises(RejectedInputError):
        Waiver.from_json({name: value for name, value in WHOLE.items() if name != field})


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": ""},
        {"reason": 1},
        {"expires": "soon"},
        {"expires": None},
        {"expires": 20270101},
        {"digest": "latest"},
        {"digest": None},
        {"package": ""},
        {"repositories": ["shop/*"]},
        {"ticket": None},
        {"grantedAt": "yesterday"},
        {"grantedAt": "2026-11-21T12:00:00"},
        {"withdrawnAt": 5},
    ],
)
def test_a_waiver_with_a_wrong_field_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RejectedInputError):
        Waiver.from_json({**WHOLE, **changes})


@given(json_values, st.sampled_from(sorted(WHOLE)))
def test_any_waiver_entry_is_read_or_refused_without_a_crash(garbage: Any, field: str) -> None:
    for raw in (garbage, {**WHOLE, field: garbage}):
        try:
            Waiver.from_json(raw)
        except RejectedInputError:
            continue


# when it counts


@pytest.mark.parametrize(
    ("now", "counts"),
    [
        (datetime(2026, 12, 20, tzinfo=UTC), True),
        (datetime(2026, 12, 21, tzinfo=UTC), True),
        (datetime(2026, 12, 21, 23, 59, 59, tzinfo=UTC), True),
        (datetime(2026, 12, 22, tzinfo=UTC), False),
        (datetime(2027, 12, 21, tzinfo=UTC), False),
    ],
)
def test_a_waiver_counts_to_the_end_of_its_last_day(now: datetime, counts: bool) -> None:
    assert waiver().fault(now, TERMS) == (None if counts else "expired on 2026-12-21")


@pytest.mark.parametrize(
    ("changes", "terms", "says"),
    [
        ({"withdrawn_at": NOON}, TERMS, "was withdrawn on 2026-11-21"),
        ({"withdrawn_at": NOON - DAY}, TERMS, "was withdrawn on 2026-11-20"),
        ({"withdrawn_at": NOON + HOUR}, TERMS, None),
        ({"granted_at": NOON, "expires": (NOON + 90 * DAY).date()}, TERMS, None),
        ({"granted_at": NOON, "expires": (NOON + 91 * DAY).date()}, TERMS, "lasts longer than the 90 days"),
        ({"granted_at": NOON}, WaiverTerms(max_days=29), "lasts longer than the 29 days"),
        ({"granted_at": NOON}, WaiverTerms(max_days=30), None),
        ({}, WaiverTerms(needs_ticket=True), "names no ticket"),
        ({"ticket": ""}, WaiverTerms(needs_ticket=True), "names no ticket"),
        ({"ticket": "SEC-1"}, WaiverTerms(needs_ticket=True), None),
        ({"repositories": None}, TERMS, "names neither repositories nor a digest"),
        ({"repositories": "*"}, TERMS, "covers every repository"),
        ({"repositories": "**"}, TERMS, "covers every repository"),
        ({"repositories": "?*"}, TERMS, "covers every repository"),
        ({"repositories": ""}, TERMS, "covers every repository"),
        ({"repositories": "[a-z0-9]*"}, TERMS, "covers every repository"),
        ({"repositories": "?[!x]*"}, TERMS, "covers every repository"),
        ({"repositories": "*/*-*"}, TERMS, "covers every repository"),
        ({"repositories": "ab*"}, TERMS, None),
        ({"repositories": "*", "digest": digest()}, TERMS, None),
        ({"repositories": None, "digest": digest()}, TERMS, None),
        ({"package": None}, TERMS, "names no package in which CVE-2026-1 is waived"),
        ({"package": "*"}, TERMS, "covers every package, and not of one image alone"),
        ({"package": "*", "digest": digest()}, TERMS, None),
        ({"vulnerability": None}, TERMS, "is about nothing, which cannot be waived as a whole"),
    ],
)
def test_a_waiver_that_does_not_count_says_why(
    changes: dict[str, Any], terms: WaiverTerms, says: str | None
) -> None:
    fault = waiver(**changes).fault(NOON, terms)
    assert (fault or "").startswith(says or "")
    assert (fault is None) is (says is None)


@given(st.lists(st.sampled_from(["[", "[!", "]", "ab", "*", "?", "-"]), max_size=8).map("".join))
@example("[!]ab]*")
@example("[]-ab]*")
def test_a_glob_without_a_letter_of_the_repositories_names_is_too_wide(glob: str) -> None:
    """A glob that matches two names without a common character has no letter of either."""
    names = [letter * length for letter in "xyz" for length in (1, 2, 5)]
    if len({name[0] for name in names if fnmatchcase(name, glob)}) > 1:
        assert waiver(repositories=glob).scope_fault() == "covers every repository"


@pytest.mark.parametrize("rule", WAIVABLE)
def test_a_rule_about_the_image_is_waived_as_a_whole(rule: str) -> None:
    one = rule_waiver(rule)
    expected = "names no package that may be there all the same" if rule == PROHIBITED else None
    assert one.fault(NOON, TERMS) == expected
    assert replace(one, package="openssl").fault(NOON, TERMS) is None


@pytest.mark.parametrize(
    "rule",
    [
        "findings.critical",
        "findings.denied",
        "findings.incomplete",
        "scan.failed",
        "scan.stale",
        "scan.never",
        "image.entry",
        "image.ambiguous",
    ],
)
def test_findings_and_failed_scans_are_not_waived_as_a_whole(rule: str) -> None:
    assert rule_waiver(rule).fault(NOON, TERMS) == f"is about {rule}, which cannot be waived as a whole"


@given(any_waivers, moments, st.timedeltas(timedelta(), timedelta(days=400)))
def test_a_waiver_that_does_not_count_never_counts_later(
    one: Waiver, now: datetime, later: timedelta
) -> None:
    assert one.fault(now, TERMS) is None or one.fault(now + later, TERMS) is not None


@pytest.mark.parametrize(("days", "ending"), [(-1, False), (0, True), (1, True), (7, True), (8, False)])
def test_people_get_a_message_a_week_before_a_waiver_ends(days: int, ending: bool) -> None:
    assert waiver(expires=(NOON + days * DAY).date()).is_ending(NOON) is ending


# what it covers


@pytest.mark.parametrize(
    ("changes", "covers"),
    [
        ({}, True),
        ({"repositories": "shop/api-dev"}, True),
        ({"repositories": "Shop/*"}, False),
        ({"repositories": "api-dev"}, False),
        ({"repositories": None, "digest": digest()}, True),
        ({"repositories": None, "digest": digest("platform")}, True),
        ({"repositories": None, "digest": digest("another")}, False),
        ({"digest": digest()}, True),
        ({"digest": digest("another")}, False),
        ({"repositories": "other/*", "digest": digest()}, False),
    ],
)
def test_a_waiver_is_about_the_images_of_its_repositories_and_of_its_digest(
    changes: dict[str, Any], covers: bool
) -> None:
    digests = [digest(), digest("platform")]
    assert waiver(**changes).covers_image("shop/api-dev", digests) is covers


@pytest.mark.parametrize(
    ("named", "covers"),
    [
        ("openssl", True),
        ("open", False),
        ("open*", False),
        ("OpenSSL", False),
        ("*", True),
        ("pkg:deb/debian/openssl@3.0.1", True),
        ("pkg:deb/debian/openssl", True),
        ("pkg:deb/debian/openssl@3.0.2", False),
        ("pkg:deb/debian/openssl@3.0", False),
        ("pkg:deb/ubuntu/openssl", False),
        ("pkg:deb/debian", False),
        (None, False),
    ],
)
def test_a_package_is_named_by_its_name_or_its_url(named: str | None, covers: bool) -> None:
    there = package(purl="pkg:deb/debian/openssl@3.0.1?arch=amd64&distro=bookworm")
    assert waiver(package=named).covers_package(there) is covers


def test_a_package_url_covers_what_has_none_by_its_ecosystem_and_name() -> None:
    """ECR names no package URLs, and of a package of the operating system not even the ecosystem."""
    assert waiver(package="pkg:deb/debian/openssl").covers_package(Package("openssl"))
    assert not waiver(package="pkg:pypi/openssl").covers_package(Package("openssl"))
    assert not waiver(package="pkg:deb/debian/openssl").covers_package(Package("openssl", ecosystem="rpm"))


@pytest.mark.parametrize(
    ("vulnerability", "covers"),
    [("CVE-2026-1", True), ("GHSA-1", True), ("CVE-2026-10", False), (None, False)],
)
def test_a_vulnerability_is_waived_under_any_of_its_names(vulnerability: str | None, covers: bool) -> None:
    known = finding(aliases=("GHSA-1",))
    assert waiver(vulnerability=vulnerability).covers(known, package()) is covers


# which of several is used


def some(*several: Waiver, now: datetime = NOON) -> Waivers:
    return Waivers(several, TERMS, "shop/api-dev", [digest()], now)


def test_only_what_is_about_the_image_is_looked_at() -> None:
    elsewhere = waiver(repositories="other/*", expires=date(2020, 1, 1))
    found = some(elsewhere, waiver())
    assert list(found) == [waiver()]
    assert found.for_finding(finding(), package()) == waiver()
    assert found.idle == {}


def test_invalid_waivers_are_skipped_and_named() -> None:
    expired, good = waiver(expires=date(2026, 11, 20)), waiver(owner="bob@example.com")
    found = some(expired, good)
    assert found.for_finding(finding(), package()) == good
    assert list(found.used) == [good]
    assert found.idle == {expired: "expired on 2026-11-20"}


def test_an_irrelevant_waiver_is_neither_used_nor_idle() -> None:
    found = some(waiver(), rule_waiver(NON_ROOT, expires=date(2020, 1, 1)))
    assert found.for_finding(finding("CVE-2"), package()) is None
    assert found.for_finding(finding(), package("zlib")) is None
    assert found.for_rule("image.max_age") is None
    assert (found.used, found.idle) == ({}, {})


@pytest.mark.parametrize(
    ("fixable", "fixed", "counts"),
    [
        (False, None, True),
        (False, "3.0.2", False),
        (None, None, False),
        (None, "3.0.2", False),
        (True, None, False),
        (True, "3.0.2", False),
    ],
)
def test_a_waiver_until_there_is_a_fix_needs_to_know_that_there_is_none(
    fixable: bool | None, fixed: str | None, counts: bool
) -> None:
    one, there = waiver(until_fix=True), package(fixed=fixed)
    found = some(one)
    assert (found.for_finding(finding(fixable=fixable), there) == one) is counts
    assert (one in found.idle) is not counts
    if fixed:
        assert found.idle == {one: "ended: there is a fix"}


def test_a_waiver_of_a_rule_is_none_of_a_finding_and_the_other_way_round() -> None:
    found = some(waiver(), rule_waiver(NON_ROOT))
    assert found.for_rule(NON_ROOT) == rule_waiver(NON_ROOT)
    assert found.for_rule("scan.unsupported") is None
    assert some(rule_waiver(NON_ROOT, package="openssl")).for_finding(finding(), package()) is None


def test_a_prohibited_package_is_waived_by_a_waiver_that_names_it() -> None:
    one = rule_waiver(PROHIBITED, package="openssl")
    assert some(one).for_rule(PROHIBITED, package()) == one
    assert some(one).for_rule(PROHIBITED, package("zlib")) is None


@pytest.mark.parametrize("vulnerability", ["CVE-2026-1", "GHSA-1", "GHSA-2"])
def test_a_finding_is_waived_by_any_of_its_names(vulnerability: str) -> None:
    one = waiver(vulnerability=vulnerability)
    assert some(one).for_finding(finding(aliases=("GHSA-1", "GHSA-2")), package()) == one
    assert some(one).for_finding(finding("CVE-2026-9"), package()) is None


# what the verdict says of them


def blocked(*findings: Finding, **changes: Any) -> Trial:
    return trial(*(findings or (finding(),)), **changes).with_rules(max={HIGH: Limit(0)})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"expires": date(2026, 11, 20)}, "expired on 2026-11-20"),
        ({"withdrawn_at": NOON - DAY}, "was withdrawn on 2026-11-20"),
        ({"granted_at": NOON - DAY, "expires": date(2027, 9, 9)}, "lasts longer than the 90 days"),
        ({"repositories": "*"}, "covers every repository"),
        ({"package": "*"}, "covers every package"),
        ({"until_fix": True}, "whether there is one is not known"),
    ],
)
def test_a_waiver_that_would_be_needed_and_does_not_count_is_named(
    changes: dict[str, Any], says: str
) -> None:
    judged = blocked(waivers=(waiver(**changes),)).judged()
    (idle,) = [reason for reason in judged.verdict.reasons if reason.rule == "waiver.idle"]
    assert judged.verdict.outcome is VerdictOutcome.BLOCK
    assert "the waiver of CVE-2026-1 in " in idle.message
    assert says in idle.message
    assert "ann@example.com" in idle.message
    assert judged.used_waivers == ()


def test_a_waiver_of_something_else_is_not_spoken_of() -> None:
    others = (
        waiver(vulnerability="CVE-2026-2", expires=date(2020, 1, 1)),
        waiver(package="zlib", expires=date(2020, 1, 1)),
        waiver(repositories="other/*", expires=date(2020, 1, 1)),
        rule_waiver(NON_ROOT, expires=date(2020, 1, 1)),
    )
    assert [reason.rule for reason in blocked(waivers=others).judged().verdict.reasons] == ["findings.high"]


@pytest.mark.parametrize(
    ("days", "says"),
    [(0, "ends today"), (1, "ends in 1 day, on 2026-11-22"), (7, "ends in 7 days, on 2026-11-28"), (8, None)],
)
def test_an_expiring_waiver_is_announced_while_it_is_used(days: int, says: str | None) -> None:
    case = blocked(waivers=(waiver(expires=(NOON + days * DAY).date()),))
    told = [reason.message for reason in case.reasons("waiver.ending")]
    assert case.passes
    assert len(told) == (says is not None)
    assert all(str(says) in message and "ann@example.com" in message for message in told)
    assert not replace(case, platforms=case.with_findings().platforms).reasons("waiver.ending")


@pytest.mark.parametrize("expires", [date(2026, 12, 21), date(2026, 11, 20)])
def test_no_waiver_is_spoken_of_where_a_rule_only_warns(expires: date) -> None:
    case = trial(waivers=(rule_waiver(NON_ROOT, expires=expires),))
    case = case.with_platform_facts(0, config=None).with_image_rules(non_root=Rule(True, Action.WARN))
    judged = case.judged()
    assert judged.used_waivers == ()
    assert [(reason.rule, reason.action) for reason in judged.verdict.reasons] == [(NON_ROOT, Action.WARN)]


def test_the_waiver_of_a_rule_is_shown_with_the_rule() -> None:
    case = trial(waivers=(rule_waiver(NON_ROOT, ticket="SEC-7"),)).with_image_rules(non_root=Rule(True))
    (reason,) = case.with_platform_facts(0, config=ImageConfig("root")).reasons(NON_ROOT)
    assert reason.message == (
        "runs as root (USER: root); waived until 2026-12-21 by ann@example.com, SEC-7: "
        "the vulnerable function is not called"
    )


def test_a_waiver_reads_as_its_subject_and_its_place() -> None:
    assert waiver().subject == "CVE-2026-1 in openssl"
    assert waiver().where == "shop/api-*"
    assert rule_waiver(NON_ROOT).subject == NON_ROOT
    assert waiver(digest=digest()).where == digest().short
    assert (
        str(waiver()) == "waived until 2026-12-21 by ann@example.com: the vulnerable function is not called"
    )
