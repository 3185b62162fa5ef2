"""Scanner files: how a format is detected, and that no unreadable part is skipped."""

from __future__ import annotations

import copy
import io
import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagegate.findings.finding import Finding
from imagegate_cli.faults import CANNOT_TELL, explain
from imagegate_cli.scanners import document, formats, parsers
from imagegate_cli.scanners.document import ScannerFileError
from imagegate_cli.scanners.formats import read
from imagegate_cli.scanners.report import knows
from imagegate_cli.scanners.supported import FORMATS
from tests.component.scanner_files import (
    FIXTURES,
    IMAGE,
    NAMES,
    Json,
    fixture,
    parsed,
    parsed_or_refused,
    refusal,
)
from tests.component.test_scanners_trivy import as_trivy

# They name vulnerabilities as AWS's own rules do.
FILES_OF_AWS = ("ecr_basic.json", "ecr_enhanced.json", "inspector.json", "security_hub.json")


@pytest.fixture
def file(tmp_path: Path) -> Callable[[Any], Path]:
    """Return a function that writes a file: bytes as they are, everything else as JSON."""

    def write(content: Any) -> Path:
        path = tmp_path / "report"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    return write


@pytest.mark.parametrize(
    ("name", "scanner", "number"),
    [
        ("ecr_basic.json", "basic", 3),
        ("ecr_enhanced.json", "enhanced", 3),
        ("inspector.json", "inspector", 3),
        ("trivy.json", "trivy", 4),
        ("grype.json", "grype", 4),
        ("trivy_sarif.json", "sarif", 4),
        ("grype_sarif.json", "sarif", 4),
        ("inspector_scan.json", "inspector-scan", 3),
        ("inspector_cyclonedx.json", "cyclonedx", 2),
        ("trivy_cyclonedx.json", "cyclonedx", 4),
        ("grype_cyclonedx.json", "cyclonedx", 2),
        ("security_hub.json", "asff", 3),
        ("gitlab.json", "gitlab", 3),
        ("trivy_operator.json", "trivy-operator", 3),
        ("harbor.json", "harbor", 3),
        ("snyk.json", "snyk", 3),
    ],
)
def test_a_scanner_is_detected_by_content_and_its_counts_are_kept(
    name: str, scanner: str, number: int, tmp_path: Path
) -> None:
    path = tmp_path / "results.txt"
    path.write_bytes((FIXTURES / name).read_bytes())
    report = read(path)
    assert (report.scanner, len(report.findings), report.is_complete) == (scanner, number, True)


def test_every_fixture_is_read() -> None:
    assert len(NAMES) == 16


@pytest.mark.parametrize(
    "name", ["ecr_basic.json", "ecr_enhanced.json", "inspector.json", "trivy.json", "grype.json"]
)
def test_a_file_says_which_image_it_is_about(name: str) -> None:
    assert read(FIXTURES / name).digest == IMAGE


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FILES_OF_AWS])
@pytest.mark.parametrize("spelling", ["cve-", "Cve-"])
def test_a_vulnerability_has_one_name_however_it_is_spelled(
    name: str, spelling: str, file: Callable[[Any], Path]
) -> None:
    """A rule that denies CVE-2021-44228 denies cve-2021-44228, too."""
    content = (FIXTURES / name).read_bytes()
    expected = read(FIXTURES / name).findings
    assert any(one.startswith("CVE-") for finding in expected for one in finding.names)
    found = read(file(content.replace(b"CVE-", spelling.encode()))).findings
    assert [finding.vulnerability for finding in found] == [finding.vulnerability for finding in expected]
    assert all(set(one.names) <= set(other.names) for one, other in zip(expected, found, strict=True))


def test_the_abilities_of_a_scanner_do_not_depend_on_a_file() -> None:
    assert knows("basic") == knows("sarif") == frozenset()
    assert knows("enhanced") == {"fix", "exploit", "layer"}
    assert knows("trivy") == knows("grype") == {"fix", "layer"}


