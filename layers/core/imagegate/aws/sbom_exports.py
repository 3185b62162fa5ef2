"""What Amazon Inspector wrote into the records bucket for its exports of SBOMs. Nobody else may write there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imagegate.aws.clients import client, translated
from imagegate.errors import AccessRefusedError, RecordNotFoundError, SbomRefusedError
from imagegate.evidence.sbom_document import MAX_SBOM

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ERRORS = {"AccessDenied": AccessRefusedError, "NoSuchKey": RecordNotFoundError}


class S3SbomExports:
    """One bucket; the prefix of an export is its release's."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    @property
    def _client(self) -> S3Client:
        made: S3Client = client("s3")
        return made

    def keys(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with translated(_ERRORS, asked=f"s3://{self._bucket}/{prefix}"):
            for page in pages:
                yield from (found["Key"] for found in page.get("Contents", ()))

    def document(self, key: str) -> bytes:
        """Raise `SbomRefusedError` when it is too large; what is not read is left in the connection."""
        name = f"s3://{self._bucket}/{key}"
        with translated(_ERRORS, asked=name):
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
        if answer["ContentLength"] > MAX_SBOM:
            answer["Body"].close()
            raise SbomRefusedError(
                f"{name}: has {answer['ContentLength']} bytes; at most {MAX_SBOM} are attached"
            )
        return answer["Body"].read()
