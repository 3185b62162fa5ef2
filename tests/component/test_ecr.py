"""ECR: what its answers mean to us. Its answers are stubbed, with botocore checking their shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from imagegate.aws import clients as aws
from imagegate.aws.ecr.images import EcrImages
from imagegate.aws.ecr.scans import EcrScans
from imagegate.errors import (
    AccessRefusedError,
    CorruptContentError,
    FindingsChangedError,
    ImageNotFoundError,
    RejectedInputError,
    ScanRefusedError,
    ThrottledError,
)
from imagegate.findings.ecr import parse_basic_finding, parse_enhanced_finding
from imagegate.findings.finding import Finding, FindingCounts, Package, Severity
from imagegate.findings.scan import Basis, Readiness, Scanning, ScanProgress
from imagegate.oci.image import MANIFEST_MEDIA_TYPES, OCI_MANIFEST, Digest, ImageRef
from imagegate.ports.images import Images, Scans

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
NOW = datetime(2026, 11, 21, 7, 52, 38, tzinfo=UTC)
CONTENT = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": str(Digest.of(b"config")),
            "size": 6,
        },
        "layers": [],
    },
    indent=3,
)
IMAGE = ImageRef("shop-dev", Digest.of(CONTENT.encode()))
BY_DIGEST = {"imageDigest": str(IMAGE.digest)}
NAMED = {"repositoryName": "shop-dev", "imageIds": [BY_DIGEST]}
GET = {**NAMED, "acceptedMediaTypes": list(MANIFEST_MEDIA_TYPES)}
SCAN = {"repositoryName": "shop-dev", "imageId": BY_DIGEST}

pytestmark = pytest.mark.usefixtures("aws_account")


@pytest.fixture
def stub(aws_account: None) -> Iterator[Stubber]:
    with Stubber(aws.client("ecr")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def images() -> EcrImages:
    made = EcrImages(REGISTRY)
    _images: Images = made
    return made


@pytest.fixture
def scans(images: EcrImages) -> EcrScans:
    made = EcrScans(images)
    _scans: Scans = made
    return made


def head(status: str, found: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {"imageScanStatus": {"status": status, **more}}
    return answer | ({"imageScanFindings": found} if found is not None else {})


# images


def test_facts_are_read_from_ecrs_description(images: EcrImages, stub: Stubber) -> None:
    detail = {
        "imageTags": ["v1", "latest"],
        "imagePushedAt": NOW,
        "imageManifestMediaType": OCI_MANIFEST,
        "artifactMediaType": "application/vnd.oci.image.config.v1+json",
        "imageSizeInBytes": 42,
    }
    stub.add_response("describe_images", {"imageDetails": [detail]}, NAMED)
    facts = images.facts(IMAGE)
    assert facts.tags == {"v1", "latest"}
    assert (facts.image, facts.pushed_at, facts.size) == (IMAGE, NOW, 42)
    assert facts.media_type == OCI_MANIFEST


def test_an_untagged_image_has_no_tags(images: EcrImages, stub: Stubber) -> None:
    stub.add_response("describe_images", {"imageDetails": [{"imagePushedAt": NOW}]}, NAMED)
    assert images.facts(IMAGE).tags == frozenset()


@pytest.mark.parametrize("code", ["ImageNotFoundException", "RepositoryNotFoundException"])
def test_an_image_that_is_gone_is_named(images: EcrImages, scans: EcrScans, stub: Stubber, code: str) -> None:
    registry = {"scanningConfiguration": {"scanType": "BASIC", "rules": []}}
    stub.add_client_error("describe_images", code)
    stub.add_response("get_registry_scanning_configuration", registry, {})
    stub.add_client_error("describe_image_scan_findings", code)
    for ask in (images.facts, scans.status):
        with pytest.raises(ImageNotFoundError, match="shop-dev@sha256:"):
            ask(IMAGE)


def test_an_answer_without_the_image_is_no_image(images: EcrImages, stub: Stubber) -> None:
    stub.add_response("describe_images", {"imageDetails": []}, NAMED)
    stub.add_response("batch_get_image", {"images": [], "failures": []}, GET)
    with pytest.raises(ImageNotFoundError):
        images.facts(IMAGE)
    with pytest.raises(ImageNotFoundError):
        images.manifest(IMAGE)


def test_other_errors_of_ecr_are_not_ours(images: EcrImages, stub: Stubber) -> None:
    stub.add_client_error("describe_images", "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        images.facts(IMAGE)


def test_throttling_is_tried_again(images: EcrImages, stub: Stubber) -> None:
    stub.add_client_error("batch_get_image", "ThrottlingException")
    with pytest.raises(ThrottledError):
        images.manifest(IMAGE)


def test_a_manifest_keeps_its_exact_bytes(images: EcrImages, stub: Stubber) -> None:
    found = {"imageManifest": CONTENT, "imageManifestMediaType": OCI_MANIFEST, "imageId": BY_DIGEST}
    stub.add_response("batch_get_image", {"images": [found]}, GET)
    manifest = images.manifest(IMAGE)
    assert (manifest.content, manifest.media_type) == (CONTENT.encode(), OCI_MANIFEST)


def test_a_manifest_with_other_bytes_is_refused(images: EcrImages, stub: Stubber) -> None:
    found = {"imageManifest": CONTENT + " ", "imageManifestMediaType": OCI_MANIFEST, "imageId": BY_DIGEST}
    stub.add_response("batch_get_image", {"images": [found]}, GET)
    with pytest.raises(CorruptContentError, match="shop-dev@sha256:"):
        images.manifest(IMAGE)


def test_a_manifest_that_cannot_be_had_is_no_missing_image(images: EcrImages, stub: Stubber) -> None:
    failure = {"imageId": BY_DIGEST, "failureCode": "KmsError", "failureReason": "the key is disabled"}
    stub.add_response("batch_get_image", {"failures": [failure]}, GET)
    with pytest.raises(RejectedInputError, match="KmsError: the key is disabled") as raised:
        images.manifest(IMAGE)
    assert not isinstance(raised.value, ImageNotFoundError)


def test_a_tag_points_to_a_digest_or_to_nothing(images: EcrImages, stub: Stubber) -> None:
    stub_scan_answer = {**GET, "imageIds": [{"imageTag": "v1"}]}
    failure = {"imageId": {"imageTag": "v1"}, "failureCode": "ImageNotFound", "failureReason": "none"}
    stub.add_response(
        "batch_get_image", {"images": [{"imageId": {**BY_DIGEST, "imageTag": "v1"}}]}, stub_scan_answer
    )
    stub.add_response("batch_get_image", {"images": [], "failures": [failure]}, stub_scan_answer)
    stub.add_client_error("batch_get_image", "RepositoryNotFoundException", expected_params=stub_scan_answer)
    answers = [images.digest_of("shop-dev", "v1") for _ in range(3)]
    assert answers == [IMAGE.digest, None, None]


# scans


PUSHED, LATER = NOW - timedelta(minutes=1), NOW
DETAIL = {"imagePushedAt": PUSHED, "imageTags": ["v1"]}
ARN = f"arn:aws:ecr:us-east-1:123456789012:repository/shop-dev/{IMAGE.digest}"
DATED: dict[str, Any] = {"imageScanCompletedAt": LATER}
HIGH: dict[str, Any] = {"findingSeverityCounts": {"HIGH": 1}}
CLEAN: dict[str, Any] = {"findingSeverityCounts": {}, "findings": []}
# The bodies that users have recorded seconds before the findings came (aws-sdk issue 289, aws-cli issue 6759).
EARLY = (
    head("COMPLETE", {"findings": []}, description="The scan was completed successfully."),
    head("ACTIVE", {"findings": []}, description="Continuous scan is selected for image."),
)


@pytest.fixture
def inspector(aws_account: None) -> Iterator[Stubber]:
    with Stubber(aws.client("inspector2")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def scanned_by(stub: Stubber, kind: str = "BASIC") -> None:
    registry = {"scanningConfiguration": {"scanType": kind, "rules": []}}
    stub.add_response("get_registry_scanning_configuration", registry, {})


def stub_scan_answer(stub: Stubber, answer: dict[str, Any] | None, kind: str = "BASIC") -> None:
    """Set ECR's answer to a question about a scan, or none."""
    scanned_by(stub, kind)
    if answer is None:
        stub.add_client_error("describe_image_scan_findings", "ScanNotFoundException")
        return
    stub.add_response("describe_image_scan_findings", answer, {**SCAN, "maxResults": 1})
    if answer["imageScanStatus"]["status"] in ("COMPLETE", "ACTIVE"):
        stub.add_response("describe_images", {"imageDetails": [DETAIL]}, NAMED)


