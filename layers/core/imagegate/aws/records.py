"""Documents in S3: policies and records, content-addressed (a key is written once), and the SBOMs of Inspector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from imagegate.aws.clients import client, translated
from imagegate.errors import (
    AccessRefusedError,
    RecordNotFoundError,
    SbomRefusedError,
    ThrottledError,
    UnreadableRecordError,
)
from imagegate.oci.image import Digest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from imagegate.baseline.section import RegistryBaseline
    from imagegate.policy.policy import Policy

_EXPORT_ERRORS = {"AccessDenied": AccessRefusedError, "NoSuchKey": RecordNotFoundError}
# Few policies are in use at a time: the deployed one, and those that running releases are pinned to.
_CACHED_POLICIES = 8
# The roles may not list the bucket, and then S3 answers AccessDenied for a missing key
# (Amazon S3 API reference, GetObject, "Permissions").
_MISSING = {"NoSuchKey": RecordNotFoundError, "AccessDenied": UnreadableRecordError}
# Another caller writes the same key now. That write may still fail, so this one has to be repeated.
_WRITTEN_NOW = {"ConditionalRequestConflict": ThrottledError}


class S3Records:
    """`decisions/sha256/HEX.json`, `findings/sha256/HEX.jsonl.gz` and `policies/sha256/HEX.yaml` in one bucket.

    `parsed`: the digest of a policy file, and that of what it was read as (`policies/sha256/HEX.msgpack`). The caller
    has checked that they belong together. Every other policy is read from its file.
    """

    def __init__(self, bucket: str, parsed: tuple[Digest, Digest] | None = None) -> None:
        self._bucket = bucket
        self._parsed = parsed
        self._policies: dict[Digest, Policy] = {}

    @property
    def uri(self) -> str:
        return f"s3://{self._bucket}"

    @property
    def _client(self) -> S3Client:
        s3: S3Client = client("s3")
        return s3

    def put_decision(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        self._put(_decision_key(digest), content, "application/json")
        return digest

    def decision(self, digest: Digest) -> bytes:
        return self._get(_decision_key(digest), digest)

    def put_findings(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        self._put(_findings_key(digest), content, "application/gzip")
        return digest

    def findings(self, digest: Digest) -> bytes:
        return self._get(_findings_key(digest), digest)

    def put_later_findings(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        self._put(_later_findings_key(digest), content, "application/gzip")
        return digest

    def later_findings(self, digest: Digest) -> bytes:
        return self._get(_later_findings_key(digest), digest)

    def put_waivers(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        self._put(f"waivers/sha256/{digest.hex}.json", content, "application/json")
        return digest

    def put_cleanup(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        self._put(_cleanup_key(digest), content, "application/json")
        return digest

    def cleanup(self, digest: Digest) -> bytes:
        return self._get(_cleanup_key(digest), digest)

    def put_policy(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        self._put(_policy_key(digest), content, "application/yaml")
        return digest

    def put_parsed(self, policy: Policy, baseline: RegistryBaseline) -> Digest:
        from imagegate.policy.file.parsed import write_parsed

        content = write_parsed(policy, baseline)
        digest = Digest.of(content)
        self._put(_parsed_key(digest), content, "application/msgpack")
        return digest

    def policy_content(self, digest: Digest) -> bytes:
        return self._get(_policy_key(digest), digest)

    def policy(self, digest: Digest) -> Policy:
        if digest not in self._policies:
            policy = self._read_parsed_policy(digest) or self._read_policy_file(digest)
            if len(self._policies) >= _CACHED_POLICIES:
                self._policies.clear()
            self._policies[digest] = policy
        return self._policies[digest]

    def baseline(self, digest: Digest) -> RegistryBaseline:
        """Return the section `baseline` of a policy. Raises the same errors as `decision`."""
        from imagegate.policy.file.parsed import read_baseline

        content = self._parsed_content(digest)
        baseline = None if content is None else read_baseline(content)
        if baseline is not None:
            return baseline
        from imagegate.policy.file.load import parse_file

        return parse_file(self.policy_content(digest), name=str(digest))[1]

    def _read_parsed_policy(self, digest: Digest) -> Policy | None:
        """Return the policy without its file, or None if this version has not stored what that was read as."""
        from imagegate.policy.file.parsed import read_policy

        content = self._parsed_content(digest)
        return None if content is None else read_policy(content)

    def _parsed_content(self, digest: Digest) -> bytes | None:
        """Return what a policy file was read as, or None if that is not stored: only the deployed one's is known."""
        if self._parsed is None or self._parsed[0] != digest:
            return None
        try:
            return self._get(_parsed_key(self._parsed[1]), self._parsed[1])
        except RecordNotFoundError:
            return None

    def _read_policy_file(self, digest: Digest) -> Policy:
        from imagegate.policy.file.load import parse_policy

        return parse_policy(self.policy_content(digest), name=str(digest))

    def _put(self, key: str, content: bytes, media_type: str) -> None:
        try:
            with translated(_WRITTEN_NOW, subject=f"{self.uri}/{key}"):
                self._client.put_object(
                    Bucket=self._bucket, Key=key, Body=content, ContentType=media_type, IfNoneMatch="*"
                )
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise

    def _get(self, key: str, digest: Digest) -> bytes:
        name = f"{self.uri}/{key}"
        with translated(_MISSING, subject=f"{name} is missing, or may not be read"):
            content = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return digest.check(content, name)


class S3SbomExports:
    """SBOMs in the records bucket that Inspector exported; nobody else may write there. Each release has its prefix."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    @property
    def _client(self) -> S3Client:
        s3: S3Client = client("s3")
        return s3

    def keys(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with translated(_EXPORT_ERRORS, subject=f"s3://{self._bucket}/{prefix}"):
            for page in pages:
                yield from (entry["Key"] for entry in page.get("Contents", ()))

    def document(self, key: str) -> bytes:
        """Return a file. Raises `SbomRefusedError` if it is too large, without reading it."""
        from imagegate.evidence.sbom_document import MAX_SBOM

        name = f"s3://{self._bucket}/{key}"
        with translated(_EXPORT_ERRORS, subject=name):
            response = self._client.get_object(Bucket=self._bucket, Key=key)
        if response["ContentLength"] > MAX_SBOM:
            response["Body"].close()
            raise SbomRefusedError(
                f"{name}: has {response['ContentLength']} bytes; at most {MAX_SBOM} are attached"
            )
        return response["Body"].read()


def _decision_key(digest: Digest) -> str:
    return f"decisions/sha256/{digest.hex}.json"


def _findings_key(digest: Digest) -> str:
    return f"findings/sha256/{digest.hex}.jsonl.gz"


def _later_findings_key(digest: Digest) -> str:
    return f"later-findings/sha256/{digest.hex}.jsonl.gz"


def _cleanup_key(digest: Digest) -> str:
    return f"cleanup/sha256/{digest.hex}.json"


def _policy_key(digest: Digest) -> str:
    return f"policies/sha256/{digest.hex}.yaml"


def _parsed_key(digest: Digest) -> str:
    return f"policies/sha256/{digest.hex}.msgpack"
