"""Revocations by AWS Signer: of a signature, of the signing profile's version, or of a certificate.

Sources: AWS Signer API reference, GetRevocationStatus; AWS Signer's Notation plugin for the certificates' hashes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha384
from typing import TYPE_CHECKING, Any

from imagegate.errors import (
    ImageGateError,
    RevocationError,
    RevocationUnansweredError,
    RevokedError,
)
from imagegate.strict_json import shown

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

    from imagegate.notation.attributes import AwsSignature
    from imagegate.notation.certificates import Chain

_PLATFORM = "Notation-OCI-SHA384-ECDSA"
_REGION = re.compile(r"arn:aws[a-z0-9-]*:signer:([a-z0-9-]+):", re.ASCII)


@dataclass(frozen=True, slots=True)
class RevocationQuery:
    """The query for one signature. `certificate_hashes`: one per certificate, leaf to root."""

    signed_at: datetime
    profile_version_arn: str
    job_arn: str
    certificate_hashes: tuple[str, ...]


# Returns what was revoked: ARNs of jobs and profile versions, hashes of certificates; nothing for a valid signature.
# Raises `ImageGateError` or `OSError` if that is unknown.
Revoked = Callable[[RevocationQuery], Sequence[str]]


def revocation_query(aws: AwsSignature, signed_at: datetime, chain: Chain) -> RevocationQuery:
    """Return the query. A certificate's hash is the SHA-384 of its signed part and its issuer's, in hex."""
    parts = [sha384(certificate.tbs_certificate_bytes).hexdigest() for certificate in chain]
    pairs = zip(parts, [*parts[1:], parts[-1]], strict=True)
    hashes = tuple(own + issuer for own, issuer in pairs)
    return RevocationQuery(signed_at, aws.profile_version_arn, aws.job_arn, hashes)


def check_revocation(query: RevocationQuery, revoked: Revoked | None) -> None:
    """Raise `RevokedError` if something was revoked, another `RevocationError` if that is unknown."""
    if revoked is None:
        raise RevocationError("nobody was asked whether AWS Signer has revoked it")
    try:
        entities = revoked(query)
    except RevocationError:
        raise
    except (ImageGateError, OSError) as error:
        raise RevocationError(f"AWS Signer could not be asked: {error}") from error
    if entities:
        raise RevokedError(f"revoked: {shown(', '.join(entities))}")


class AwsRevocations:
    """A `Revoked` that queries AWS Signer in the profile's region. It needs `signer:GetRevocationStatus`."""

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}

    def __call__(self, query: RevocationQuery) -> Sequence[str]:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
        from botocore.exceptions import ConnectionError as NoConnectionError
        from botocore.parsers import ResponseParserError

        try:
            response = self._client_in(_region_of(query)).get_revocation_status(
                signatureTimestamp=query.signed_at,
                platformId=_PLATFORM,
                profileVersionArn=query.profile_version_arn,
                jobArn=query.job_arn,
                certificateHashes=sorted(query.certificate_hashes),
            )
        except (HTTPClientError, NoConnectionError, ResponseParserError) as error:
            raise RevocationUnansweredError(f"GetRevocationStatus failed: {error}") from error
        except ClientError as error:
            raise _failed(error) from error
        except NoCredentialsError as error:
            raise RevocationError("AWS Signer cannot be asked without AWS credentials: sign in") from error
        except BotoCoreError as error:
            raise RevocationError(f"GetRevocationStatus failed: {error}") from error
        except (AttributeError, RecursionError, TypeError, ValueError) as error:
            # The SDK's parser raises these for JSON of another shape.
            raise RevocationError(f"GetRevocationStatus gave no answer that can be read: {error}") from error
        return [str(entity) for entity in response.get("revokedEntities") or ()]

    def _client_in(self, region: str) -> Any:
        if region not in self._clients:
            self._clients[region] = _make_client(region)
        return self._clients[region]


def _make_client(region: str) -> Any:
    from botocore.config import Config
    from botocore.session import Session

    config = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=3, read_timeout=10)
    client = Session().create_client("signer", region_name=region, config=config)
    # The SDK puts `data-` before every host, but only AWS's own hosts have that name.
    client.meta.config.inject_host_prefix = client.meta.endpoint_url.startswith("https://signer")
    client.meta.events.register("after-call.signer.GetRevocationStatus", _check_response)
    return client


def _region_of(query: RevocationQuery) -> str:
    """Return the profile's region, which alone knows its revocations. The caller may be in another one."""
    match = _REGION.match(query.profile_version_arn)
    if match is None:
        raise RevocationError(f"not the ARN of a signing profile: {shown(query.profile_version_arn)}")
    return match[1]


def _failed(error: ClientError) -> RevocationError:
    """Return a retryable error for throttling and faults of the service, a final one for a refusal."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    is_throttled = status == 429 or error.response.get("Error", {}).get("Code") == "ThrottlingException"
    kind = RevocationUnansweredError if is_throttled or status >= 500 else RevocationError
    return kind(f"GetRevocationStatus failed: {error}")


def _check_response(http_response: Any, **_: Any) -> None:
    """Raise `RevocationError` for a malformed body, which the SDK would read as: nothing was revoked."""
    if http_response.status_code >= 300:
        return
    try:
        body = json.loads(http_response.content)
    except (ValueError, RecursionError) as error:
        raise RevocationError("GetRevocationStatus answered something that is not JSON") from error
    entities = body.get("revokedEntities", []) if isinstance(body, dict) else None
    if not isinstance(entities, list):
        raise RevocationError("GetRevocationStatus answered JSON of another shape")