def record(reason: str = "SUCCESSFUL", at: datetime | None = LATER, **changes: Any) -> dict[str, Any]:
    plain = {
        "resourceId": ARN,
        "resourceType": "AWS_ECR_CONTAINER_IMAGE",
        "accountId": "123456789012",
        "scanType": "PACKAGE",
        "scanStatus": {"statusCode": "ACTIVE", "reason": reason},
    }
    return plain | ({"lastScannedAt": at} if at else {}) | changes


def covered(inspector: Stubber, *records: dict[str, Any]) -> None:
    wanted = {"resourceId": ARN, "resourceType": "AWS_ECR_CONTAINER_IMAGE", "scanType": "PACKAGE"}
    criteria = {name: [{"comparison": "EQUALS", "value": value}] for name, value in wanted.items()}
    inspector.add_response("list_coverage", {"coveredResources": records}, {"filterCriteria": criteria})


def test_an_image_that_was_never_scanned_is_not_started(scans: EcrScans, stub: Stubber) -> None:
    stub_scan_answer(stub, None)
    assert scans.status(IMAGE).readiness is Readiness.NOT_STARTED


@pytest.mark.parametrize(
    ("answer", "readiness"),
    [
        (head("PENDING"), Readiness.NOT_YET),
        (head("IN_PROGRESS"), Readiness.NOT_YET),
        (head("COMPLETE", {**CLEAN, **DATED}), Readiness.READY),
        (head("COMPLETE", CLEAN), Readiness.NOT_YET),
        (head("COMPLETE", {"findings": [], **DATED}), Readiness.NOT_YET),
        (head("COMPLETE", {**CLEAN, "imageScanCompletedAt": PUSHED - timedelta(days=1)}), Readiness.NOT_YET),
        (head("COMPLETE"), Readiness.NOT_YET),
        *[(early, Readiness.NOT_YET) for early in EARLY],
        (head("COMPLETE", {**HIGH, **DATED, "findings": []}), Readiness.NOT_YET),
        (head("COMPLETE", {**HIGH, **DATED, "findings": [{}]}), Readiness.READY),
        (head("COMPLETE", {**HIGH, **DATED, "enhancedFindings": [{}]}), Readiness.NOT_YET),
        (head("ACTIVE", {**HIGH, **DATED, "findings": [{}]}), Readiness.NOT_YET),
        (head("FAILED"), Readiness.IMPOSSIBLE),
        (head("UNSUPPORTED_IMAGE"), Readiness.IMPOSSIBLE),
        (head("SOMETHING_NEW"), Readiness.IMPOSSIBLE),
    ],
)
def test_a_basic_scan_is_ready_when_it_is_complete_with_its_date_and_its_counts(
    scans: EcrScans, stub: Stubber, answer: dict[str, Any], readiness: Readiness
) -> None:
    stub_scan_answer(stub, answer)
    assert scans.status(IMAGE).readiness is readiness


