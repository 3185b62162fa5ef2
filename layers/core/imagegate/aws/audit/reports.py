"""Reports of the audit in S3. The key is always the same: the bucket's versions are the history."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from imagegate.audit.report import AuditReport
from imagegate.aws.clients import client, translated
from imagegate.errors import AccessRefusedError, ImageGateError, RecordNotFoundError, RejectedInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY = "audit/report.json"
_MOST_EARLIER = 12
_ERRORS: Mapping[str, type[ImageGateError]] = {
    "NoSuchKey": RecordNotFoundError,
    "AccessDenied": AccessRefusedError,
}


class S3AuditReports:
    """The latest report of this stack's registry in the records bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self.name = f"s3://{bucket}/{_KEY}"

    def latest(self) -> AuditReport | None:
        """Return the latest report, or None if there is none yet. Raises `AccessRefusedError`.

        The caller needs s3:ListBucket: without it, S3 refuses a key that does not exist.
        """
        try:
            with translated(_ERRORS, subject=self.name):
                response = client("s3").get_object(Bucket=self._bucket, Key=_KEY)
        except RecordNotFoundError:
            return None
        return AuditReport.from_document(json.loads(response["Body"].read()))

    def earlier(self) -> list[AuditReport]:
        """Return some of all stored reports, evenly spaced, the oldest first. Raises `AccessRefusedError`.

        Reports of a schema that this version does not know are left out.
        """
        s3 = client("s3")
        with translated(_ERRORS, subject=self.name):
            pages = s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=_KEY)
            versions = [one["VersionId"] for page in pages for one in page.get("Versions", ())]
            step = max(1, -(-len(versions) // _MOST_EARLIER))
            chosen = list(reversed(versions[::step]))
            contents = [
                s3.get_object(Bucket=self._bucket, Key=_KEY, VersionId=version)["Body"].read()
                for version in chosen
            ]
        return list(_readable(contents))

    def keep(self, report: AuditReport) -> str:
        """Store the report as the latest one, and return its version. Raises `AccessRefusedError`."""
        with translated(_ERRORS, subject=self.name):
            response = client("s3").put_object(
                Bucket=self._bucket, Key=_KEY, Body=report.to_bytes(), ContentType="application/json"
            )
        return str(response.get("VersionId", ""))


def _readable(contents: Iterable[bytes]) -> Iterator[AuditReport]:
    for content in contents:
        with suppress(RejectedInputError, ValueError):
            yield AuditReport.from_document(json.loads(content))