def test_an_error_is_one_line_and_exits_with_2(tmp_path: Path) -> None:
    with pytest.raises(ScannerFileError) as raised:
        read(tmp_path / "none.json")
    assert raised.value.exit_code == CANNOT_TELL
    assert explain(raised.value) == f"{tmp_path}/none.json: No such file or directory"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; did the scanner fail?"),
        (b" \n", "empty"),
        (b'{"matches": [\n  {"a" 1}', "not JSON: .* \\(line 2, column 8\\)"),
        (b"Total: 3 (HIGH: 3)", "not JSON"),
        ('{"matches": "\u00e9"}'.encode("latin-1"), "not UTF-8 \\(byte 13\\)"),
        ('{"matches": "\u00e9"}'.encode("latin-1"), "convert it, for example by iconv"),
        ('{"matches": []}'.encode("utf-16")[:-1], "not UTF-16 .* iconv"),
        ('{"matches": []}'.encode("utf-16-be"), "not JSON"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "4300 digits"),
        (b"[" * 200_000, "nested too deeply|not JSON"),
        (b"[]", "it is a list"),
        (b"3", "it is no JSON object"),
        (b"{}", "it has nothing in it"),
        (b'{"SPDXID": "SPDXRef-DOCUMENT", "packages": []}', "it has SPDXID, packages"),
        (b'{"\\u001b[2J": 1}', r"it has \\x1b\[2J"),
        (json.dumps({f"k{n}": n for n in range(20)}).encode(), "k7 and 12 more"),
        (b'{"matches": []}', "Supported: ECR's answer .*Trivy.*Snyk.*GitLab.*CycloneDX.*SARIF 2.1.0"),
        (b'{"findings": [], "other": 1}', "not a report that is supported"),
        (b'{"findings": [{"id": 1}]}', "not a report that is supported"),
    ],
)
def test_a_file_that_is_no_report_is_refused_with_its_content_described(
    file: Callable[[Any], Path], content: bytes, message: str
) -> None:
    with pytest.raises(ScannerFileError, match=message):
        read(file(content))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_files_of_powershell_are_read(file: Callable[[Any], Path], encoding: str) -> None:
    assert read(file((FIXTURES / "trivy.json").read_text().encode(encoding))).scanner == "trivy"


def test_every_format_has_a_parser_and_a_sample() -> None:
    modules = [
        import_module(f"{parsers.__name__}.{module.name}") for module in iter_modules(parsers.__path__)
    ]
    named = {one.parser for one in FORMATS}
    assert {one.__name__.rpartition(".")[2] for one in modules if hasattr(one, "is_report")} == named
    assert {formats._format_of(fixture(name), name).parser for name in NAMES} == named


@pytest.mark.parametrize("name", NAMES)
def test_each_sample_is_of_one_format_only(name: str) -> None:
    document = fixture(name)
    possible = [one.parser for one in FORMATS if formats.parser_of(one).is_report(document)]
    assert len(possible) == 1, possible


def test_a_byte_order_mark_is_no_fault(file: Callable[[Any], Path]) -> None:
    assert read(file(b"\xef\xbb\xbf" + (FIXTURES / "trivy.json").read_bytes())).scanner == "trivy"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "a\0b"):
        with pytest.raises(ScannerFileError):
            read(path)


def test_a_too_large_document_is_refused_before_it_is_read(
    file: Callable[[Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 1024**2)
    path = file(b" " * (1024**2 + 1))
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(ScannerFileError, match="larger than 1 MiB"):
        read(path)


def test_a_device_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 1024**2)
    with pytest.raises(ScannerFileError, match="larger than 1 MiB"):
        read(Path("/dev/zero"))


def test_a_report_can_be_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    piped = io.BytesIO((FIXTURES / "grype.json").read_bytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=piped))
    assert read(Path("-")).scanner == "grype"
    with pytest.raises(ScannerFileError, match="standard input: empty"):
        read(Path("-"))
    monkeypatch.setattr(document, "MAX_BYTES", 1024**2)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b" " * (1024**2 + 1))))
    with pytest.raises(ScannerFileError, match="larger"):
        read(Path("-"))