@pytest.mark.parametrize(
    ("answer", "records", "readiness"),
    [
        (head("ACTIVE", {**HIGH, **DATED, "enhancedFindings": [{}]}), [record()], Readiness.READY),
        (head("ACTIVE", {"findings": []}), [record()], Readiness.READY),  # judged after a second look
        (head("COMPLETE", {"findings": []}), [record("SCAN_FREQUENCY_SCAN_ON_PUSH")], Readiness.READY),
        *[(early, [], Readiness.NOT_YET) for early in EARLY],
        *[(early, [record("PENDING_INITIAL_SCAN", None)], Readiness.NOT_YET) for early in EARLY],
        *[(early, [record(at=PUSHED - timedelta(days=1))], Readiness.NOT_YET) for early in EARLY],
        *[(early, [record(at=None)], Readiness.NOT_YET) for early in EARLY],
        (head("ACTIVE", {**HIGH, **DATED, "findings": [{}]}), [record()], Readiness.NOT_YET),
        (head("ACTIVE", {**HIGH, "enhancedFindings": [{}]}), [record()], Readiness.NOT_YET),
        (head("ACTIVE", {**DATED, "enhancedFindings": [{}]}), [record()], Readiness.NOT_YET),
        (head("ACTIVE", CLEAN), [record(), record("SCAN_IN_PROGRESS", None)], Readiness.NOT_YET),
        (head("ACTIVE", CLEAN), [record(resourceId=ARN.rpartition("/")[0])], Readiness.NOT_YET),
        (head("ACTIVE", CLEAN), [record(scanType="CODE")], Readiness.NOT_YET),
        (head("ACTIVE", CLEAN), [record("IMAGE_SIZE_EXCEEDED", None)], Readiness.IMPOSSIBLE),
        (head("PENDING"), [record("UNSUPPORTED_MEDIA_TYPE", None)], Readiness.IMPOSSIBLE),
        (None, [], Readiness.NOT_STARTED),
        (None, [record("SCAN_FREQUENCY_MANUAL", None)], Readiness.IMPOSSIBLE),
    ],
)
def test_an_enhanced_scan_is_ready_when_inspector_says_that_it_looked_since_the_push(
    scans: EcrScans,
    stub: Stubber,
    inspector: Stubber,
    answer: dict[str, Any] | None,
    records: list[dict[str, Any]],
    readiness: Readiness,
) -> None:
    stub_scan_answer(stub, answer, "ENHANCED")
    covered(inspector, *records)
    assert scans.status(IMAGE).readiness is readiness


