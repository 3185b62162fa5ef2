"""The checks of requests to AWS Signer, with its refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from moto.core.exceptions import ServiceException

from sandbox.aws.signer.notation import PAYLOAD_TYPE

MAX_PAYLOAD_BYTES = 4096
_HASH = re.compile(r"[0-9a-f]{192}")


class SignerError(ServiceException):
    """An exception of Signer's API: code and message."""


def check_payload(payload: bytes, payload_format: str) -> None:
    if not 1 <= len(payload) <= MAX_PAYLOAD_BYTES:
        raise invalid(f"The payload has {len(payload)} bytes; 1 to {MAX_PAYLOAD_BYTES} are signed")
    if payload_format != PAYLOAD_TYPE:
        raise invalid(f"Invalid payload format: {payload_format}")
    try:
        target = json.loads(payload)["targetArtifact"]
        is_complete = {"mediaType", "digest", "size"} <= set(target)
    except (ValueError, KeyError, TypeError):
        is_complete = False
    if not is_complete:
        raise invalid("The payload is not a Notation payload with a complete targetArtifact")


def check_hashes(values: Iterable[str], hashes: frozenset[str] | None) -> None:
    values = set(values)
    if not values or not all(_HASH.fullmatch(value) for value in values):
        raise invalid("certificateHashes must be pairs of SHA-384 digests in hexadecimal")
    if hashes is not None and values != hashes:
        raise invalid("certificateHashes are not those of the certificates that signed this job")


def parse_time(value: str | float) -> datetime:
    """Parse a timestamp: text in queries, seconds in bodies."""
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return datetime.fromtimestamp(value, UTC)


def invalid(message: str) -> SignerError:
    return SignerError("ValidationException", message)


def not_found(message: str) -> SignerError:
    return SignerError("ResourceNotFoundException", message)
