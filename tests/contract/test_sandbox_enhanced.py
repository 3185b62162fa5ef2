"""Enhanced scanning and the registry's scanning rules, as Amazon ECR and Inspector have them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.iam.resource_arns import ServiceCall, needs
from sandbox.quirks import Quirks
from sandbox.scanner import early_results
from sandbox.scanner.scan import Scan
from tests.contract.registry_sandbox import Repository, Sandbox
from tests.contract.scans import EVERY, active, configure, describe, finding, refusal, response
from tests.patience import eventually

PACKAGE = {"package_name": "openssl", "package_version": "3.0.1"}
LAYERS = ["sha256:" + "1" * 64, "sha256:" + "2" * 64]
GIVEN = {
    "awsAccountId": "123456789012",
    "description": "A heap overflow.",
    "findingArn": "arn:aws:inspector2:eu-central-1:123456789012:finding/" + "f" * 32,
    "firstObservedAt": "2026-10-01T10:00:00Z",
    "lastObservedAt": "2026-11-01T10:00:00Z",
    "updatedAt": "2026-11-02T10:00:00Z",
    "packageVulnerabilityDetails": {
        "cvss": [{"baseScore": 9.8, "scoringVector": "CVSS:3.1/AV:N", "version": "3.1", "source": "NVD"}],
        "referenceUrls": ["https://example.invalid/advisory"],
        "relatedVulnerabilities": ["CVE-2026-2"],
        "source": "DEBIAN_CVE",
        "sourceUrl": "https://example.invalid/CVE-2026-1",
        "vendorSeverity": "high",
        "vulnerabilityId": "CVE-2026-1",
        "vulnerablePackages": [
            {
                "arch": "AMD64",
                "epoch": 1,
                "fixedInVersion": "1:1.2.14-2",
                "name": "zlib1g",
                "packageManager": "OS",
                "release": "1",
                "sourceLayerHash": LAYERS[0],
                "version": "1.2.13",
            },
            {
                "epoch": 0,
                "filePath": "app/lib/zlib.jar",
                "fixedInVersion": "NotAvailable",
                "name": "zlib-java",
                "packageManager": "JAR",
                "sourceLayerHash": LAYERS[1],
                "version": "1.2.13",
            },
        ],
    },
    "remediation": {"recommendation": {"text": "Update.", "url": "https://example.invalid/fix"}},
    "resources": [
        {
            "id": "arn:aws:ecr:eu-central-1:123456789012:repository/other/sha256:" + "0" * 64,
            "type": "AWS_ECR_CONTAINER_IMAGE",
            "tags": {"team": "shop"},
            "details": {
                "awsEcrContainerImage": {
                    "architecture": "amd64",
                    "imageHash": "sha256:" + "0" * 64,
                    "imageTags": ["v1"],
                    "platform": "DEBIAN_12",
                    "registry": "123456789012",
                    "repositoryName": "other",
                }
            },
        }
    ],
    "score": 9.8,
    "scoreDetails": {
        "cvss": {
            "adjustments": [{"metric": "AV", "reason": "local only"}],
            "score": 8.8,
            "scoreSource": "NVD",
            "scoringVector": "CVSS:3.1/AV:L",
            "version": "3.1",
        }
    },
    "severity": "CRITICAL",
    "status": "ACTIVE",
    "title": "CVE-2026-1 - zlib1g, zlib-java",
    "type": "PACKAGE_VULNERABILITY",
    "fixAvailable": "PARTIAL",
    "exploitAvailable": "YES",
}
ATTRIBUTES = [{"key": key, "value": value} for key, value in PACKAGE.items()]


@pytest.fixture(scope="module")
def ecr(sandbox: Sandbox) -> Any:
    return sandbox.client("ecr")


@pytest.fixture
def rules(ecr: Any) -> Iterator[Any]:
    yield ecr.put_registry_scanning_configuration
    ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[])


@pytest.fixture
def enhanced(rules: Any) -> None:
    rules(scanType="ENHANCED", rules=[{"scanFrequency": "CONTINUOUS_SCAN", "repositoryFilters": EVERY}])


@pytest.fixture
def repo(sandbox: Sandbox) -> Iterator[Repository]:
    yield sandbox.repository(imageScanningConfiguration={"scanOnPush": True})
    quirks = sandbox.settings.quirks
    quirks.scan_outcome, quirks.summary_before_findings = "COMPLETE", False
    quirks.fail_findings_page, quirks.rescan_while_paging = 0, False


def configuration(repo: Repository, ecr: Any) -> Any:
    answer = ecr.batch_get_repository_scanning_configuration(repositoryNames=[repo.name])
    return answer["scanningConfigurations"][0]


def inspected(repo: Repository) -> list[dict[str, Any]]:
    arn = f":repository/{repo.name}"
    events = [d for t, d, _ in list(repo.sandbox.events) if t == "Inspector2 Scan"]
    return [event for event in events if event["repository-name"].endswith(arn)]


@pytest.mark.usefixtures("enhanced")
class TestEnhanced:
    def test_the_event_is_that_of_the_guide(self, repo: Repository) -> None:
        configure(repo.sandbox, repo.name, response(finding("HIGH"), finding("LOW", 1)))
        digest = repo.image("v1")
        [event] = eventually(lambda: inspected(repo))
        assert event == {
            "scan-status": "INITIAL_SCAN_COMPLETE",
            "repository-name": f"arn:aws:ecr:eu-central-1:123456789012:repository/{repo.name}",
            "finding-severity-counts": {"HIGH": 1, "LOW": 1, "TOTAL": 2},
            "image-digest": digest,
            "image-tags": ["v1"],
        }
        assert repo.events("ECR Image Scan") == []

    def test_a_finished_scan_is_active_with_findings_in_inspectors_form(
        self, repo: Repository, ecr: Any
    ) -> None:
        configure(repo.sandbox, repo.name, response(finding("UNDEFINED", attributes=ATTRIBUTES)))
        repo.image("v1")
        found = active(repo, ecr)["imageScanFindings"]
        assert "findings" not in found
        assert found["findingSeverityCounts"] == {"UNTRIAGED": 1}
        [vulnerability] = found["enhancedFindings"]
        assert (vulnerability["severity"], vulnerability["status"]) == ("UNTRIAGED", "ACTIVE")
        details = vulnerability["packageVulnerabilityDetails"]
        [package] = details["vulnerablePackages"]
        assert details["vulnerabilityId"] == "CVE-2026-0000"
        assert (package["name"], package["version"]) == ("openssl", "3.0.1")
        assert isinstance(vulnerability["firstObservedAt"], datetime)

    def test_enhanced_findings_are_reported_as_they_were_given(self, repo: Repository, ecr: Any) -> None:
        configure(repo.sandbox, repo.name, {"enhancedFindings": [GIVEN]})
        repo.image("v1")
        [found] = active(repo, ecr)["imageScanFindings"]["enhancedFindings"]
        for name in ("firstObservedAt", "lastObservedAt", "updatedAt"):
            found[name] = found[name].strftime("%Y-%m-%dT%H:%M:%SZ")
        assert found == GIVEN

    def test_missing_account_and_resource_of_a_finding_are_filled_in(
        self, repo: Repository, ecr: Any
    ) -> None:
        given = {"severity": "MEDIUM", "title": "CVE-2026-1 - zlib"}
        configure(repo.sandbox, repo.name, {"enhancedFindings": [given]})
        digest = repo.image("v1")
        [found] = active(repo, ecr)["imageScanFindings"]["enhancedFindings"]
        assert given.items() <= found.items()
        assert (found["status"], found["type"]) == ("ACTIVE", "PACKAGE_VULNERABILITY")
        [resource] = found["resources"]
        assert resource["details"]["awsEcrContainerImage"]["imageHash"] == digest
        assert ":finding/" in found["findingArn"]
        # What may be unknown stays unknown.
        assert not {"fixAvailable", "exploitAvailable", "packageVulnerabilityDetails"} & set(found)

    def test_an_image_without_an_operating_system_is_not_announced(self, repo: Repository, ecr: Any) -> None:
        repo.sandbox.settings.quirks.scan_outcome = "UNSUPPORTED_IMAGE"
        repo.image("v1")
        eventually(lambda: describe(repo, ecr)["imageScanStatus"]["status"] == "UNSUPPORTED_IMAGE")
        assert inspected(repo) == []

    def test_only_the_first_scan_is_announced_and_results_stay_readable(
        self, repo: Repository, ecr: Any
    ) -> None:
        repo.image("v1")
        eventually(lambda: inspected(repo))
        assert configure(repo.sandbox, repo.name, response(finding("HIGH")), "--rescan") == 0
        assert describe(repo, ecr)["imageScanStatus"]["status"] == "ACTIVE"
        eventually(lambda: describe(repo, ecr)["imageScanFindings"]["findingSeverityCounts"] == {"HIGH": 1})
        assert len(inspected(repo)) == 1

    def test_a_token_goes_on_in_newer_findings(self, repo: Repository, ecr: Any) -> None:
        configure(repo.sandbox, repo.name, response(*(finding("LOW", n) for n in range(4))))
        repo.image("v1")
        active(repo, ecr)
        repo.sandbox.settings.quirks.rescan_while_paging = True
        first = describe(repo, ecr, maxResults=3)
        configure(repo.sandbox, repo.name, response(*(finding("HIGH", n) for n in range(5))))
        second = describe(repo, ecr, maxResults=3, nextToken=first["nextToken"])["imageScanFindings"]
        assert [f["severity"] for f in second["enhancedFindings"]] == ["HIGH", "HIGH"]
        assert second["imageScanCompletedAt"] != first["imageScanFindings"]["imageScanCompletedAt"]

    def test_thousands_of_findings_in_many_pages_are_quick(self, repo: Repository, ecr: Any) -> None:
        configure(repo.sandbox, repo.name, response(*(finding("LOW", n) for n in range(5000))))
        repo.image("v1")
        active(repo, ecr)
        began = time.process_time()  # a busy machine must not matter
        pages = ecr.get_paginator("describe_image_scan_findings").paginate(
            repositoryName=repo.name, imageId={"imageTag": "v1"}
        )
        listed = [page["imageScanFindings"]["enhancedFindings"] for page in pages]
        assert len(listed) == 50
        assert len({f["title"] for findings in listed for f in findings}) == 5000
        assert time.process_time() - began < 8


def covered(repo: Repository, **wanted: str) -> list[dict[str, Any]]:
    """Return the records of Inspector's ListCoverage about the repository's images."""
    criteria = {"ecrRepositoryName": repo.name, **wanted}
    answer = repo.sandbox.client("inspector2").list_coverage(
        filterCriteria={name: [{"comparison": "EQUALS", "value": value}] for name, value in criteria.items()}
    )
    found: list[dict[str, Any]] = answer["coveredResources"]
    return found


Scene = tuple[str, tuple[str, ...], int, str]  # status, what is said of the findings, how many, coverage


def scene(repo: Repository, ecr: Any) -> Scene | None:
    """Return the present answers about the image, or None while it waits for its scan."""
    answer = describe(repo, ecr)
    found = answer.get("imageScanFindings")
    if found is None:
        return None
    [record] = covered(repo)
    listed = len(found.get("enhancedFindings", ()))
    return answer["imageScanStatus"]["status"], tuple(sorted(found)), listed, record["scanStatus"]["reason"]


WHOLE = ("enhancedFindings", "findingSeverityCounts", "imageScanCompletedAt", "vulnerabilitySourceUpdatedAt")
# What there is to see while a quirk lasts, and how many events were sent by then.
LATE: dict[str, tuple[Scene, int]] = {
    "early_result_seconds": (("COMPLETE", ("findings",), 0, "PENDING_INITIAL_SCAN"), 0),
    "partial_findings_seconds": (("ACTIVE", WHOLE, 1, "SCAN_IN_PROGRESS"), 0),
    "late_findings_seconds": (("ACTIVE", ("findings",), 0, "SUCCESSFUL"), 1),
    "late_coverage_seconds": (("ACTIVE", WHOLE, 2, "PENDING_INITIAL_SCAN"), 1),
}


@pytest.mark.usefixtures("enhanced")
class TestCoverage:
    @pytest.fixture(autouse=True)
    def _quirks(self, sandbox: Sandbox) -> Iterator[None]:
        yield
        for name, value in asdict(Quirks()).items():
            if name in LATE or name == "coverage_reason":
                setattr(sandbox.settings.quirks, name, value)

    def test_a_scan_that_is_over_is_covered_successfully(self, repo: Repository, ecr: Any) -> None:
        digest = repo.image("v1")
        active(repo, ecr)
        [record] = covered(repo, resourceType="AWS_ECR_CONTAINER_IMAGE", scanType="PACKAGE")
        assert isinstance(record.pop("lastScannedAt"), datetime)
        assert record == {
            "accountId": "123456789012",
            "resourceId": f"arn:aws:ecr:eu-central-1:123456789012:repository/{repo.name}/{digest}",
            "resourceType": "AWS_ECR_CONTAINER_IMAGE",
            "scanType": "PACKAGE",
            "scanStatus": {"statusCode": "ACTIVE", "reason": "SUCCESSFUL"},
            "resourceMetadata": {"ecrImage": {"tags": ["v1"]}},
        }
        assert covered(repo, resourceId=record["resourceId"]) != []
        for other in ({"resourceId": record["resourceId"][:-1]}, {"scanType": "CODE"}):
            assert covered(repo, **other) == []

    @pytest.mark.parametrize("quirk", LATE)
    def test_a_result_can_be_late_in_parts(self, repo: Repository, ecr: Any, quirk: str) -> None:
        for name in LATE:
            setattr(repo.sandbox.settings.quirks, name, 600.0 if name == quirk else 0.0)
        configure(repo.sandbox, repo.name, response(finding("HIGH"), finding("LOW", 1)))
        repo.image("v1")
        expected, events = LATE[quirk]
        assert eventually(lambda: scene(repo, ecr)) == expected
        assert eventually(lambda: len(inspected(repo)) == events)

    def test_what_is_late_comes_in_the_end_and_is_announced_once(self, repo: Repository, ecr: Any) -> None:
        """By itself the sandbox says first what users have recorded, first COMPLETE and then ACTIVE."""
        configure(repo.sandbox, repo.name, response(finding("HIGH"), finding("LOW", 1)))
        repo.image("v1")
        eventually(lambda: scene(repo, ecr) == ("ACTIVE", WHOLE, 2, "SUCCESSFUL"))
        eventually(lambda: len(inspected(repo)) == 1)

    def test_each_part_follows_the_other(self) -> None:
        quirks = Quirks()
        for name in LATE:
            setattr(quirks, name, 1.0)
        now = datetime(2026, 11, 21, tzinfo=UTC)
        done = Scan("ENHANCED", "ACTIVE", now, now, {"HIGH": 1}, [finding("HIGH")], coverage="SUCCESSFUL")
        scenes = [one for one, _ in early_results.phases(done, quirks)]
        assert [(one.status, one.coverage, one.is_announced) for one in scenes] == [
            ("COMPLETE", "PENDING_INITIAL_SCAN", False),
            ("ACTIVE", "PENDING_INITIAL_SCAN", False),
            ("ACTIVE", "SCAN_IN_PROGRESS", False),
            ("ACTIVE", "SUCCESSFUL", True),
            ("ACTIVE", "PENDING_INITIAL_SCAN", False),
            ("ACTIVE", "SUCCESSFUL", False),
        ]

    def test_counts_of_half_a_list_agree_with_it(self, repo: Repository, ecr: Any) -> None:
        repo.sandbox.settings.quirks.partial_findings_seconds = 600.0
        configure(repo.sandbox, repo.name, response(finding("HIGH"), finding("LOW", 1)))
        repo.image("v1")
        found = active(repo, ecr)["imageScanFindings"]
        assert found["findingSeverityCounts"] == {"HIGH": 1}
        assert [one["severity"] for one in found["enhancedFindings"]] == ["HIGH"]

    def test_an_image_scanned_only_on_push_is_complete_and_inactive(
        self, repo: Repository, ecr: Any, rules: Any
    ) -> None:
        rules(scanType="ENHANCED", rules=[{"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": EVERY}])
        repo.image("v1")
        assert active(repo, ecr)["imageScanStatus"]["status"] == "COMPLETE"
        [record] = covered(repo)
        assert record["scanStatus"] == {"statusCode": "INACTIVE", "reason": "SCAN_FREQUENCY_SCAN_ON_PUSH"}

    def test_reading_findings_needs_inspectors_permission(self, rules: Any) -> None:
        request = {"repositoryName": "shop-dev"}
        call = ServiceCall("ecr", "DescribeImageScanFindings", request, "123456789012", "eu-central-1")
        of_ecr = ("ecr:DescribeImageScanFindings", call.arn("repository/shop-dev"))
        assert needs(call) == [("inspector2:ListFindings", "*"), of_ecr]
        assert needs(replace(call, service="inspector2", operation="ListCoverage")) == [
            ("inspector2:ListCoverage", "*")
        ]
        rules(scanType="BASIC", rules=[])
        assert needs(call) == [of_ecr]

    def test_a_reason_can_be_given(self, repo: Repository) -> None:
        repo.sandbox.settings.quirks.coverage_reason = "IMAGE_SIZE_EXCEEDED"
        repo.image("v1")
        eventually(lambda: covered(repo, scanStatusReason="IMAGE_SIZE_EXCEEDED"))

    def test_an_unknown_value_is_refused(self, repo: Repository) -> None:
        client = repo.sandbox.client("inspector2")
        value = [{"comparison": "EQUALS", "value": "x"}]
        assert refusal(client.list_coverage, maxResults=200, nextToken="?") == "ValidationException"
        assert refusal(client.list_coverage, filterCriteria={"scanMode": value}) == "ValidationException"


def test_images_with_basic_scanning_have_no_coverage(repo: Repository) -> None:
    repo.image("v1")
    eventually(lambda: repo.events("ECR Image Scan"))
    assert covered(repo) == []


def test_a_page_may_fail_twice(repo: Repository, ecr: Any) -> None:
    configure(repo.sandbox, repo.name, response(*(finding("LOW", n) for n in range(4))))
    repo.image("v1")
    eventually(lambda: repo.events("ECR Image Scan"))
    repo.sandbox.settings.quirks.fail_findings_page = 2
    token = describe(repo, ecr, maxResults=2)["nextToken"]
    # One call of this client is two requests: it tries again once after an answer 500.
    with pytest.raises(ClientError, match="ServerException") as caught:
        describe(repo, ecr, maxResults=2, nextToken=token)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    found = describe(repo, ecr, maxResults=2, nextToken=token)["imageScanFindings"]["findings"]
    assert [f["name"] for f in found] == ["CVE-2026-0002", "CVE-2026-0003"]


def test_a_basic_report_that_is_gone_is_not_paged_on(repo: Repository, ecr: Any) -> None:
    configure(repo.sandbox, repo.name, response(*(finding("LOW", n) for n in range(4))))
    repo.image("v1")
    eventually(lambda: repo.events("ECR Image Scan"))
    repo.sandbox.settings.quirks.rescan_while_paging = True
    token = describe(repo, ecr, maxResults=2)["nextToken"]
    assert refusal(describe, repo, ecr, maxResults=2, nextToken=token) == "InvalidParameterException"
    token = describe(repo, ecr, maxResults=2)["nextToken"]
    assert len(describe(repo, ecr, nextToken=token)["imageScanFindings"]["findings"]) == 2
    assert len(repo.events("ECR Image Scan")) == 2


@pytest.mark.parametrize("wrong", [{"nextToken": "bm8="}, {"nextToken": "?"}, {"maxResults": 1001}])
def test_wrong_pages_are_refused(repo: Repository, ecr: Any, wrong: dict[str, Any]) -> None:
    repo.image("v1")
    assert refusal(describe, repo, ecr, **wrong) == "InvalidParameterException"


def test_enhanced_findings_serve_a_basic_scan_too(repo: Repository, ecr: Any) -> None:
    package = {"vulnerablePackages": [{"name": "zlib", "version": "1.2"}], "vulnerabilityId": "CVE-2026-7"}
    given = {"severity": "UNTRIAGED", "packageVulnerabilityDetails": package}
    configure(repo.sandbox, repo.name, {"enhancedFindings": [given]})
    repo.image("v1")
    eventually(lambda: repo.events("ECR Image Scan"))
    [found] = describe(repo, ecr)["imageScanFindings"]["findings"]
    assert (found["name"], found["severity"]) == ("CVE-2026-7", "UNDEFINED")
    assert found["attributes"][0] == {"key": "package_name", "value": "zlib"}


# Which repositories are scanned, and how


def test_rules_of_the_registry_apply_by_filter(ecr: Any, sandbox: Sandbox, rules: Any) -> None:
    matching = [{"filter": "team/*", "filterType": "WILDCARD"}]
    rule = {"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": matching}
    rules(scanType="BASIC", rules=[rule])
    repo = sandbox.repository()
    found = configuration(repo, ecr)
    assert (found["scanFrequency"], found["appliedScanFilters"]) == ("SCAN_ON_PUSH", matching)
    repo.image("v1")
    assert eventually(lambda: repo.events("ECR Image Scan"))[0]["scan-status"] == "COMPLETE"
    held = ecr.get_registry_scanning_configuration()["scanningConfiguration"]
    assert held == {"scanType": "BASIC", "rules": [rule]}


def test_enhanced_scanning_refuses_start_image_scan(repo: Repository, ecr: Any, rules: Any) -> None:
    rules(scanType="ENHANCED", rules=[])
    repo.image("v1")
    wanted = {"repositoryName": repo.name, "imageId": {"imageTag": "v1"}}
    with pytest.raises(ClientError, match="This feature is disabled"):
        ecr.start_image_scan(**wanted)


def test_a_repository_that_no_filter_matches_is_never_scanned(repo: Repository, ecr: Any, rules: Any) -> None:
    elsewhere = [{"filter": "other/*", "filterType": "WILDCARD"}]
    rules(
        scanType="ENHANCED",
        rules=[{"scanFrequency": "CONTINUOUS_SCAN", "repositoryFilters": elsewhere}],
    )
    repo.image("v1")
    assert configure(repo.sandbox, repo.name, response(finding("HIGH")), "--rescan") == 0
    assert configuration(repo, ecr)["scanFrequency"] == "MANUAL"
    assert refusal(describe, repo, ecr) == "ScanNotFoundException"


def test_each_kind_of_scanning_reads_its_own_results(repo: Repository, ecr: Any, rules: Any) -> None:
    repo.image("v1")
    eventually(lambda: repo.events("ECR Image Scan"))
    rules(scanType="ENHANCED", rules=[])
    assert refusal(describe, repo, ecr) == "ScanNotFoundException"
    rules(scanType="ENHANCED", rules=[{"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": EVERY}])
    # What is there already is taken up by Inspector.
    active(repo, ecr)
    assert len(inspected(repo)) == 1
    rules(scanType="BASIC", rules=[])
    assert describe(repo, ecr)["imageScanStatus"]["status"] == "COMPLETE"