def test_a_refused_read_of_findings_names_all_needed_permissions(
    scans: EcrScans, stub: Stubber, inspector: Stubber
) -> None:
    """Under enhanced scanning ECR answers so where the caller lacks Inspector's permission."""
    registry = {"scanningConfiguration": {"scanType": "ENHANCED", "rules": []}}
    stub.add_response("get_registry_scanning_configuration", registry, {})
    covered(inspector)
    stub.add_client_error("describe_image_scan_findings", "AccessDeniedException")
    needed = "ecr:DescribeImageScanFindings.*inspector2:ListFindings.*inspector2:ListCoverage"
    with pytest.raises(AccessRefusedError, match=needed):
        scans.status(IMAGE)


def test_a_refused_read_of_the_coverage_names_the_permission(
    scans: EcrScans, stub: Stubber, inspector: Stubber
) -> None:
    registry = {"scanningConfiguration": {"scanType": "ENHANCED", "rules": []}}
    stub.add_response("get_registry_scanning_configuration", registry, {})
    inspector.add_client_error("list_coverage", "AccessDeniedException")
    with pytest.raises(AccessRefusedError, match="inspector2:ListCoverage and inspector2:ListFindings"):
        scans.status(IMAGE)


def test_the_head_of_a_scan_tells_counts_time_and_what_the_scanner_says(
    scans: EcrScans, stub: Stubber
) -> None:
    found = {
        "imageScanCompletedAt": NOW,
        "findingSeverityCounts": {"HIGH": 2, "UNTRIAGED": 1, "TOTAL": 3},
        "findings": [{}],
    }
    stub_scan_answer(stub, head("COMPLETE", found, description="done"))
    status = scans.status(IMAGE)
    assert status.counts == {Severity.HIGH: 2, Severity.UNDEFINED: 1}
    assert (status.completed_at, status.description) == ("2026-11-21T07:52:38Z", "done")
    assert status.pushed_at == "2026-11-21T07:51:38Z"


@pytest.mark.parametrize(
    ("basis", "other"), [(Basis.BASIC, "enhancedFindings"), (Basis.ENHANCED, "findings")]
)
def test_findings_of_the_other_scanner_never_count(
    scans: EcrScans, stub: Stubber, inspector: Stubber, basis: Basis, other: str
) -> None:
    if basis is Basis.ENHANCED:
        covered(inspector, record())
    scanned_by(stub, str(basis))
    stub.add_response("describe_image_scan_findings", head("COMPLETE", {other: [{"severity": "LOW"}]}))
    with pytest.raises(FindingsChangedError):
        list(scans.read(IMAGE, PUSHED).findings)


