"""The report of the audit: identity, history, waivers, and its published form."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import AuditFinding, FindingState
from imagegate.audit.history import follow, rules_of, waive
from imagegate.audit.report import (
    AuditReport,
    CheckOutcome,
    CheckPassed,
    NotAssessed,
    add_parts,
    part_of,
)
from imagegate.canonical_json import canonical_json
from imagegate.errors import RejectedInputError
from imagegate.policy.audit_rules import AUDIT, AUDITED
from imagegate.policy.waiver import Waiver, WaiverTerms
from tests.unit.audits import NOW, a_finding, a_report, a_repository, an_image, the_registry

LAYER = Path(__file__).parents[2] / "layers" / "core" / "imagegate"
SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "audit.schema.json"
SCAN, SIGNED = CATALOGUE["repository-scan-off"], CATALOGUE["image-unsigned"]
TOMORROW = NOW + timedelta(days=1)
NEW, OPEN, WAIVED, RESOLVED = FindingState


def states(report: AuditReport) -> dict[str, FindingState]:
    return {one.resource.name: one.state for one in report.findings}


def after(before: CheckOutcome, *now: CheckOutcome, scope: tuple[str, ...] = ()) -> AuditReport:
    first = follow(None, a_report(before))
    return follow(first, a_report(*now, at=TOMORROW, scope=scope))


def test_every_check_can_be_waived_by_its_name_and_no_other_name() -> None:
    assert sorted(AUDITED) == sorted(AUDIT + name for name in CATALOGUE)
    assert all(check.id == name for name, check in CATALOGUE.items())


def test_every_check_is_made_by_something() -> None:
    data = {"checks.py", "audit_rules.py", "controls.json"}
    sources = (path for path in LAYER.rglob("*.py") if path.name not in data)
    text = "".join(path.read_text() for path in sources)
    assert [name for name in CATALOGUE if f'"{name}"' not in text] == []


def test_the_id_of_a_finding_is_about_check_and_resource_only() -> None:
    finding = a_finding(resource=an_image())
    same = [
        replace(finding, detail="other", owner="team", state=OPEN, first_seen=NOW),
        replace(finding, resource=an_image(tag=None)),
    ]
    others = [
        replace(finding, check=SIGNED),
        replace(finding, resource=an_image(fill="b")),
        replace(finding, resource=an_image("shop-prod")),
        replace(finding, resource=a_repository()),
    ]
    assert {one.id for one in same} == {finding.id}
    assert len({finding.id, *(one.id for one in others)}) == 5


def test_a_finding_is_new_then_open_then_resolved_once_then_forgotten() -> None:
    first = follow(None, a_report(a_finding()))
    second = follow(first, a_report(a_finding(), at=TOMORROW))
    third = follow(second, a_report(CheckPassed(SCAN), at=TOMORROW + timedelta(days=1)))
    fourth = follow(third, a_report(CheckPassed(SCAN), at=TOMORROW + timedelta(days=2)))
    assert [[one.state for one in report.findings] for report in (first, second, third, fourth)] == [
        [NEW],
        [OPEN],
        [RESOLVED],
        [],
    ]
    assert second.findings[0].first_seen == third.findings[0].first_seen == NOW
    assert third.findings[0].resolved_at == TOMORROW + timedelta(days=1)


def test_a_finding_that_comes_back_is_new_again() -> None:
    resolved = after(a_finding(), CheckPassed(SCAN))
    again = follow(resolved, a_report(a_finding(), at=TOMORROW + timedelta(days=1)))
    assert again.findings[0].state is NEW
    assert again.findings[0].first_seen == TOMORROW + timedelta(days=1)
    assert again.findings[0].resolved_at is None


@pytest.mark.parametrize(
    ("finding", "unread"),
    [
        (a_finding(), a_repository()),
        (a_finding("image-unsigned", an_image()), an_image()),
        (a_finding("image-unsigned", an_image()), a_repository()),
        (a_finding("image-unsigned", an_image()), the_registry()),
        (a_finding("registry-policy", the_registry()), the_registry()),
    ],
)
def test_an_error_never_resolves_a_finding(finding: AuditFinding, unread: Any) -> None:
    others = CheckPassed(finding.check)
    report = after(finding, others, NotAssessed(finding.check, unread, "throttled"))
    assert [(one.state, one.first_seen) for one in report.findings] == [(OPEN, NOW)]


@pytest.mark.parametrize(
    "unread", [NotAssessed(SIGNED, a_repository(), "x"), NotAssessed(SCAN, a_repository("other-dev"), "x")]
)
def test_an_error_about_something_else_keeps_nothing_open(unread: NotAssessed) -> None:
    assert states(after(a_finding(), CheckPassed(SCAN), unread)) == {"shop-dev": RESOLVED}


def test_a_check_that_is_not_made_resolves_nothing() -> None:
    assert states(after(a_finding(), CheckPassed(SIGNED))) == {"shop-dev": OPEN}


def test_a_check_that_finds_nothing_to_look_at_resolves_the_finding_of_what_is_gone() -> None:
    empty = a_report(at=TOMORROW)
    empty = replace(empty, results=part_of((), made=[SCAN]))
    assert states(follow(follow(None, a_report(a_finding())), empty)) == {"shop-dev": RESOLVED}


@pytest.mark.parametrize(("scope", "state"), [("shop-*", RESOLVED), ("other-*", OPEN)])
def test_a_look_at_some_repositories_resolves_only_theirs(scope: str, state: FindingState) -> None:
    report = after(a_finding(), CheckPassed(SCAN), scope=(scope,))
    assert states(report) == {"shop-dev": state}


def test_a_look_at_some_repositories_resolves_nothing_of_the_registry() -> None:
    finding = a_finding("registry-policy", the_registry())
    report = after(finding, CheckPassed(finding.check), scope=("*",))
    assert [one.state for one in report.findings] == [OPEN]


def waiver(**values: Any) -> Waiver:
    given: dict[str, Any] = {
        "owner": "ann",
        "reason": "old",
        "expires": date(2026, 12, 31),
        "rule": AUDIT + SCAN.id,
        "repositories": "shop-*",
    }
    return Waiver(**given | values)


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, WAIVED),
        ({"repositories": "other-*"}, OPEN),
        ({"rule": "audit.repository-public"}, OPEN),
        ({"expires": date(2026, 11, 28)}, OPEN),
        ({"repositories": "*"}, OPEN),  # covers every repository
    ],
)
def test_a_waiver_counts_for_its_check_its_repositories_and_its_days(
    values: dict[str, Any], state: FindingState
) -> None:
    report = waive(after(a_finding(), a_finding()), [waiver(**values)], WaiverTerms(), NOW)
    finding = report.findings[0]
    assert finding.state is state
    assert finding.first_seen == NOW
    expected = (date(2026, 12, 31), "old") if state is WAIVED else (None, None)
    assert (finding.waived_until, finding.waiver_reason) == expected


def test_the_bytes_are_the_canonical_json_of_the_document() -> None:
    unread = NotAssessed(CATALOGUE["registry-policy"], the_registry(), "AccessDenied")
    for report in (a_report(), after(a_finding(), a_finding("image-unsigned", an_image()))):
        whole = replace(report, results=replace(report.results, not_assessed=(unread, unread)))
        for one in (report, whole):
            assert one.to_bytes() == canonical_json(one.to_document())


def test_a_waiver_of_the_gates_rule_counts_here_too() -> None:
    for check in CATALOGUE.values():
        for rule in rules_of(check):
            report = a_report(a_finding(check.id, an_image()))
            assert states(waive(report, [waiver(rule=rule)], WaiverTerms(), NOW)) == {"shop-dev:1.0": WAIVED}


def test_the_end_of_a_waiver_opens_the_finding_again() -> None:
    waived = waive(follow(None, a_report(a_finding())), [waiver()], WaiverTerms(), NOW)
    unread = NotAssessed(SCAN, a_repository(), "throttled")
    for outcome in (a_finding(), unread):
        later = waive(follow(waived, a_report(outcome, at=TOMORROW)), [], WaiverTerms(), TOMORROW)
        assert [(one.state, one.waiver, one.first_seen) for one in later.findings] == [(OPEN, None, NOW)]


def test_what_is_resolved_is_not_waived() -> None:
    report = waive(after(a_finding(), CheckPassed(SCAN)), [waiver()], WaiverTerms(), NOW)
    assert states(report) == {"shop-dev": RESOLVED}


def test_parts_add_up() -> None:
    parts = [
        part_of([a_finding(), CheckPassed(SCAN)], repositories=2, images=3, measures={"storageBytes": 5}),
        part_of([NotAssessed(SIGNED, a_repository(), "x")], made=[SIGNED], measures={"storageBytes": 6}),
    ]
    total = add_parts(parts)
    assert (total.repositories, total.images, total.measures) == (2, 3, {"storageBytes": 11})
    assert {name: (one.passed, one.failed) for name, one in total.counts.items()} == {
        SCAN.id: (1, 1),
        SIGNED.id: (0, 0),
    }
    assert len(total.findings) == len(total.not_assessed) == 1
    assert add_parts([total]) == total


def full_report() -> AuditReport:
    full = a_finding(
        "image-unsigned",
        an_image(),
        evidence=("sha256:" + "c" * 64,),
        owner="team-shop",
        state=WAIVED,
        first_seen=NOW,
        waiver="w-0123456789ab",
        waived_until=date(2026, 12, 31),
        waiver_reason="old",
    )
    resolved = a_finding(state=RESOLVED, first_seen=NOW, resolved_at=TOMORROW)
    unread = NotAssessed(CATALOGUE["registry-policy"], the_registry(), "AccessDenied")
    return a_report(full, resolved, unread, a_finding("registry-policy", the_registry()), CheckPassed(SCAN))


def test_a_report_is_read_as_it_was_written() -> None:
    report = full_report()
    assert AuditReport.from_document(json.loads(report.to_bytes())) == report


@pytest.mark.parametrize("report", [full_report(), a_report(), after(a_finding(), a_finding())])
def test_every_report_fits_the_published_schema(report: AuditReport) -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(report.to_document())


def keys(document: Any) -> set[str]:
    if isinstance(document, dict):
        return set(document) | {key for value in document.values() for key in keys(value)}
    return {key for one in document for key in keys(one)} if isinstance(document, list) else set()


@pytest.mark.parametrize("key", sorted(keys(full_report().to_document()["findings"])))
def test_the_schema_refuses_a_finding_with_a_key_of_another_name(key: str) -> None:
    text = json.dumps(full_report().to_document()).replace(f'"{key}":', '"somethingElse":')
    schema = json.loads(SCHEMA.read_text())
    assert not jsonschema.Draft202012Validator(schema).is_valid(json.loads(text))


@pytest.mark.parametrize(
    "damage", [{"schema": "other"}, {"takenAt": "today"}, {"findings": 3}, {"scope": None}]
)
def test_anything_else_is_no_report(damage: dict[str, Any]) -> None:
    with pytest.raises(RejectedInputError, match="not a"):
        AuditReport.from_document(full_report().to_document() | damage)


def test_a_finding_of_a_check_that_is_no_more_is_left_out() -> None:
    document = full_report().to_document()
    document["findings"][0]["check"] = "gone"
    document["notAssessed"][0]["check"] = "gone"
    document["counts"]["gone"] = {"passed": 1, "failed": 0}
    read = AuditReport.from_document(document)
    assert len(read.findings) == 2
    assert not read.results.not_assessed
    assert "gone" not in read.results.counts