_NOWHERE = object()


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("trivy.json", ["SchemaVersion"], 1, "SchemaVersion: 2 is understood, not '1'"),
        (
            "trivy.json",
            ["Results", 0, "Vulnerabilities", 0, "VulnerabilityID"],
            _NOWHERE,
            "Results[0].Vulnerabilities[0].VulnerabilityID: missing",
        ),
        (
            "trivy.json",
            ["Results", 1, "Vulnerabilities", 0, "PkgIdentifier", "PURL"],
            7,
            "Results[1].Vulnerabilities[0].PkgIdentifier.PURL: text was expected, not a number",
        ),
        ("trivy.json", ["Results", 1], None, "Results[1]: an object was expected, not null"),
        ("trivy.json", ["Results"], {}, "Results: a list was expected, not an object"),
        ("trivy.json", ["Metadata"], [], "Metadata: an object was expected, not a list"),
        ("trivy.json", ["CreatedAt"], "yesterday", "CreatedAt: not a time: 'yesterday'"),
        (
            "trivy.json",
            ["Metadata", "ImageConfig", "os"],
            "\ud800",
            "Metadata.ImageConfig: half a surrogate pair",
        ),
        ("grype.json", ["matches"], None, "matches: missing"),
        (
            "grype.json",
            ["matches", 0, "relatedVulnerabilities", 0, "epss", 0, "epss"],
            1.5,
            "matches[0].relatedVulnerabilities[0].epss[0].epss: not a number from 0 to 1: 1.5",
        ),
        ("grype.json", ["matches", 3, "artifact"], _NOWHERE, "matches[3].artifact.name: missing"),
        ("grype.json", ["source", "target", "config"], "e30", "source.target.config: not JSON in base64"),
        ("grype.json", ["source", "target", "config"], "W10=", "source.target.config: not JSON in base64"),
        (
            "ecr_basic.json",
            ["imageScanFindings", "findings", 1, "name"],
            "",
            "imageScanFindings.findings[1].name",
        ),
        (
            "ecr_basic.json",
            ["imageScanFindings", "findings", 0, "attributes", 0, "key"],
            _NOWHERE,
            "imageScanFindings.findings[0].attributes[0].key: missing",
        ),
        (
            "ecr_enhanced.json",
            [
                "imageScanFindings",
                "enhancedFindings",
                2,
                "packageVulnerabilityDetails",
                "vulnerablePackages",
                0,
                "name",
            ],
            _NOWHERE,
            "imageScanFindings.enhancedFindings[2].packageVulnerabilityDetails.vulnerablePackages[0].name: missing",
        ),
        (
            "ecr_enhanced.json",
            ["imageScanFindings", "findingSeverityCounts", "HIGH"],
            "1",
            "imageScanFindings.findingSeverityCounts.HIGH: not a number of findings",
        ),
        ("ecr_enhanced.json", ["imageScanFindings", "findings"], [{"name": "a"}], "no scan gives both"),
        ("inspector.json", ["findings", 1, "findingArn"], _NOWHERE, "findings[1].findingArn: missing"),
        (
            "inspector.json",
            ["findings", 0, "epss", "score"],
            "0.9",
            "findings[0].epss.score: a number was expected",
        ),
        (
            "inspector.json",
            ["findings", 0, "epss", "score"],
            10**400,
            "findings[0].epss.score: not a number from 0",
        ),
        ("trivy_sarif.json", ["version"], "2.0.0", "version: 2.1.0 is understood, not '2.0.0'"),
        (
            "trivy_sarif.json",
            ["runs", 0, "results", 1],
            "x",
            "runs[0].results[1]: an object was expected, not text",
        ),
    ],
)
def test_a_malformed_part_is_named_by_its_path(name: str, place: list[Any], value: Any, message: str) -> None:
    raw = fixture(name)
    at = raw
    for key in place[:-1]:
        at = at[key]
    if value is _NOWHERE:
        del at[place[-1]]
    else:
        at[place[-1]] = value
    assert message in refusal(raw)


JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["\ud800", "2026-13-45", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00", "absent", "-1"]
    ),
    st.lists(st.integers(), max_size=2),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of everything in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, element in inside:
        yield (*path, key)
        yield from places(element, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


DOCUMENTS = {name: fixture(name) for name in NAMES}
PLACES = {name: list(places(raw)) for name, raw in DOCUMENTS.items()}


@given(st.data(), st.sampled_from(NAMES))
@settings(max_examples=600)
def test_every_changed_file_is_read_or_refused(data: st.DataObject, name: str) -> None:
    raw = copy.deepcopy(DOCUMENTS[name])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(PLACES[name]))
        try:
            holder = at(raw, path[:-1])
            if data.draw(st.booleans()):
                del holder[path[-1]]
            else:
                holder[path[-1]] = data.draw(JUNK)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
    report, message = parsed_or_refused(raw)
    if report:
        assert all(isinstance(finding, Finding) for finding in report.findings)
        repr(report.findings).encode()
    assert message.isprintable()