def test_findings_are_read_page_by_page(scans: EcrScans, stub: Stubber) -> None:
    basic = {
        "name": "CVE-1",
        "severity": "HIGH",
        "attributes": [
            {"key": "package_name", "value": "openssl"},
            {"key": "package_version", "value": "3.0"},
        ],
    }
    stub_scan_answer = {**SCAN, "maxResults": 1000}
    first = {**head("COMPLETE", {"findings": [basic]}), "nextToken": "more"}
    last = head("COMPLETE", {"findings": [{"name": "CVE-2", "severity": "UNDEFINED"}]})
    scanned_by(stub)
    stub.add_response("describe_image_scan_findings", first, stub_scan_answer)
    stub.add_response("describe_image_scan_findings", last, {**stub_scan_answer, "nextToken": "more"})
    reading = scans.read(IMAGE, PUSHED)
    assert not reading.is_one_answer
    assert list(reading.findings) == [
        Finding("CVE-1", Severity.HIGH, packages=(Package("openssl", "3.0"),)),
        Finding("CVE-2", Severity.UNDEFINED),
    ]


@pytest.mark.parametrize("pushed_at", [PUSHED, None])
def test_one_answer_has_the_status_and_the_findings(
    scans: EcrScans, stub: Stubber, pushed_at: datetime | None
) -> None:
    answer = head("COMPLETE", {**HIGH, **DATED, "findings": [{"name": "CVE-1", "severity": "HIGH"}]})
    scanned_by(stub)
    stub.add_response("describe_image_scan_findings", answer, {**SCAN, "maxResults": 1000})
    if pushed_at is None:
        stub.add_response("describe_images", {"imageDetails": [DETAIL]}, NAMED)
    reading = scans.read(IMAGE, pushed_at)
    assert reading.is_one_answer
    assert (reading.status.readiness, reading.status.counts) == (Readiness.READY, {Severity.HIGH: 1})
    assert [finding.vulnerability for finding in reading.findings] == ["CVE-1"]


@pytest.mark.parametrize(
    ("answer", "progress"),
    [
        (None, ScanProgress.NOT_STARTED),
        (head("PENDING"), ScanProgress.RUNNING),
        (head("IN_PROGRESS"), ScanProgress.RUNNING),
        (head("COMPLETE"), ScanProgress.OVER),
        (head("ACTIVE"), ScanProgress.OVER),
        (head("FAILED"), ScanProgress.OVER),
        (head("SOMETHING_NEW"), ScanProgress.OVER),
    ],
)
def test_how_far_a_scan_is_takes_one_request(
    scans: EcrScans, stub: Stubber, answer: dict[str, Any] | None, progress: ScanProgress
) -> None:
    if answer is None:
        stub.add_client_error("describe_image_scan_findings", "ScanNotFoundException")
    else:
        stub.add_response("describe_image_scan_findings", answer, {**SCAN, "maxResults": 1})
    assert scans.progress(IMAGE) is progress


def test_fifty_pages_of_findings_are_all_counted_and_none_is_kept(scans: EcrScans, stub: Stubber) -> None:
    """The service may return fewer per page than requested."""
    stub_scan_answer = {**SCAN, "maxResults": 1000}
    listed = [{"name": f"CVE-{n}", "severity": "LOW" if n else "CRITICAL"} for n in range(100)]
    scanned_by(stub)
    for page in range(50):
        more = {"nextToken": str(page + 1)} if page < 49 else {}
        wanted = {**stub_scan_answer, "nextToken": str(page)} if page else stub_scan_answer
        stub.add_response(
            "describe_image_scan_findings", {**head("COMPLETE", {"findings": listed}), **more}, wanted
        )
    tally = FindingCounts.of(scans.read(IMAGE, PUSHED).findings)
    assert tally.counts == {Severity.LOW: 4950, Severity.CRITICAL: 50}
    assert sum(map(len, tally.examples.values())) == 10


