"""The audit for machines and for people: OSCAL by NIST's schema, ASFF by AWS's model, CSV, Markdown and controls."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import validate_parameters

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.controls import ControlSupport
from imagegate.audit.finding import AdvisedRemedy, AuditedResource, AuditFinding, FindingState, ResourceKind
from imagegate.audit.formats.oscal import assessment_results, oscal_id
from imagegate.audit.report import AuditReport, CheckPassed, NotAssessed
from imagegate.aws.security_hub import _BYTES_A_FINDING
from imagegate_cli.audit.controls import control_lines, load_controls, support_as_json
from imagegate_cli.audit.documents import to_csv, to_markdown
from imagegate_cli.audit.formats import FORMATS, to_asff, to_table
from tests.poison import PAYLOADS
from tests.unit.audits import NOW, a_finding, a_report, a_repository, an_image, the_registry

SCHEMA = Path(__file__).parent / "fixtures" / "oscal" / "oscal_assessment-results_schema.json"
RECORD = "sha256:" + "c" * 64
CONTROLS = load_controls()
LONG = "x" * 300_000


def a_full_report(text: str = "it is off") -> AuditReport:
    """Return a report with every check, kind of resource and state; `text` is in every field that others write."""
    role = text.encode("ascii", "replace").decode()
    owner = AuditedResource(ResourceKind.PRINCIPAL, f"arn:aws:iam::111122223333:role/{role}")
    foreign = AuditedResource(ResourceKind.IMAGE, f"docker.io/library/{role}")
    resources = [a_repository(), an_image(tag=text), the_registry(), owner, foreign]
    outcomes: list[Any] = [
        AuditFinding(
            check=check,
            resource=resources[number % len(resources)],
            detail=text,
            remedy=AdvisedRemedy(text, text if number % 2 else None),
            evidence=(RECORD,) * (number % 3),
            owner=text if number % 2 else None,
            state=list(FindingState)[number % 4],
            first_seen=NOW - timedelta(days=number),
            resolved_at=NOW if number % 4 == 3 else None,
            waiver="w-0123456789ab" if number % 4 == 2 else None,
            waived_until=date(2026, 12, 31) if number % 4 == 2 else None,
            waiver_reason=text if number % 4 == 2 else None,
        )
        for number, check in enumerate(CATALOGUE.values())
    ]
    unread = NotAssessed(CATALOGUE["repository-public"], a_repository("other-dev"), text)
    return a_report(*outcomes, unread, CheckPassed(CATALOGUE["repository-scan-off"]))


TEXTS = ["it is off", *PAYLOADS, LONG]


def check_oscal(tmp_path: Path, *documents: Any) -> subprocess.CompletedProcess[str]:
    files = []
    for number, document in enumerate(documents):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(document))
        files.append(str(file))
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(SCHEMA), *files]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_report_is_assessment_results_by_nists_schema(tmp_path: Path) -> None:
    reports = [a_report(), a_report(a_finding()), *map(a_full_report, TEXTS)]
    result = check_oscal(tmp_path, *(assessment_results(one, CONTROLS, "1.0") for one in reports))
    assert result.returncode == 0, result.stdout[-3000:]


def test_nists_schema_refuses_what_is_not_by_it(tmp_path: Path) -> None:
    document = assessment_results(a_full_report(), CONTROLS, "1.0")
    document["assessment-results"]["results"][0]["findings"][0]["target"]["status"]["state"] = "complies"
    assert check_oscal(tmp_path, document).returncode == 1


def test_a_passed_check_is_no_satisfied_control() -> None:
    document = assessment_results(a_report(CheckPassed(CATALOGUE["repository-scan-off"])), CONTROLS, "1.0")
    result = document["assessment-results"]["results"][0]
    assert "findings" not in result
    assert "satisfied" not in json.dumps(result)


def test_a_failed_check_is_a_finding_about_each_of_its_controls_in_nists_catalogue() -> None:
    document = assessment_results(a_report(a_finding("repository-encryption")), CONTROLS, "1.0")
    result = document["assessment-results"]["results"][0]
    targets = {one["target"]["target-id"]: one["target"]["status"]["state"] for one in result["findings"]}
    assert targets.keys() >= {"sc-28", "sc-28.1", "sc-12.2"}
    assert set(targets.values()) == {"not-satisfied"}
    observed = {one["uuid"] for one in result["observations"]}
    related = {each["observation-uuid"] for one in result["findings"] for each in one["related-observations"]}
    assert related <= observed


def test_identifiers_are_the_same_each_time_and_none_is_there_twice() -> None:
    first, second = (assessment_results(a_full_report(), CONTROLS, "1.0") for _ in range(2))
    assert first == second
    uuids = [one["uuid"] for one in first["assessment-results"]["results"][0]["observations"]]
    assert len(uuids) == len(set(uuids))


@pytest.mark.parametrize(("control", "name"), [("RA-5", "ra-5"), ("SC-28(1)", "sc-28.1")])
def test_controls_have_their_names_in_nists_catalogue(control: str, name: str) -> None:
    assert oscal_id(control) == name


@pytest.mark.parametrize("text", TEXTS)
def test_every_finding_is_one_for_security_hub_by_its_model_and_limits(text: str) -> None:
    findings = to_asff(a_full_report(text))
    model = botocore.session.Session().get_service_model("securityhub")
    shape: Any = model.operation_model("BatchImportFindings").input_shape
    for finding in findings:
        validate_parameters({"Findings": [finding]}, shape)
        assert len(json.dumps(finding)) < _BYTES_A_FINDING
    assert len({one["Id"] for one in findings}) == len(CATALOGUE)


def test_a_resolved_finding_is_archived_and_a_waived_one_has_no_weight() -> None:
    by_state = {one["ProductFields"]["imagegate/state"]: one for one in to_asff(a_full_report())}
    assert {state: (one["RecordState"], one["Compliance"]["Status"]) for state, one in by_state.items()} == {
        "new": ("ACTIVE", "FAILED"),
        "open": ("ACTIVE", "FAILED"),
        "waived": ("ACTIVE", "WARNING"),
        "resolved": ("ARCHIVED", "PASSED"),
    }
    assert by_state["waived"]["FindingProviderFields"]["Severity"]["Label"] == "INFORMATIONAL"


def test_a_later_finding_of_security_hub_replaces_the_earlier_one() -> None:
    first = to_asff(a_report(a_finding(first_seen=NOW)))[0]
    later = to_asff(a_report(a_finding(first_seen=NOW), at=NOW + timedelta(days=1)))[0]
    assert (first["Id"], first["CreatedAt"]) == (later["Id"], later["CreatedAt"])
    assert first["UpdatedAt"] < later["UpdatedAt"]


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\uff1d1",
        "\uff20x",
        '=HYPERLINK("http://evil.example")',
    ],
)
def test_no_cell_is_a_formula(text: str) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(a_full_report(text)))))
    cells = [cell for row in rows for cell in row]
    assert not [
        cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff20"))
    ]
    assert len({len(row) for row in rows}) == 1
    assert len(rows) == len(CATALOGUE) + 1


@pytest.mark.parametrize("text", PAYLOADS)
def test_text_of_others_makes_no_line_of_its_own(text: str) -> None:
    clean, poisoned = a_full_report("clean"), a_full_report(text)
    for form in ("table", "markdown", "csv"):
        lines = [len(FORMATS[form](one).splitlines()) for one in (clean, poisoned)]
        assert lines[0] == lines[1], form


def test_a_ticket_names_the_gravest_first_who_acts_and_how() -> None:
    findings = [
        a_finding("repository-tags-missing", owner="team-shop"),
        a_finding("repository-public", a_repository("shop-prod")),
    ]
    ticket = to_markdown(a_report(*findings))
    assert ticket.index("critical: Everybody") < ticket.index("low: Tags")
    assert "(team\\-shop)" in ticket or "(team-shop)" in ticket
    assert "imagegate baseline apply shop-dev" in ticket


def test_a_ticket_names_some_and_counts_the_others() -> None:
    findings = [a_finding("repository-public", a_repository(f"shop-{number}")) for number in range(25)]
    assert "and 5 more" in to_markdown(a_report(*findings))


def test_the_table_has_each_reason_once() -> None:
    unread = [
        NotAssessed(CATALOGUE["repository-public"], a_repository(f"r-{n}"), "AccessDenied") for n in range(9)
    ]
    table = to_table(a_report(*unread))
    assert table.count("AccessDenied") == 1
    assert "9 resources" in table


# Controls.


def support(control: str, report: AuditReport) -> ControlSupport:
    return next(one for one in CONTROLS.weigh(report) if one.control.id == control)


def test_every_check_supports_a_control() -> None:
    mapped = {check.id for control in CONTROLS.controls for check in control.checks}
    assert {name for name, check in CATALOGUE.items() if check.subject != "cost"} <= mapped


def test_every_framework_that_people_ask_for_has_controls_and_a_source() -> None:
    frameworks = {one.framework for one in CONTROLS.controls}
    assert {one.id for one in frameworks} == {
        *(
            "security-hub",
            "soc-2",
            "pci-dss",
            "iso-27001",
            "nist-800-53",
            "nist-800-190",
            "cis-controls",
            "gdpr",
        )
    }
    assert all(one.source.startswith("https://") for one in frameworks)
    names = [(one.framework.id, one.id) for one in CONTROLS.controls]
    assert len(names) == len(set(names))


def test_only_checks_of_a_control_are_published_for_it() -> None:
    assert all(set(one.published) <= set(one.checks) for one in CONTROLS.controls)
    assert all(one.checks == one.published for one in CONTROLS.controls if one.framework.id == "security-hub")


def test_where_nothing_was_looked_at_nothing_is_said() -> None:
    assert {one.sentence for one in CONTROLS.weigh(a_report())} == {"not assessed: no check had a result"}
    unread = a_report(NotAssessed(CATALOGUE["repository-scan-off"], a_repository(), "AccessDenied"))
    assert support("ECR.1", unread).sentence == "not assessed: no check had a result"


def test_percentages_say_what_they_count() -> None:
    check = CATALOGUE["repository-scan-off"]
    waived = a_finding(resource=a_repository("b-dev"), state=FindingState.WAIVED, waiver="w-1")
    unread = NotAssessed(check, a_repository("c-dev"), "throttled")
    report = a_report(CheckPassed(check), CheckPassed(check), a_finding(), waived, unread)
    assert (
        support("ECR.1", report).sentence == "2 of 4 results pass (50 %), 1 failed, 1 waived, 1 not assessed"
    )


def test_all_but_one_is_not_all() -> None:
    check = CATALOGUE["repository-scan-off"]
    report = a_report(*(CheckPassed(check) for _ in range(999)), a_finding())
    assert "999 of 1000 results pass (99 %)" in support("ECR.1", report).sentence


def test_nobody_is_said_to_comply() -> None:
    supports = CONTROLS.weigh(a_full_report())
    text = "\n".join(
        [*control_lines(supports), json.dumps([support_as_json(one) for one in supports])]
    ).lower()
    assert "supported" in text
    for word in ("complies", "compliant", "is satisfied", "certif"):
        assert word not in text


@pytest.mark.parametrize(
    ("check", "with_it"),
    [("repository-writers", "repository-push-open"), ("image-unsigned", "image-revoked")],
)
def test_no_control_is_supported_by_half_of_a_matter(check: str, with_it: str) -> None:
    """A way around the gates is access, too; a signature that was revoked is none."""
    controls = [{one.id for one in control.checks} for control in CONTROLS.controls]
    assert any(check in names for names in controls)
    assert [names for names in controls if check in names and with_it not in names] == []
