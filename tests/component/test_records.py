"""Records in S3: written once, read only when the bytes are those that the digest names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from imagegate.aws import clients as aws
from imagegate.aws.records import S3Records
from imagegate.errors import CorruptContentError, RecordNotFoundError, ThrottledError
from imagegate.oci.image import Digest
from imagegate.policy.file.load import parse_file, parse_policy
from imagegate.ports.records import Records
from tests.component.policies import SAMPLES

BUCKET = "records"
POLICY = b"""version: 1
stages:
  dev: {repositories: "{app}-dev"}
baseline:
  stages: {dev: {tag_mutability: immutable}}
"""
ANOTHER = POLICY.replace(b"-dev", b"-other").replace(b"immutable", b"mutable")

pytestmark = pytest.mark.usefixtures("aws_account")


@pytest.fixture
def bucket(aws_account: None) -> Iterator[Any]:
    with mock_aws():
        s3: Any = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield s3


@pytest.fixture
def records() -> S3Records:
    made = S3Records(BUCKET)
    _port: Records = made
    return made


def versions(bucket: Any) -> list[str]:
    return [version["Key"] for version in bucket.list_object_versions(Bucket=BUCKET).get("Versions", [])]


def test_a_record_is_read_back_by_the_digest_of_its_bytes(bucket: Any, records: S3Records) -> None:
    digest = records.put_decision(b"{}")
    assert digest == Digest.of(b"{}")
    assert records.decision(digest) == b"{}"
    assert versions(bucket) == [f"decisions/sha256/{digest.hex}.json"]
    assert records.uri == "s3://records"


def test_findings_are_kept_beside_decisions_and_checked_when_they_are_read(
    bucket: Any, records: S3Records
) -> None:
    digest = records.put_findings(b"packed")
    assert records.findings(digest) == b"packed"
    assert versions(bucket) == [f"findings/sha256/{digest.hex}.jsonl.gz"]
    bucket.put_object(Bucket=BUCKET, Key=versions(bucket)[0], Body=b"other")
    with pytest.raises(CorruptContentError):
        records.findings(digest)


def test_a_record_that_is_there_is_not_written_again(bucket: Any, records: S3Records) -> None:
    digests = {records.put_decision(b"{}") for _ in range(3)} | {records.put_policy(POLICY) for _ in range(2)}
    assert len(digests) == len(versions(bucket)) == 2


def test_a_policy_is_read_as_a_policy_of_that_digest(bucket: Any, records: S3Records) -> None:
    digest = records.put_policy(POLICY)
    policy = records.policy(digest)
    assert policy.digest == digest
    assert policy.stage_of("shop-dev") is not None
    assert versions(bucket) == [f"policies/sha256/{digest.hex}.yaml"]


def test_a_policy_is_read_once_per_process(bucket: Any, records: S3Records) -> None:
    digest = records.put_policy(POLICY)
    first = records.policy(digest)
    bucket.put_object(Bucket=BUCKET, Key=versions(bucket)[0], Body=b"altered")
    assert records.policy(digest) is first


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_deployed_policy_is_read_without_its_file(bucket: Any, path: Path) -> None:
    policy, baseline = parse_file(path.read_bytes())
    parsed = S3Records(BUCKET).put_parsed(policy, baseline)
    records = S3Records(BUCKET, (policy.digest, parsed))
    assert records.policy(policy.digest) == policy
    assert list(records.policy(policy.digest).stages) == list(policy.stages)
    assert records.baseline(policy.digest) == baseline
    assert list(records.baseline(policy.digest).patterns) == list(baseline.patterns)
    assert versions(bucket) == [f"policies/sha256/{parsed.hex}.msgpack"]


# What is read of a published file.
PARTS = ("policy", "baseline")


@pytest.mark.parametrize("part", PARTS)
def test_a_parsed_file_that_was_altered_is_refused(bucket: Any, part: str) -> None:
    policy, baseline = parse_file(POLICY)
    S3Records(BUCKET).put_policy(POLICY)
    other = S3Records(BUCKET).put_parsed(*parse_file(ANOTHER))
    parsed = S3Records(BUCKET).put_parsed(policy, baseline)
    # The altered bytes are well-formed: nothing but their digest tells.
    source = {"Bucket": BUCKET, "Key": f"policies/sha256/{other.hex}.msgpack"}
    bucket.copy_object(Bucket=BUCKET, Key=f"policies/sha256/{parsed.hex}.msgpack", CopySource=source)
    with pytest.raises(CorruptContentError):
        getattr(S3Records(BUCKET, (policy.digest, parsed)), part)(policy.digest)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"\x80",
        msgspec.msgpack.encode({"digest": 1}),
        msgspec.msgpack.encode(parse_policy(ANOTHER)),  # as versions before stored it
        msgspec.msgpack.encode([parse_policy(ANOTHER)]),
        msgspec.msgpack.encode([None, None]),
    ],
)
def test_without_a_parsed_file_of_this_version_the_file_is_read(bucket: Any, content: bytes | None) -> None:
    digest = S3Records(BUCKET).put_policy(POLICY)
    parsed = Digest.of(content or b"")
    if content is not None:
        bucket.put_object(Bucket=BUCKET, Key=f"policies/sha256/{parsed.hex}.msgpack", Body=content)
    records = S3Records(BUCKET, (digest, parsed))
    assert (records.policy(digest), records.baseline(digest)) == parse_file(POLICY)


def test_another_policy_than_the_deployed_one_is_read_from_its_file(bucket: Any) -> None:
    deployed = parse_file(POLICY)
    records = S3Records(BUCKET, (deployed[0].digest, S3Records(BUCKET).put_parsed(*deployed)))
    for older in (POLICY + b"# older", ANOTHER):
        digest = records.put_policy(older)
        assert (records.policy(digest), records.baseline(digest)) == parse_file(older)


@pytest.mark.parametrize("part", PARTS)
def test_a_deployed_policy_that_is_stored_nowhere_is_missing(bucket: Any, part: str) -> None:
    digest = Digest.of(POLICY)
    for parsed in (None, (digest, Digest.of(b"parsed"))):
        with pytest.raises(RecordNotFoundError):
            getattr(S3Records(BUCKET, parsed), part)(digest)


def test_many_policies_do_not_fill_the_memory(bucket: Any, records: S3Records) -> None:
    digests = [records.put_policy(POLICY + b"#" * number) for number in range(20)]
    assert [records.policy(digest).digest for digest in digests] == digests
    assert len(records._policies) <= 8


@pytest.mark.usefixtures("bucket")
def test_a_missing_record_is_named(records: S3Records) -> None:
    digest = Digest.of(b"never written")
    for read, key in ((records.decision, "decisions"), (records.policy, "policies")):
        with pytest.raises(RecordNotFoundError, match=f"s3://records/{key}/sha256/{digest.hex}"):
            read(digest)


def test_bytes_that_were_altered_are_refused(bucket: Any, records: S3Records) -> None:
    for digest, read in (
        (records.put_decision(b"{}"), records.decision),
        (records.put_policy(POLICY), records.policy),
    ):
        key = next(key for key in versions(bucket) if digest.hex in key)
        bucket.put_object(Bucket=BUCKET, Key=key, Body=b"altered")
        with pytest.raises(CorruptContentError, match=digest.hex):
            read(digest)


def test_to_a_role_that_may_not_list_a_missing_record_looks_forbidden(records: S3Records) -> None:
    with Stubber(aws.client("s3")) as stub:
        stub.add_client_error("get_object", "AccessDenied", http_status_code=403)
        with pytest.raises(RecordNotFoundError, match="is missing, or may not be read"):
            records.decision(Digest.of(b""))


def test_a_conflicting_write_is_repeated_later(records: S3Records) -> None:
    with Stubber(aws.client("s3")) as stub:
        stub.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
        with pytest.raises(ThrottledError):
            records.put_decision(b"{}")


def test_a_write_that_is_denied_is_no_success(records: S3Records) -> None:
    with Stubber(aws.client("s3")) as stub:
        stub.add_client_error("put_object", "AccessDenied", http_status_code=403)
        with pytest.raises(ClientError, match="AccessDenied"):
            records.put_decision(b"{}")