def test_a_page_that_leads_to_itself_is_a_change_and_does_not_go_on_for_ever(
    scans: EcrScans, stub: Stubber
) -> None:
    page = {**head("COMPLETE", {"findings": []}), "nextToken": "same"}
    scanned_by(stub)
    stub.add_response("describe_image_scan_findings", page, {**SCAN, "maxResults": 1000})
    stub.add_response("describe_image_scan_findings", page, {**SCAN, "maxResults": 1000, "nextToken": "same"})
    with pytest.raises(FindingsChangedError):
        list(scans.read(IMAGE, PUSHED).findings)


def test_a_page_of_an_older_scan_is_a_change_and_not_a_fault(scans: EcrScans, stub: Stubber) -> None:
    first = {**head("COMPLETE", {"findings": []}), "nextToken": "old"}
    scanned_by(stub)
    stub.add_response("describe_image_scan_findings", first, {**SCAN, "maxResults": 1000})
    stub.add_client_error("describe_image_scan_findings", "InvalidParameterException")
    with pytest.raises(FindingsChangedError):
        list(scans.read(IMAGE, PUSHED).findings)


def test_an_enhanced_finding_counts_once_however_many_packages_it_names(
    scans: EcrScans, stub: Stubber, inspector: Stubber
) -> None:
    packages = [
        {"name": "openssl", "version": "3.0", "fixedInVersion": "3.1"},
        {"name": "libssl", "version": "3.0", "fixedInVersion": "NotAvailable"},
    ]
    details = {"vulnerabilityId": "CVE-1", "vulnerablePackages": packages}
    found = [
        {"severity": "CRITICAL", "packageVulnerabilityDetails": details},
        {
            "severity": "UNTRIAGED",
            "packageVulnerabilityDetails": {"vulnerabilityId": "CVE-2", "vulnerablePackages": packages[1:]},
        },
        {"severity": "UNHEARD_OF", "title": "something else"},
    ]
    scanned_by(stub, "ENHANCED")
    covered(inspector, record())
    stub.add_response("describe_image_scan_findings", head("ACTIVE", {"enhancedFindings": found}))
    assert list(scans.read(IMAGE, PUSHED).findings) == [
        Finding("CVE-1", Severity.CRITICAL, (Package("openssl", "3.0", "3.1"), Package("libssl", "3.0"))),
        Finding("CVE-2", Severity.UNDEFINED, (Package("libssl", "3.0"),)),
        Finding("something else", Severity.UNDEFINED),
    ]


@pytest.mark.parametrize(
    ("scan_type", "repository", "scanning"),
    [
        ("BASIC", {"scanOnPush": True, "scanFrequency": "SCAN_ON_PUSH"}, Scanning.BY_ITSELF),
        ("BASIC", {"scanOnPush": False, "scanFrequency": "SCAN_ON_PUSH"}, Scanning.BY_ITSELF),
        ("BASIC", {"scanOnPush": False, "scanFrequency": "MANUAL"}, Scanning.ON_REQUEST),
        ("BASIC", {}, Scanning.ON_REQUEST),
        ("ENHANCED", {"scanFrequency": "CONTINUOUS_SCAN"}, Scanning.BY_ITSELF),
        ("ENHANCED", {"scanFrequency": "SCAN_ON_PUSH"}, Scanning.BY_ITSELF),
        ("ENHANCED", {"scanOnPush": True, "scanFrequency": "MANUAL"}, Scanning.NEVER),
        ("ENHANCED", {"scanOnPush": True}, Scanning.NEVER),
    ],
)
def test_how_a_scan_comes_about_is_in_the_scanning_configuration(
    scans: EcrScans, stub: Stubber, scan_type: str, repository: dict[str, Any], scanning: Scanning
) -> None:
    registry = {"scanningConfiguration": {"scanType": scan_type, "rules": []}}
    stub.add_response("get_registry_scanning_configuration", registry, {})
    stub.add_response(
        "batch_get_repository_scanning_configuration",
        {"scanningConfigurations": [{"repositoryName": "shop-dev", **repository}]},
        {"repositoryNames": ["shop-dev"]},
    )
    assert scans.scanning("shop-dev") is scanning