LISTS = {
    "ecr_basic.json": ("imageScanFindings", "findings"),
    "ecr_enhanced.json": ("imageScanFindings", "enhancedFindings"),
    "inspector.json": ("findings",),
    "trivy.json": ("Results", 0, "Vulnerabilities"),
    "grype.json": ("matches",),
    "trivy_sarif.json": ("runs", 0, "results"),
    "grype_sarif.json": ("runs", 0, "results"),
    "inspector_scan.json": ("sbom", "inspector", "vulnerabilities"),
    "inspector_cyclonedx.json": ("sbom", "vulnerabilities"),
    "trivy_cyclonedx.json": ("vulnerabilities",),
    "grype_cyclonedx.json": ("vulnerabilities",),
    "security_hub.json": ("Findings",),
    "gitlab.json": ("vulnerabilities",),
    "trivy_operator.json": ("report", "vulnerabilities"),
    "harbor.json": ("application/vnd.security.vulnerability.report; version=1.1", "vulnerabilities"),
    "snyk.json": ("applications", 0, "vulnerabilities"),
}
# A list of packages or of vulnerabilities in a finding can lose an element.
LOSE_ELEMENTS = ("trivy_cyclonedx.json",)


@given(st.data(), st.sampled_from([name for name in NAMES if name not in LOSE_ELEMENTS]))
@settings(max_examples=400)
def test_a_finding_that_is_damaged_is_refused_or_counts(data: st.DataObject, name: str) -> None:
    """Nothing that happens inside of a finding takes it off the list."""
    raw = copy.deepcopy(DOCUMENTS[name])
    number = len(parsed(raw).findings)
    listed = at(raw, LISTS[name])
    position = data.draw(st.integers(0, len(listed) - 1))
    path = data.draw(st.sampled_from([(), *places(listed[position])]))
    holder, key = (at(listed[position], path[:-1]), path[-1]) if path else (listed, position)
    holder[key] = data.draw(JUNK)
    report, _ = parsed_or_refused(raw)
    assert report is None or len(report.findings) == number


@given(st.sampled_from(NAMES), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_was_cut_off_is_refused(
    file: Callable[[Any], Path], name: str, data: st.DataObject
) -> None:
    content = (FIXTURES / name).read_bytes().rstrip()
    path = file(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ScannerFileError):
        read(path)


@given(st.binary(max_size=64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_in_a_file_cause_a_traceback(file: Callable[[Any], Path], content: bytes) -> None:
    with pytest.raises(ScannerFileError):
        read(file(content))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            as_trivy({"Target": "x", "CustomResources": [{}, {}]}),
            "Trivy also reports 2 under CustomResources",
        ),
        (
            as_trivy({"Target": "x", "Surprises": [{}]}, {"Target": "y", "Surprises": [{}]}),
            "2 under Surprises",
        ),
        ({**as_trivy(), "Surprises": {"a": 1}}, "1 under Surprises"),
        ({**fixture("grype.json"), "alertsByPackage": [{}]}, "Grype also reports 1 under alertsByPackage"),
        ({**fixture("ecr_enhanced.json"), "surprises": [{}]}, "ECR also reports 1 under surprises"),
        (
            {**fixture("trivy_sarif.json"), "inlineExternalProperties": [{}]},
            "1 under inlineExternalProperties",
        ),
    ],
)
def test_no_section_of_a_report_is_passed_over_in_silence(content: Json, says: str) -> None:
    assert any(says in note and note.endswith(": not judged") for note in parsed(content).notes)


@pytest.mark.parametrize("name", NAMES)
def test_a_report_that_is_read_in_full_has_no_such_note(name: str) -> None:
    assert not any("not judged" in note for note in read(FIXTURES / name).notes)
