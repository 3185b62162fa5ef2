"""Reports of Grype."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from imagegate.findings.finding import Severity
from imagegate_cli.scanners.document import ScannerFileError
from imagegate_cli.scanners.formats import read
from tests.component.scanner_files import (
    FIXTURES,
    fixture,
    parsed,
    severities,
)


def test_grype_prefers_the_cve_and_keeps_the_advisory() -> None:
    log4j = read(FIXTURES / "grype.json").findings[0]
    assert (log4j.vulnerability, log4j.aliases) == ("CVE-2021-44228", ("GHSA-jfh8-c2jp-5v3q",))
    assert (log4j.packages[0].fixed, log4j.packages[0].ecosystem) == ("2.15.0", "maven")
    assert (log4j.known_exploited, log4j.epss) == (True, 0.97)


def test_an_advisory_about_several_cves_keeps_its_own_name() -> None:
    raw = fixture("grype.json")
    more = {**raw["matches"][0]["relatedVulnerabilities"][0], "id": "CVE-2021-45046"}
    raw["matches"][0]["relatedVulnerabilities"].append(more)
    log4j = parsed(raw).findings[0]
    assert log4j.names == ("GHSA-jfh8-c2jp-5v3q", "CVE-2021-44228", "CVE-2021-45046")


def test_an_absent_value_of_grype_is_none_if_its_database_has_the_data_and_else_unknown() -> None:
    raw = fixture("grype.json")
    assert (parsed(raw).findings[2].epss, parsed(raw).findings[2].known_exploited) == (0.0, False)
    del raw["descriptor"]["db"]["providers"]
    assert parsed(raw).knows == {"fix", "layer", "epss", "kev"}  # one match has them
    raw["matches"] = raw["matches"][1:]
    report = parsed(raw)
    assert report.knows == {"fix", "layer", "epss"}
    assert [finding.known_exploited for finding in report.findings] == [None, None, None]
    raw["matches"] = raw["matches"][1:]
    assert [finding.epss for finding in parsed(raw).findings] == [None, None]


@pytest.mark.parametrize(
    ("state", "versions", "fixable", "fixed"),
    [
        ("fixed", ["2.0"], True, "2.0"),
        ("fixed", ["2.0", "3.0"], True, "2.0, 3.0"),
        ("fixed", [], None, None),
        ("not-fixed", [], False, None),
        ("wont-fix", [], False, None),
        ("unknown", [], None, None),
        ("", [], None, None),
    ],
)
def test_a_fix_is_taken_from_grypes_state(
    state: str, versions: list[str], fixable: bool | None, fixed: str | None
) -> None:
    raw = fixture("grype.json")
    raw["matches"][1]["vulnerability"]["fix"] = {"state": state, "versions": versions}
    finding = parsed(raw).findings[1]
    assert (finding.fixable, finding.packages[0].fixed) == (fixable, fixed)


def test_negligible_is_informational_and_unknown_is_undefined() -> None:
    assert severities(read(FIXTURES / "grype.json"))[2:] == [Severity.INFORMATIONAL, Severity.UNDEFINED]


def test_grype_packs_the_images_configuration_in_base64() -> None:
    report = read(FIXTURES / "grype.json")
    assert report.config == read(FIXTURES / "trivy.json").config
    assert report.platform == "linux/amd64"


def test_a_report_of_grype_about_a_directory_is_about_no_image() -> None:
    raw = fixture("grype.json")
    raw["source"] = {"type": "directory", "target": "./shop"}
    report = parsed(raw)
    assert (report.target, report.digest, report.config) == ("./shop", None, None)


def test_findings_that_grype_ignored_are_named() -> None:
    raw = fixture("grype.json")
    raw["ignoredMatches"] = raw["matches"][:1]
    assert "1 matches were set aside" in parsed(raw).notes[0]


def test_a_broken_database_of_grype_finds_nothing_and_proves_nothing() -> None:
    raw = fixture("grype.json")
    raw["descriptor"]["db"]["status"]["error"] = "database is too old"
    assert "database is too old" in parsed(raw).why


def test_a_configuration_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    raw = fixture("grype.json")
    raw["source"]["target"]["config"] = base64.b64encode(b"[" * 200_000).decode()
    path = tmp_path / "report"
    path.write_text(json.dumps(raw))
    with pytest.raises(ScannerFileError, match=r"nested too deeply|not JSON in base64"):
        read(path)