@pytest.mark.parametrize(
    ("frequency", "is_continuous"),
    [("CONTINUOUS_SCAN", True), ("SCAN_ON_PUSH", False), ("MANUAL", False)],
)
def test_a_repository_says_whether_it_is_scanned_continuously(
    scans: EcrScans, stub: Stubber, frequency: str, is_continuous: bool
) -> None:
    configuration = {"repositoryName": "shop-dev", "scanFrequency": frequency}
    stub.add_response(
        "batch_get_repository_scanning_configuration",
        {"scanningConfigurations": [configuration]},
        {"repositoryNames": ["shop-dev"]},
    )
    assert scans.is_continuous("shop-dev") is is_continuous


def test_a_repository_that_is_gone_has_no_scanning(scans: EcrScans, stub: Stubber) -> None:
    registry = {"scanningConfiguration": {"scanType": "BASIC", "rules": []}}
    failure = {"repositoryName": "shop-dev", "failureCode": "REPOSITORY_NOT_FOUND", "failureReason": "gone"}
    stub.add_response("get_registry_scanning_configuration", registry, {})
    stub.add_response("batch_get_repository_scanning_configuration", {"failures": [failure]})
    with pytest.raises(ImageNotFoundError, match="shop-dev"):
        scans.scanning("shop-dev")


def test_asking_for_a_scan_that_runs_or_ran_today_is_no_error(scans: EcrScans, stub: Stubber) -> None:
    stub.add_response("start_image_scan", {"imageScanStatus": {"status": "IN_PROGRESS"}}, SCAN)
    stub.add_client_error("start_image_scan", "LimitExceededException", expected_params=SCAN)
    assert scans.start(IMAGE)
    assert not scans.start(IMAGE)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("UnsupportedImageTypeException", "The image type is not supported"),
        ("ValidationException", "This feature is disabled"),
        ("ImageArchivedException", "The image is archived"),
    ],
)
def test_a_scan_that_ecr_will_not_do_is_refused_with_its_words(
    scans: EcrScans, stub: Stubber, code: str, message: str
) -> None:
    stub.add_client_error("start_image_scan", code, message)
    with pytest.raises(ScanRefusedError, match=f"shop-dev@sha256:.* cannot be scanned: .*{message}"):
        scans.start(IMAGE)


# what a finding says


def inspected(*packages: dict[str, Any], **more: Any) -> dict[str, Any]:
    details = {"vulnerabilityId": "CVE-2026-0001", "vulnerablePackages": list(packages)}
    return {"severity": "HIGH", "packageVulnerabilityDetails": details, **more}


@pytest.mark.parametrize(
    ("raw", "package"),
    [
        ({"version": "3.0"}, Package("p", "3.0")),
        ({"version": "3.0", "epoch": 0, "release": "25.el9"}, Package("p", "3.0-25.el9")),
        ({"version": "3.0", "epoch": 1, "release": "25.el9"}, Package("p", "1:3.0-25.el9")),
        ({"version": "3.0", "fixedInVersion": "0:3.0-26.el9"}, Package("p", "3.0", "3.0-26.el9")),
        ({"version": "3.0", "fixedInVersion": "10:3.0-26.el9"}, Package("p", "3.0", "10:3.0-26.el9")),
        ({"version": "3.0", "fixedInVersion": "NotAvailable"}, Package("p", "3.0")),
        ({"version": "3.0", "fixedInVersion": ""}, Package("p", "3.0")),
        ({"packageManager": "OS"}, Package("p")),
        ({"packageManager": "GOMOD"}, Package("p", ecosystem="golang")),
        ({"packageManager": "SOMETHING_NEW"}, Package("p")),
        ({"filePath": "a.jar", "packageManager": "JAR"}, Package("p", ecosystem="maven", path="a.jar")),
        ({"sourceLayerHash": "sha256:1"}, Package("p", layer="sha256:1")),
    ],
)
def test_a_package_is_named_as_its_distribution_names_it(raw: dict[str, Any], package: Package) -> None:
    assert parse_enhanced_finding(inspected({"name": "p", **raw})).packages == (package,)


