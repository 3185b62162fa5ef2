"""AWS STS says who signed a request that was rebuilt from a proof; DynamoDB remembers that the proof was used."""

from __future__ import annotations

import os
import uuid
from datetime import datetime
from typing import TYPE_CHECKING

import urllib3

from imagegate.aws.dynamodb import DynamoTable, key
from imagegate.errors import ServiceUnavailableError, ThrottledError
from imagegate.grants.caller_proof import (
    LONGEST_ANSWER,
    Audience,
    Identity,
    IdentityRequest,
    Proof,
    ProofRefusedError,
    read_identity,
)

if TYPE_CHECKING:
    from imagegate.oci.image import Digest

_SECONDS = 3.0
_THROTTLED, _FAULT = 429, 500


def sts_endpoint(audience: Audience) -> str:
    """Return STS of the audience's own Region, or the endpoint that AWS_ENDPOINT_URL names, as in the sandbox."""
    return os.environ.get("AWS_ENDPOINT_URL") or audience.sts


class StsIdentities:
    """Requests that were rebuilt from proofs, sent to STS only: no proxy, no redirect, no second attempt."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(total=_SECONDS), retries=False)

    def identity(self, proof: Proof, audience: Audience, request_digest: str) -> Identity:
        """Return who signed exactly this request. Raises `ProofRefusedError`, or a retryable error if STS is silent."""
        status, content = self._send(proof.request(audience, request_digest, sts_endpoint(audience)))
        if status == _THROTTLED or b"<Code>Throttling" in content:
            raise ThrottledError("STS gets too many requests to say who calls: try again")
        if status >= _FAULT:
            raise ServiceUnavailableError(f"STS answered {status} and did not say who calls: try again")
        if status != 200:
            raise ProofRefusedError(
                f"STS does not confirm who calls (HTTP {status}): the credentials have expired, "
                "or what was signed is not what was sent"
            )
        return read_identity(content)

    def _send(self, request: IdentityRequest) -> tuple[int, bytes]:
        try:
            response = self._pool.request(
                "POST",
                request.url,
                body=request.body,
                headers=dict(request.headers),
                redirect=False,
                preload_content=False,
            )
            try:
                return response.status, response.read(LONGEST_ANSWER + 1, decode_content=False)
            finally:
                response.close()
        except urllib3.exceptions.HTTPError as error:
            # The text of the error is left out: it could contain headers.
            raise ServiceUnavailableError(
                f"STS did not say who calls ({type(error).__name__}): try again"
            ) from None


class UsedProofs:
    """Proofs that were used, as items of the ledger's table: `PROOF#sha256:…` / `PROOF`. They expire."""

    def __init__(self, table: str) -> None:
        self._table = DynamoTable(table)

    def use(self, request: Digest, until: datetime) -> bool:
        """Record that the proof of this request is used. Return False if it was used before."""
        us = uuid.uuid4().hex
        item = {**key(f"PROOF#{request}", "PROOF"), "usedBy": us, "expires": int(until.timestamp())}
        # The second condition: the SDK repeats a write whose response was lost, and then finds its own item.
        return self._table.put(item, "attribute_not_exists(pk) OR usedBy = :us", {":us": us})
