"""Waivers in the policy file: what they say, and which are refused before they can be relied on."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from imagegate.oci.image import Digest
from imagegate.policy.file.load import parse_policy
from imagegate.policy.rules import PROHIBITED, WAIVABLE
from imagegate.policy.waiver import JUSTIFICATIONS, Waiver, WaiverTerms
from tests.component.policies import TODAY, faults

DIGEST = Digest.of(b"image")
COMMON = "owner: ann, reason: static, expires: 2027-01-31"
FINDING = f"vulnerability: CVE-2026-1234, package: openssl, repositories: 'legacy-*', {COMMON}"
RULE = f"rule: scan.unsupported, repositories: 'proxy-*', {COMMON}"
BEGINNING = "version: 1\nscanner: enhanced\nwaiver_terms: {%s}\nstages: {dev: {repositories: '{app}-dev'}}\nwaivers:\n"
LINE = 6


def file(*waivers: str, terms: str = "") -> str:
    return BEGINNING % terms + "".join(f"  - {{{waiver}}}\n" for waiver in waivers)


def waiver_of(text: str) -> Waiver:
    [waiver] = parse_policy(file(text).encode(), today=TODAY).waivers
    return waiver


def waiver_faults(*waivers: str, terms: str = "", **more: Any) -> list[str]:
    told = faults(file(*waivers, terms=terms), **{"today": TODAY, **more})
    return [fault.removeprefix(f"{LINE}: waivers[0]").removeprefix(".") for fault in told]


def test_a_waiver_of_a_finding_says_all_that_it_can() -> None:
    more = f"digest: '{DIGEST}', ticket: SEC-12, until: fix_available, justification: {JUSTIFICATIONS[1]}"
    assert waiver_of(f"{FINDING}, {more}") == Waiver(
        owner="ann",
        reason="static",
        expires=date(2027, 1, 31),
        vulnerability="CVE-2026-1234",
        package="openssl",
        repositories="legacy-*",
        digest=DIGEST,
        ticket="SEC-12",
        until_fix=True,
        justification="vulnerable_code_not_present",
    )


@pytest.mark.parametrize("rule", sorted(set(WAIVABLE) - {PROHIBITED}))
def test_a_waiver_of_a_rule_names_the_rule(rule: str) -> None:
    waiver = waiver_of(f"rule: {rule}, digest: '{DIGEST}', {COMMON}")
    assert (waiver.rule, waiver.digest, waiver.repositories) == (rule, DIGEST, None)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("openssl", "openssl"),
        ("pkg:npm/event-stream@3.3.6", "pkg:npm/event-stream@3.3.6"),
        ("pkg:npm/@angular/core", "pkg:npm/%40angular/core"),
        ("pkg:deb/debian/openssl", "pkg:deb/debian/openssl"),
    ],
)
def test_a_package_is_a_name_or_a_package_url(written: str, read: str) -> None:
    assert (
        waiver_of(f"rule: {PROHIBITED}, package: '{written}', repositories: 'ab-*', {COMMON}").package == read
    )


def test_terms_are_for_waivers_here_and_at_run_time() -> None:
    policy = parse_policy(
        file(FINDING + ", ticket: T-1", terms="max_days: 100, ticket: required").encode(), today=TODAY
    )
    assert policy.waiver_terms == WaiverTerms(max_days=100, needs_ticket=True)
    assert parse_policy(file(FINDING).encode()).waiver_terms == WaiverTerms()


def test_a_waiver_lasts_so_long_from_the_day_on_which_the_file_is_new() -> None:
    last = TODAY + timedelta(days=30)
    text = FINDING.replace("2027-01-31", str(last))
    assert parse_policy(file(text, terms="max_days: 30").encode(), today=TODAY).waivers
    later = FINDING.replace("2027-01-31", str(last + timedelta(days=1)))
    assert waiver_faults(later, terms="max_days: 30") == [
        "expires: is more than 30 days away, which is what waiver_terms.max_days allows"
    ]


def test_a_policy_that_was_accepted_stays_readable() -> None:
    """An earlier version may have written it, and a release that runs may have pinned it."""
    old = RULE.replace("proxy-*", "*").replace("2027-01-31", "2030-01-01")
    assert parse_policy(file(old).encode()).waivers
    assert waiver_faults(old) == [
        "expires: is more than 90 days away, which is what waiver_terms.max_days allows",
        ": covers every repository",
    ]


def test_an_expired_waiver_is_no_fault() -> None:
    assert parse_policy(file(FINDING.replace("2027", "2020")).encode(), today=TODAY).waivers


def test_a_renewed_waiver_may_stand_beside_the_expired_one() -> None:
    assert (
        len(parse_policy(file(FINDING.replace("2027", "2020"), FINDING).encode(), today=TODAY).waivers) == 2
    )
    assert faults(file(FINDING, RULE, FINDING.replace("static", "again")), today=TODAY) == [
        "8: waivers[2]: says the same as waivers[0]"
    ]


URL = "must be a package URL such as pkg:npm/event-stream@3.3.6 (no ? and no #), not"
BAD_WAIVERS = [
    (RULE, ", expires: 2027-01-31", "", "expires: is missing"),
    (RULE, "2027-01-31", "2027-02-31", "expires: must be a day such as 2027-01-31, not '2027-02-31'"),
    (RULE, "2027-01-31", "20270131", "expires: must be a day such as 2027-01-31, not 20270131"),
    (RULE, "2027-01-31", "''", "expires: must be a day such as 2027-01-31, not ''"),
    (RULE, "owner: ann", "owner: ''", "owner: must not be empty"),
    (RULE, "owner: ann", "owner: 7", "owner: must be text (in quotes), not 7"),
    (RULE, "reason:", "raeson: x, reason:", "raeson: unknown key (did you mean reason?)"),
    (RULE, "scan.unsupported", "scan.unsuported", "rule: 'scan.unsuported' is no rule that can be waived "
     "(did you mean scan.unsupported?)"),
    (RULE, "scan.unsupported", "findings.high", "rule: findings are waived one by one: give vulnerability and package "
     "instead of rule"),
    (RULE, "rule: scan.unsupported, ", "", ": must say what is waived: vulnerability and package, or rule"),
    (RULE, "scan.unsupported", PROHIBITED, ": names no package that may be there all the same"),
    (RULE, "scan.unsupported", "image.max_age, package: a", "package: belongs to a waiver of a vulnerability, or of "
     "packages.prohibited"),
    (RULE, ", owner", ", until: fix_available, owner", "until: belongs to a waiver of a vulnerability"),
    (RULE, ", owner", f", justification: {JUSTIFICATIONS[0]}, owner", "justification: belongs to a waiver of a "
     "vulnerability"),
    (RULE, "'proxy-*'", "'**'", ": covers every repository"),
    (RULE, "repositories: 'proxy-*', ", "", ": names neither repositories nor a digest"),
    (RULE, "repositories: 'proxy-*', ", "digest: sha256:1, ", "digest: must be sha256: and 64 digits from 0 to f, not "
     "'sha256:1'"),
    (FINDING, "package: openssl, ", "", ": names no package in which CVE-2026-1234 is waived"),
    (FINDING, "package: openssl", "package: '*'", ": covers every package, and not of one image alone"),
    (FINDING, "package: openssl", "package: 'pkg:openssl'", f"package: {URL} 'pkg:openssl'"),
    (FINDING, "CVE-2026-1234", "CVE-2026-*", "vulnerability: must be the name of one vulnerability such as "
     "CVE-2021-44228, not 'CVE-2026-*'"),
    (FINDING, "package", "rule: image.max_age, package", "rule: a waiver is about a vulnerability or about a rule, "
     "not both"),
    (FINDING, ", owner", ", until: tomorrow, owner", "until: must be 'fix_available', not 'tomorrow'"),
    (FINDING, ", owner", ", justification: component_not_presnt, owner", "justification: 'component_not_presnt' is no "
     "justification of OpenVEX (did you mean component_not_present?)"),
    (FINDING, ", owner", ", ticket: , owner", "ticket: is empty: write a value, or take it out"),
]  # fmt: skip


@pytest.mark.parametrize(("waiver", "right", "wrong", "fault"), BAD_WAIVERS)
def test_a_waiver_that_could_never_count_is_named(waiver: str, right: str, wrong: str, fault: str) -> None:
    assert right in waiver
    assert waiver_faults(waiver.replace(right, wrong, 1)) == [fault]


def test_all_faults_of_a_waiver_are_reported_at_once() -> None:
    assert waiver_faults("vulnerability: 5, repositories: '*', until: x", terms="ticket: required") == [
        "expires: is missing",
        "owner: is missing",
        "reason: is missing",
        "ticket: is missing: waiver_terms asks for a ticket",
        "until: must be 'fix_available', not 'x'",
        "vulnerability: must be text (in quotes), not 5",
        ": covers every repository",
        ": names no package in which 5 is waived",
    ]


def test_a_waiver_until_there_is_a_fix_needs_a_scanner_that_says_so() -> None:
    text = file(FINDING + ", until: fix_available").replace("enhanced", "basic")
    assert faults(text, today=TODAY) == [
        f"{LINE}: waivers[0].until: basic scanning does not say whether there is a fix: say scanner: enhanced, "
        "or take the key out"
    ]


@pytest.mark.parametrize(
    ("terms", "fault"),
    [
        ("max_days: 0", "waiver_terms.max_days: must be 1 or more, not 0"),
        ("max_days: 99999999999", "waiver_terms.max_days: must be 3650 or less, not 99999999999"),
        ("ticket: yes", "waiver_terms.ticket: must be 'optional' or 'required', not 'yes'"),
        ("tiket: required", "waiver_terms.tiket: unknown key (did you mean ticket?)"),
    ],
)
def test_bad_terms_are_named(terms: str, fault: str) -> None:
    assert faults(file(FINDING.replace("2027-01-31", "2026-11-24"), terms=terms), today=TODAY) == [
        f"3: {fault}"
    ]
