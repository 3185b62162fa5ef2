"""AWS KMS: approval links, which it authenticates with a key that never leaves it, and the keys of aliases.

Source: AWS KMS API reference, GenerateMac, VerifyMac, DescribeKey.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from imagegate.aws.clients import client, translated
from imagegate.errors import AccessRefusedError, MissingKeyError
from imagegate.grants.approval_link import ApprovalLink, LinkRefusedError, parse_link

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_ALGORITHM: Literal["HMAC_SHA_256"] = "HMAC_SHA_256"


class KmsApprovalLinks:
    """Links to the page whose address `page` returns; it is called only to make links."""

    def __init__(self, key: str, page: Callable[[], str]) -> None:
        self._key = key
        self._page = page

    def link(self, link: ApprovalLink) -> str:
        with translated({}, subject="approval link"):
            mac = _kms().generate_mac(KeyId=self._key, MacAlgorithm=_ALGORITHM, Message=link.signed)
        return f"{self._page().rstrip('/')}/?t={link.token(mac['Mac'])}"

    def read(self, token: str, now: datetime) -> ApprovalLink:
        """Read and verify a link. Malformed and expired links are refused without a call to KMS."""
        link, mac = parse_link(token, now)
        refusals = {"KMSInvalidMacException": LinkRefusedError}
        try:
            with translated(refusals):
                _kms().verify_mac(KeyId=self._key, MacAlgorithm=_ALGORITHM, Message=link.signed, Mac=mac)
        except LinkRefusedError as error:
            message = "this link was not made by this gate, or it was changed on its way"
            raise LinkRefusedError(message) from error
        return link


def key_of_alias(alias: str) -> str:
    """Return the ARN of the key of `alias/NAME`. Raises `MissingKeyError` or `AccessRefusedError`."""
    refusals = {"NotFoundException": MissingKeyError, "AccessDeniedException": AccessRefusedError}
    with translated(refusals, subject=alias):
        return _kms().describe_key(KeyId=alias)["KeyMetadata"]["Arn"]


def _kms() -> KMSClient:
    kms: KMSClient = client("kms")
    return kms