def test_every_package_manager_of_inspector_has_an_ecosystem_but_that_of_the_operating_system() -> None:
    managers = boto3.client("inspector2").meta.service_model.shape_for("PackageManager").enum
    unknown = [
        manager
        for manager in managers
        if parse_enhanced_finding(inspected({"name": "p", "packageManager": manager})).packages[0].ecosystem
        is None
    ]
    assert unknown == ["OS"]


@pytest.mark.parametrize(
    ("said", "fixes", "fixable"),
    [
        ("YES", ["1.1"], True),
        ("YES", ["1.1", "1.2"], True),
        ("YES", ["1.1", "NotAvailable"], None),
        ("YES", [None], None),
        ("PARTIAL", ["1.1", "NotAvailable"], False),
        ("NO", ["NotAvailable"], False),
        (None, ["1.1"], None),
        ("PERHAPS", ["1.1"], None),
    ],
)
def test_a_fix_is_there_only_when_inspector_says_so_and_names_it_for_every_package(
    said: str | None, fixes: list[str | None], fixable: bool | None
) -> None:
    packages = [{"name": "p", **({"fixedInVersion": fixed} if fixed else {})} for fixed in fixes]
    raw = inspected(*packages, **({"fixAvailable": said} if said else {}))
    assert parse_enhanced_finding(raw).fixable is fixable


@pytest.mark.parametrize(("said", "exploit"), [("YES", True), ("NO", False), (None, None)])
def test_an_exploit_that_inspector_does_not_speak_of_is_unknown(
    said: str | None, exploit: bool | None
) -> None:
    assert (
        parse_enhanced_finding(inspected(**({"exploitAvailable": said} if said else {}))).exploit is exploit
    )


def test_other_names_of_a_vulnerability_are_ids_and_no_links() -> None:
    raw = inspected()
    raw["packageVulnerabilityDetails"]["relatedVulnerabilities"] = [
        *("GHSA-jfh8-c2jp-5v3q", "CVE-2026-0001", "https://nvd.nist.gov", "ALAS2-2026-1", "ALAS2-2026-1"),
    ]
    assert parse_enhanced_finding(raw).aliases == ("GHSA-jfh8-c2jp-5v3q", "ALAS2-2026-1")


@pytest.mark.parametrize(
    ("created", "published"),
    [
        (NOW, "2026-11-21T07:52:38Z"),
        ("2026-11-21T08:52:38.120000+01:00", "2026-11-21T07:52:38Z"),
        (1795247558.0, "2026-11-21T07:52:38Z"),
        ("2026-11-21", "2026-11-21"),
        ("some time ago", None),
        ("9999-12-31T23:59:59-23:00", None),
        (None, None),
    ],
)
def test_when_it_was_published_reads_alike_from_botocore_and_from_text(
    created: object, published: str | None
) -> None:
    raw = inspected()
    raw["packageVulnerabilityDetails"]["vendorCreatedAt"] = created
    assert parse_enhanced_finding(raw).published == published


def test_a_finding_of_inspector_has_its_name_its_link_and_its_epss() -> None:
    raw = inspected(findingArn="arn:aws:inspector2:::finding/1", epss={"score": 0.25})
    raw["packageVulnerabilityDetails"]["sourceUrl"] = "https://nvd.nist.gov/vuln/detail/CVE-2026-0001"
    finding = parse_enhanced_finding(raw)
    assert (finding.arn, finding.epss) == ("arn:aws:inspector2:::finding/1", 0.25)
    assert finding.url == "https://nvd.nist.gov/vuln/detail/CVE-2026-0001"


def test_basic_scanning_says_nothing_of_fixes_or_exploits() -> None:
    finding = parse_basic_finding(
        {"name": "CVE-2026-0001", "severity": "LOW", "uri": "https://cve.org", "attributes": []}
    )
    assert finding == Finding("CVE-2026-0001", Severity.LOW, url="https://cve.org")
    assert (finding.fixable, finding.exploit, finding.known_exploited, finding.epss) == (None,) * 4


def test_a_finding_without_a_name_is_a_finding() -> None:
    assert parse_enhanced_finding({}) == Finding("unnamed", Severity.UNDEFINED)
    assert parse_basic_finding({}) == Finding("unnamed", Severity.UNDEFINED)


# repositories


@pytest.fixture
def account(aws_account: None) -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("ecr")
