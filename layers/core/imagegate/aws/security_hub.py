"""AWS Security Hub: creates and updates findings of the account's default product."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imagegate.aws.clients import client, translated
from imagegate.errors import AccessRefusedError, ImageGateError

# AWS Security Hub partner guide, "Guidelines for using the BatchImportFindings API".
_FINDINGS_A_CALL, _BYTES_A_CALL, _BYTES_A_FINDING = 100, 6_000_000, 240_000
_ERRORS: Mapping[str, type[ImageGateError]] = {
    "AccessDeniedException": AccessRefusedError,
    "InvalidAccessException": AccessRefusedError,  # Security Hub is not enabled in this account and Region
}


class AwsSecurityHub:
    """The Security Hub of this account and Region."""

    def send(self, findings: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """Create the findings, or replace those of the same ids. Return the ids that are refused, and why.

        Raises `AccessRefusedError` if Security Hub is not enabled, or if the permission is missing.
        """
        sizes = {finding["Id"]: len(json.dumps(finding)) for finding in findings}
        refused = {
            name: f"InvalidInput: {size} bytes" for name, size in sizes.items() if size > _BYTES_A_FINDING
        }
        for some in _batches([one for one in findings if one["Id"] not in refused], sizes):
            with translated(_ERRORS, subject="Security Hub"):
                response = client("securityhub").batch_import_findings(Findings=some)
            for one in response.get("FailedFindings", ()):
                refused[one["Id"]] = f"{one['ErrorCode']}: {one['ErrorMessage']}"
        return refused


def _batches(
    findings: Sequence[Mapping[str, Any]], sizes: Mapping[str, int]
) -> Iterator[list[Mapping[str, Any]]]:
    """Yield the findings in as few calls as the limits allow."""
    batch: list[Mapping[str, Any]] = []
    size = 0
    for finding in findings:
        more = sizes[finding["Id"]]
        if batch and (len(batch) == _FINDINGS_A_CALL or size + more > _BYTES_A_CALL):
            yield batch
            batch, size = [], 0
        batch.append(finding)
        size += more
    if batch:
        yield batch
