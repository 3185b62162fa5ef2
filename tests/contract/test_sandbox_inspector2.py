"""Inspector's own API tells of the same findings as ECR, and what ECR has no room for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.scanner import intelligence
from tests.contract.registry_sandbox import Repository, Sandbox
from tests.contract.scans import EVERY, active, configure, finding, response
from tests.contract.served_cloud import ServedCloud

LOG4SHELL = "CVE-2021-44228"
KNOWN = {LOG4SHELL: {"epss": 0.97, "known_exploited": "2021-12-10", "exploit_available": True}}
NOBODYS = "arn:aws:inspector2:eu-central-1:123456789012:finding/" + "0" * 32


@pytest.fixture(scope="module")
def ecr(sandbox: Sandbox) -> Any:
    return sandbox.client("ecr")


@pytest.fixture(scope="module")
def inspector(sandbox: Sandbox) -> Any:
    return sandbox.client("inspector2")


@pytest.fixture(autouse=True)
def _enhanced(ecr: Any, sandbox: Sandbox) -> Iterator[None]:
    rules = [{"scanFrequency": "CONTINUOUS_SCAN", "repositoryFilters": EVERY}]
    ecr.put_registry_scanning_configuration(scanType="ENHANCED", rules=rules)
    yield
    ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[])
    intelligence.file_in(sandbox.settings.state).unlink(missing_ok=True)


def learn(sandbox: Sandbox, document: Any) -> int:
    file = sandbox.settings.state / "given.json"
    file.write_text(json.dumps(document))
    return intelligence.main([str(file), "--state", str(sandbox.settings.state)])


def scanned(repo: Repository, ecr: Any, *found: dict[str, Any]) -> list[dict[str, Any]]:
    """Push an image with these findings; return them as ECR reports them."""
    configure(repo.sandbox, repo.name, response(*found))
    repo.image("v1")
    reported: list[dict[str, Any]] = active(repo, ecr)["imageScanFindings"]["enhancedFindings"]
    return reported


def criteria(**wanted: Any) -> dict[str, Any]:
    """Return filter criteria: a value must be equal, a pair names the comparison."""
    pairs = {
        name: value if isinstance(value, list) else [("EQUALS", value)] for name, value in wanted.items()
    }
    return {
        name: [{"comparison": comparison, "value": value} for comparison, value in values]
        for name, values in pairs.items()
    }


def listed(repo: Repository, inspector: Any, **wanted: Any) -> list[dict[str, Any]]:
    every = criteria(ecrImageRepositoryName=repo.name, **wanted)
    found: list[dict[str, Any]] = inspector.list_findings(filterCriteria=every)["findings"]
    return found


def names(findings: list[dict[str, Any]]) -> list[str]:
    return [one["packageVulnerabilityDetails"]["vulnerabilityId"] for one in findings]


def refused(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error: Any = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(error["Error"]["Code"])


# ListFindings


def test_the_same_findings_as_ecr_reports(repo: Repository, ecr: Any, inspector: Any) -> None:
    reported = scanned(repo, ecr, finding("HIGH", 1), finding("UNDEFINED", 2))
    found = listed(repo, inspector)
    assert [(f["findingArn"], f["severity"]) for f in found] == [
        (f["findingArn"], f["severity"]) for f in reported
    ]
    shared = ("packageVulnerabilityDetails", "firstObservedAt", "status", "type", "title", "fixAvailable")
    assert [[f[name] for name in shared] for f in found] == [[f[name] for name in shared] for f in reported]
    [resource] = found[0]["resources"]
    assert resource["details"]["awsEcrContainerImage"]["repositoryName"] == repo.name
    assert "epss" not in found[0]


def test_members_that_inspector_names_differently(repo: Repository, ecr: Any, inspector: Any) -> None:
    cvss = {"score": 8.8, "scoreSource": "NVD", "scoringVector": "CVSS:3.1/AV:L", "version": "3.1"}
    given = {
        "severity": "HIGH",
        "score": 9.8,
        "scoreDetails": {"cvss": cvss},
        "remediation": {"recommendation": {"text": "Update.", "url": "https://example.invalid"}},
    }
    configure(repo.sandbox, repo.name, {"enhancedFindings": [given]})
    repo.image("v1")
    active(repo, ecr)
    [found] = listed(repo, inspector)
    assert found["inspectorScore"] == 9.8
    assert found["inspectorScoreDetails"] == {"adjustedCvss": cvss}
    assert found["remediation"]["recommendation"] == {"text": "Update.", "Url": "https://example.invalid"}


def test_known_vulnerabilities_have_epss_and_exploits(repo: Repository, ecr: Any, inspector: Any) -> None:
    scanned(repo, ecr, finding("CRITICAL", name=LOG4SHELL), finding("HIGH", 1))
    assert learn(repo.sandbox, KNOWN) == 0
    first, second = listed(repo, inspector)
    assert (first["epss"], first["exploitAvailable"]) == ({"score": 0.97}, "YES")
    assert "epss" not in second
    assert second["exploitAvailable"] == "NO"
    reported = active(repo, ecr)["imageScanFindings"]["enhancedFindings"]
    assert [f["exploitAvailable"] for f in reported] == ["YES", "NO"]
    assert "epss" not in reported[0]


def test_an_image_has_its_own_findings(sandbox: Sandbox, ecr: Any, inspector: Any) -> None:
    one, other = sandbox.repository(), sandbox.repository()
    [first], [second] = scanned(one, ecr, finding("HIGH")), scanned(other, ecr, finding("HIGH"))
    digest = one.call("HEAD", "manifests/v1").headers["Docker-Content-Digest"]
    assert first["findingArn"] != second["findingArn"]
    assert len(listed(one, inspector, ecrImageHash=digest)) == 1
    assert listed(one, inspector, ecrImageHash="sha256:" + "0" * 64) == []
    both = inspector.list_findings(filterCriteria=criteria(ecrImageHash=digest))["findings"]
    assert {f["findingArn"] for f in both} >= {first["findingArn"], second["findingArn"]}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"vulnerabilityId": "CVE-2026-0001"}, [1]),
        ({"vulnerabilityId": [("EQUALS", "CVE-2026-0001"), ("EQUALS", "CVE-2026-0003")]}, [1, 3]),
        ({"vulnerabilityId": [("PREFIX", "CVE-2026")]}, [1, 2, 3]),
        ({"vulnerabilityId": [("PREFIX", "CVE"), ("NOT_EQUALS", "CVE-2026-0002")]}, [1, 3]),
        ({"vulnerabilityId": [("NOT_EQUALS", "CVE-2026-0001"), ("NOT_EQUALS", "CVE-2026-0002")]}, [3]),
        ({"vulnerabilityId": "CVE-2026-0001", "severity": "LOW"}, []),
        ({"severity": "LOW"}, [2, 3]),
        ({"findingStatus": "ACTIVE", "findingType": "PACKAGE_VULNERABILITY"}, [1, 2, 3]),
        ({"findingStatus": "CLOSED"}, []),
        ({"findingType": [("NOT_EQUALS", "PACKAGE_VULNERABILITY")]}, []),
        ({"fixAvailable": "NO", "exploitAvailable": "NO"}, [1, 2, 3]),
    ],
)
def test_findings_are_filtered(
    repo: Repository, ecr: Any, inspector: Any, wanted: dict[str, Any], found: list[int]
) -> None:
    scanned(repo, ecr, finding("HIGH", 1), finding("LOW", 2), finding("LOW", 3))
    assert names(listed(repo, inspector, **wanted)) == [f"CVE-2026-{number:04}" for number in found]


def test_findings_come_in_pages(repo: Repository, ecr: Any, inspector: Any) -> None:
    scanned(repo, ecr, *(finding("LOW", number) for number in range(205)))
    wanted = criteria(ecrImageRepositoryName=repo.name)
    pages = list(inspector.get_paginator("list_findings").paginate(filterCriteria=wanted))
    assert [len(one["findings"]) for one in pages] == [100, 100, 5]
    assert len(set(names([f for one in pages for f in one["findings"]]))) == 205
    few = inspector.list_findings(filterCriteria=wanted, maxResults=2)
    assert (len(few["findings"]), bool(few["nextToken"])) == (2, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"maxResults": 101},
        {"nextToken": "bm8="},
        {"filterCriteria": criteria(vulnerabilityId=[("CONTAINS", "x")])},
        {"filterCriteria": criteria(vulnerabilityId=[("EQUALS", str(n)) for n in range(11)])},
        {"filterCriteria": criteria(lambdaFunctionName="x")},
        {"sortCriteria": {"field": "SEVERITY", "sortOrder": "DESC"}},
    ],
)
def test_wrong_listings_are_refused(inspector: Any, wrong: dict[str, Any]) -> None:
    assert refused(inspector.list_findings, **wrong) == "ValidationException"


def test_basic_scanning_is_not_inspectors(repo: Repository, ecr: Any, inspector: Any) -> None:
    [reported] = scanned(repo, ecr, finding("HIGH"))
    ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[])
    assert inspector.list_findings()["findings"] == []
    details = inspector.batch_get_finding_details(findingArns=[reported["findingArn"]])
    assert details["findingDetails"] == []


# BatchGetFindingDetails


def test_details_have_the_data_of_cisa_and_epss(repo: Repository, ecr: Any, inspector: Any) -> None:
    learn(repo.sandbox, KNOWN)
    known, unknown = scanned(repo, ecr, finding("CRITICAL", name=LOG4SHELL), finding("HIGH", 1))
    arns = [unknown["findingArn"], known["findingArn"], NOBODYS]
    answer = inspector.batch_get_finding_details(findingArns=arns)
    assert answer["findingDetails"][0] == {"findingArn": unknown["findingArn"]}
    details = answer["findingDetails"][1]
    cisa = details.pop("cisaData")
    assert details == {"findingArn": known["findingArn"], "epssScore": 0.97}
    assert cisa.pop("action")
    days = {name: moment.astimezone(UTC) for name, moment in cisa.items()}
    assert days == {
        "dateAdded": datetime(2021, 12, 10, tzinfo=UTC),
        "dateDue": datetime(2021, 12, 24, tzinfo=UTC),
    }
    [error] = answer["errors"]
    assert (error["findingArn"], error["errorCode"]) == (NOBODYS, "FINDING_DETAILS_NOT_FOUND")


def test_details_are_given_for_ten_findings_at_a_time(repo: Repository, ecr: Any, inspector: Any) -> None:
    arns = [f["findingArn"] for f in scanned(repo, ecr, *(finding("LOW", n) for n in range(11)))]
    assert refused(inspector.batch_get_finding_details, findingArns=arns) == "ValidationException"
    answer = inspector.batch_get_finding_details(findingArns=arns[:10])
    assert [one["findingArn"] for one in answer["findingDetails"]] == arns[:10]
    assert answer["errors"] == []
    assert refused(inspector.batch_get_finding_details, findingArns=["arn:x"]) == "ValidationException"


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [("ListFindings", {}), ("BatchGetFindingDetails", {"findingArns": [NOBODYS]})],
)
def test_permissions_are_for_all_findings(cloud: ServedCloud, operation: str, parameters: Any) -> None:
    method = {"ListFindings": "list_findings", "BatchGetFindingDetails": "batch_get_finding_details"}
    event = {"service": "inspector2", "operation": method[operation], "parameters": parameters}
    answer = cloud.invoke("Call", event)
    assert answer["code"] == "AccessDeniedException"
    assert answer["message"].endswith(f"to perform: inspector2:{operation} on resource: *")
    assert getattr(cloud.client("inspector2"), method[operation])(**parameters)


# What is known


def test_the_command_prints_what_it_accepted(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert learn(sandbox, KNOWN | {"GHSA-jfh8-c2jp-5v3q": {"epss": 1}}) == 0
    assert capsys.readouterr().out == "known: 2 vulnerabilities, 1 of them exploited\n"
    assert learn(sandbox, {}) == 0
    assert intelligence.read(sandbox.settings.state) == {}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "expected"),
        ({"CVE 1": {}}, "not the id of a vulnerability: 'CVE 1'"),
        ({LOG4SHELL: 0.97}, f"{LOG4SHELL}: expected an object"),
        ({LOG4SHELL: {"EPSS": 0.97}}, f"{LOG4SHELL}: unknown key: EPSS"),
        ({LOG4SHELL: {"epss": 97}}, f"{LOG4SHELL}: epss is 97, not a number from 0 to 1"),
        ({LOG4SHELL: {"epss": True}}, f"{LOG4SHELL}: epss is True"),
        ({LOG4SHELL: {"epss": float("nan")}}, f"{LOG4SHELL}: epss is nan"),
        ({LOG4SHELL: {"known_exploited": True}}, f"{LOG4SHELL}: known_exploited is True, not a day"),
        ({LOG4SHELL: {"known_exploited": "10.12.2021"}}, f"{LOG4SHELL}: known_exploited is '10.12.2021'"),
        ({LOG4SHELL: {"exploit_available": "YES"}}, f"{LOG4SHELL}: exploit_available is 'YES'"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], document: Any, said: str
) -> None:
    learn(sandbox, KNOWN)
    capsys.readouterr()
    assert learn(sandbox, document) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert said in printed.err
    assert LOG4SHELL in intelligence.read(sandbox.settings.state)


@pytest.mark.parametrize("content", [b"{", b"\xff", None])
def test_a_file_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    file = tmp_path / "known.json"
    if content is not None:
        file.write_bytes(content)
    assert intelligence.main([str(file), "--state", str(tmp_path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("intelligence: ")
    assert str(file) in line
