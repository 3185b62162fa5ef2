"""Inspector's exports of SBOMs, which moto lacks: each rule of sandbox/aws/inspector/sbom_exports.py is tested here."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.iam.policies import is_permitted
from sandbox.aws.iam.resource_arns import listing_keys
from tests.contract.registry_sandbox import Repository, Sandbox, serving
from tests.contract.scans import EVERY, active, configure, finding, response
from tests.contract.served_cloud import ServedCloud
from tests.patience import eventually

ACCOUNT = "123456789012"
NO_REPORT = "1a67c682-a430-4711-af1f-74c2aae48f5b"
FORMATS = ("CYCLONEDX_1_4", "SPDX_2_3")
ONLY_REPORTS = {
    "StringEquals": {"aws:SourceAccount": ACCOUNT},
    "ArnLike": {"aws:SourceArn": f"arn:aws:inspector2:eu-central-1:{ACCOUNT}:report/*"},
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with serving(tmp_path_factory.mktemp("state")) as sandbox:
        sandbox.settings.quirks.export_seconds = 0.05
        yield sandbox


@pytest.fixture(scope="module")
def inspector(sandbox: Sandbox) -> Any:
    return sandbox.client("inspector2")


def allowed(*actions: str, resource: str, **changes: Any) -> dict[str, Any]:
    principal = {"Service": "inspector2.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": resource}
    return statement | {"Condition": ONLY_REPORTS} | changes


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module")
def key(sandbox: Sandbox) -> str:
    policy = document(allowed("kms:Decrypt", "kms:GenerateDataKey*", resource="*"))
    return str(sandbox.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"])


@pytest.fixture(scope="module")
def bucket(sandbox: Sandbox) -> str:
    s3 = sandbox.client("s3")
    location = {"LocationConstraint": "eu-central-1"}
    s3.create_bucket(Bucket="exports", CreateBucketConfiguration=location)
    policy = document(allowed("s3:PutObject", resource="arn:aws:s3:::exports/sboms/*"))
    s3.put_bucket_policy(Bucket="exports", Policy=policy)
    return "exports"


@pytest.fixture(autouse=True)
def _enhanced(sandbox: Sandbox) -> Iterator[None]:
    scan(sandbox, "CONTINUOUS_SCAN")
    yield
    sandbox.client("ecr").put_registry_scanning_configuration(scanType="BASIC", rules=[])


def scan(sandbox: Sandbox, frequency: str) -> None:
    rules = [{"scanFrequency": frequency, "repositoryFilters": EVERY}]
    sandbox.client("ecr").put_registry_scanning_configuration(scanType="ENHANCED", rules=rules)


@pytest.fixture
def image(sandbox: Sandbox) -> tuple[Repository, str]:
    """Return a scanned image with one found package, and its digest."""
    repo = sandbox.repository()
    package = [{"key": "package_name", "value": "openssl"}, {"key": "package_version", "value": "3.0.1"}]
    configure(sandbox, repo.name, response(finding("HIGH", attributes=package)))
    digest = repo.image("v1")
    active(repo, sandbox.client("ecr"))
    return repo, digest


def arn(repo: Repository, digest: str) -> str:
    return f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/{repo.name}/{digest}"


def equal(*values: str) -> list[dict[str, str]]:
    return [{"comparison": "EQUALS", "value": value} for value in values]


def export_request(bucket: str, key: str, prefix: str, **criteria: Any) -> dict[str, Any]:
    destination = {"bucketName": bucket, "keyPrefix": prefix, "kmsKeyArn": key}
    wanted = {"reportFormat": "CYCLONEDX_1_4", "s3Destination": destination}
    return wanted | ({"resourceFilterCriteria": criteria} if criteria else {})


@contextmanager
def held(sandbox: Sandbox) -> Iterator[None]:
    """Hold all exports until the end of the block."""
    sandbox.settings.quirks.hold_exports = True
    try:
        yield
    finally:
        sandbox.settings.quirks.hold_exports = False


def ended(inspector: Any, report: str) -> dict[str, Any]:
    def look() -> Any:
        answer = inspector.get_sbom_export(reportId=report)
        return answer if answer["status"] != "IN_PROGRESS" else None

    found: dict[str, Any] = eventually(look)
    return found


def files(sandbox: Sandbox, prefix: str) -> dict[str, Any]:
    s3 = sandbox.client("s3")
    listed = s3.list_objects_v2(Bucket="exports", Prefix=prefix).get("Contents", [])
    return {
        one["Key"]: json.loads(s3.get_object(Bucket="exports", Key=one["Key"])["Body"].read())
        for one in listed
    }


@pytest.mark.parametrize("format_", FORMATS)
def test_an_export_takes_time_and_writes_to_the_key_that_users_report(
    sandbox: Sandbox, inspector: Any, image: Any, bucket: str, key: str, format_: str
) -> None:
    repo, digest = image
    prefix = f"sboms/{uuid.uuid4().hex}"
    wanted = export_request(bucket, key, prefix, resourceId=equal(arn(repo, digest))) | {
        "reportFormat": format_
    }
    with held(sandbox):
        report = inspector.create_sbom_export(**wanted)["reportId"]
        assert inspector.get_sbom_export(reportId=report)["status"] == "IN_PROGRESS"
        assert files(sandbox, prefix) == {}
    done = ended(inspector, report)
    assert (done["status"], done["format"], done["s3Destination"]["keyPrefix"]) == (
        "SUCCEEDED",
        format_,
        prefix,
    )
    [(name, content)] = files(sandbox, prefix).items()
    folder = f"{prefix}/{format_}_outputs_{report}/account={ACCOUNT}/resource=AWS_ECR_CONTAINER_IMAGE"
    image_name = f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository_{repo.name}_{digest}"
    assert name == f"{folder}/{image_name}_{format_}.json"
    assert digest in json.dumps(content)
    if format_ == "SPDX_2_3":
        assert (content["spdxVersion"], content["SPDXID"]) == ("SPDX-2.3", "SPDXRef-DOCUMENT")
        [package] = content["packages"]
        assert (package["name"], package["versionInfo"]) == ("openssl", "3.0.1")
    else:
        assert (content["bomFormat"], content["specVersion"]) == ("CycloneDX", "1.4")
        [component] = content["components"]
        assert (component["name"], component["version"]) == ("openssl", "3.0.1")


def test_only_the_requested_images_are_exported(
    sandbox: Sandbox, inspector: Any, image: Any, bucket: str, key: str
) -> None:
    repo, digest = image
    other = sandbox.repository()
    second = other.image("v1", b"another layer")
    active(other, sandbox.client("ecr"))
    for criteria, expected in (
        ({"resourceId": equal(arn(repo, digest), arn(other, second))}, {digest, second}),
        ({"resourceId": equal(arn(repo, second))}, set()),
        ({"ecrRepositoryName": equal(other.name)}, {second}),
        ({"ecrRepositoryName": equal(other.name), "resourceId": equal(arn(repo, digest))}, set()),
    ):
        prefix = f"sboms/{uuid.uuid4().hex}"
        report = inspector.create_sbom_export(**export_request(bucket, key, prefix, **criteria))["reportId"]
        assert ended(inspector, report)["status"] == "SUCCEEDED"
        found = {re.findall(r"sha256:[0-9a-f]{64}", name)[0] for name in files(sandbox, prefix)}
        assert found == expected


@pytest.mark.parametrize("frequency", ["SCAN_ON_PUSH", "MANUAL"])
def test_an_export_succeeds_without_a_file_where_scanning_is_not_continuous(
    sandbox: Sandbox, inspector: Any, image: Any, bucket: str, key: str, frequency: str
) -> None:
    repo, digest = image
    if frequency == "MANUAL":
        sandbox.client("ecr").put_registry_scanning_configuration(scanType="ENHANCED", rules=[])
    else:
        scan(sandbox, frequency)
    prefix = f"sboms/{uuid.uuid4().hex}"
    wanted = export_request(bucket, key, prefix, resourceId=equal(arn(repo, digest)))
    report = inspector.create_sbom_export(**wanted)["reportId"]
    assert ended(inspector, report)["status"] == "SUCCEEDED"
    assert files(sandbox, prefix) == {}


def test_a_second_export_at_a_time_is_refused_until_the_first_is_over_or_cancelled(
    sandbox: Sandbox, inspector: Any, bucket: str, key: str
) -> None:
    with held(sandbox):
        first = inspector.create_sbom_export(**export_request(bucket, key, "sboms/a"))["reportId"]
        with pytest.raises(ClientError, match="another report is in progress"):
            inspector.create_sbom_export(**export_request(bucket, key, "sboms/b"))
        assert inspector.cancel_sbom_export(reportId=first)["reportId"] == first
        assert inspector.get_sbom_export(reportId=first)["status"] == "CANCELLED"
        second = inspector.create_sbom_export(**export_request(bucket, key, "sboms/b"))["reportId"]
    assert ended(inspector, second)["status"] == "SUCCEEDED"
    assert inspector.get_sbom_export(reportId=first)["status"] == "CANCELLED"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"bucketName": "nowhere"}, "BUCKET_NOT_FOUND"),
        ({"kmsKeyArn": f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/{uuid.uuid4()}"}, "MALFORMED_KMS_KEY"),
        ({"keyPrefix": "decisions/x"}, "INVALID_PERMISSIONS"),
    ],
)
def test_an_export_that_cannot_be_written_fails_with_a_reason(
    inspector: Any, bucket: str, key: str, change: dict[str, str], error: str
) -> None:
    wanted = export_request(bucket, key, "sboms/x")
    wanted["s3Destination"] |= change
    done = ended(inspector, inspector.create_sbom_export(**wanted)["reportId"])
    assert (done["status"], done["errorCode"]) == ("FAILED", error)
    assert done["errorMessage"]


@pytest.mark.parametrize(
    "statement",
    [
        allowed("kms:GenerateDataKey*", resource="*"),
        allowed("kms:*", resource="*", Principal={"Service": "events.amazonaws.com"}),
        allowed("kms:*", resource="*", Condition={"StringEquals": {"aws:SourceAccount": "1" * 12}}),
    ],
)
def test_the_policies_of_key_and_bucket_have_to_let_inspector_in(
    sandbox: Sandbox, inspector: Any, bucket: str, statement: dict[str, Any]
) -> None:
    made = sandbox.client("kms").create_key(Policy=document(statement))["KeyMetadata"]["Arn"]
    done = ended(
        inspector, inspector.create_sbom_export(**export_request(bucket, made, "sboms/x"))["reportId"]
    )
    assert (done["status"], done["errorCode"]) == ("FAILED", "INVALID_PERMISSIONS")


@pytest.mark.parametrize(
    "change",
    [
        {"reportFormat": "CYCLONEDX_1_6"},
        {"resourceFilterCriteria": {"ecrImageTags": equal("1")}},
        {"resourceFilterCriteria": {"resourceId": equal(*map(str, range(11)))}},
        {"resourceFilterCriteria": {"resourceId": [{"comparison": "NOT_EQUALS", "value": "x"}]}},
    ],
)
def test_invalid_export_requests_are_refused(inspector: Any, bucket: str, key: str, change: Any) -> None:
    with pytest.raises(ClientError) as caught:
        inspector.create_sbom_export(**export_request(bucket, key, "sboms/x") | change)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(("report", "code"), [(NO_REPORT, "ResourceNotFound"), ("x", "Validation")])
def test_a_report_that_is_not_there_is_said(inspector: Any, report: str, code: str) -> None:
    for call in (inspector.get_sbom_export, inspector.cancel_sbom_export):
        with pytest.raises(ClientError) as caught:
            call(reportId=report)
        assert caught.value.response["Error"]["Code"] == f"{code}Exception"


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("create_sbom_export", export_request("b", f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/k", "sboms/x")),
        ("get_sbom_export", {"reportId": str(uuid.uuid4())}),
        ("get_clusters_for_image", {"filter": {"resourceId": f"arn:aws:ecr:x:{ACCOUNT}:repository/a"}}),
    ],
)
def test_each_call_needs_its_own_permission(cloud: ServedCloud, operation: str, parameters: Any) -> None:
    event = {"service": "inspector2", "operation": operation, "parameters": parameters}
    answer = cloud.invoke("Call", event)
    assert answer["code"] == "AccessDeniedException"
    name = "".join(word.capitalize() for word in operation.split("_"))
    assert answer["message"].endswith(f"to perform: inspector2:{name} on resource: *")


def test_a_listing_may_be_allowed_below_a_prefix_only() -> None:
    below = {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": "arn:aws:s3:::b",
        "Condition": {"StringLike": {"s3:prefix": "sboms/*"}},
    }
    for query, may in (
        ("list-type=2&prefix=sboms%2Fa", True),
        ("list-type=2&prefix=decisions%2F", False),
        ("list-type=2", False),
    ):
        assert is_permitted([below], "s3:ListBucket", "arn:aws:s3:::b", listing_keys(query)) is may
