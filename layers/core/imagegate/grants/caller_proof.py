"""Proof of who calls: a request to AWS STS that only the caller can have signed. It is rebuilt here, never accepted.

A client sends only a date, the id of its access key and a signature; the form of each is checked. They are put into the
one request that is possible: GetCallerIdentity, at STS of the function's own Region, with the called function and the
digest of the exact request body among the signed headers. Pure: nothing here does I/O.

Sources: AWS Signature Version 4 ("Create a signed AWS API request"), AWS STS API reference (GetCallerIdentity).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self
from urllib.parse import urlsplit
from xml.etree import ElementTree

from imagegate.errors import AccessRefusedError
from imagegate.oci.image import Digest

# Between the signature and its use; STS itself would take 15 minutes.
SKEW = timedelta(minutes=2)
# How far in the future a request may expire.
LONGEST_LIFE = timedelta(minutes=10)
# How long a proof is remembered: longer than STS accepts its signature.
REMEMBERED = timedelta(minutes=30)
LONGEST_ANSWER = 16 << 10  # bytes
BODY = b"Action=GetCallerIdentity&Version=2011-06-15"

_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_AUDIENCE, _REQUEST = "x-imagegate-audience", "x-imagegate-request"
_TOKEN = "x-amz-security-token"  # noqa: S105 - the name of a header
_NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"
_SUFFIXES = {"aws-cn": "amazonaws.com.cn"}
_FUNCTION = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):lambda:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):function:"
    r"(?P<name>[A-Za-z0-9_-]+)(:(?P<alias>[A-Za-z0-9_$-]+))?"
)
_FIELDS = {
    "date": re.compile(r"[0-9]{8}T[0-9]{6}Z"),
    "access_key_id": re.compile(r"[A-Za-z0-9_]{16,128}"),
    "signature": re.compile(r"[0-9a-f]{64}"),
    "session_token": re.compile(r"[A-Za-z0-9+/=_-]{0,8192}"),
}
_FIELDS_OF_RESPONSE = ("Arn", "UserId", "Account")


class ProofRefusedError(AccessRefusedError):
    """The proof of who calls is not valid. The message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Audience:
    """The called function, with the alias that it is called by. A proof for one audience is not valid for another."""

    arn: str
    partition: str
    region: str
    account: str
    alias: str

    @classmethod
    def parse(cls, arn: str) -> Self:
        """Read `arn:aws:lambda:REGION:ACCOUNT:function:NAME:ALIAS`. Raises `ProofRefusedError`."""
        match = _FUNCTION.fullmatch(arn)
        if match is None:
            raise ProofRefusedError(f"not the ARN of a function: {arn!r}")
        return cls(arn, match["partition"], match["region"], match["account"], match["alias"] or "")

    @property
    def sts(self) -> str:
        """The endpoint of STS in the function's Region."""
        return f"https://sts.{self.region}.{_SUFFIXES.get(self.partition, 'amazonaws.com')}"


@dataclass(frozen=True, slots=True)
class IdentityRequest:
    """A POST to STS; names of headers are in lower case."""

    url: str
    headers: Mapping[str, str]
    body: bytes = BODY


@dataclass(frozen=True, slots=True)
class Proof:
    """The proof that a client sends. Holding one means that its fields are safe in headers."""

    date: str
    access_key_id: str
    signature: str
    session_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name, form in _FIELDS.items():
            value = getattr(self, name)
            if not isinstance(value, str) or not form.fullmatch(value):
                raise ProofRefusedError(f"the proof of who calls has no proper {name.replace('_', ' ')}")

    def check_date(self, now: datetime) -> None:
        """Raise `ProofRefusedError` unless it was signed within two minutes of now."""
        try:
            signed = datetime.strptime(self.date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError as error:
            raise ProofRefusedError("the proof of who calls has no proper date") from error
        if abs(now - signed) > SKEW:
            raise ProofRefusedError(
                f"the proof of who calls was signed at {signed:%Y-%m-%d %H:%M:%S} UTC, and it is "
                f"{now:%Y-%m-%d %H:%M:%S} UTC here: set the clock, and ask again"
            )

    def request(self, audience: Audience, text: str, endpoint: str) -> IdentityRequest:
        """Return the only request that this can be the signature of. `text`: the request to the function, exactly."""
        unsigned = identity_request(audience, text, endpoint)
        headers = {**unsigned.headers, "x-amz-date": self.date}
        if self.session_token:
            headers[_TOKEN] = self.session_token
        names = ";".join(sorted([*headers, "host"]))
        scope = f"{self.access_key_id}/{self.date[:8]}/{audience.region}/sts/aws4_request"
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={self.signature}"
        )
        return IdentityRequest(unsigned.url, headers)


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of the signer, from STS. A user or role that is created again has another `user_id`."""

    arn: str
    user_id: str
    account: str


# The identity of a caller who has a link: the link says who that is.
NOBODY = Identity("", "", "")


def identity_request(audience: Audience, text: str, endpoint: str) -> IdentityRequest:
    """Return the request that a client signs with its own key. `text`: its request to the audience, exactly."""
    headers = {
        "content-type": _FORM,
        _AUDIENCE: audience.arn,
        _REQUEST: str(Digest.of(text.encode())),
    }
    parts = urlsplit(endpoint)
    return IdentityRequest(f"{parts.scheme}://{parts.netloc}/", headers)


def read_identity(content: bytes) -> Identity:
    """Read the response of STS to GetCallerIdentity. Raises `ProofRefusedError` for anything else."""
    try:
        text = content.decode()
        if len(content) > LONGEST_ANSWER or "<!" in text:  # no document type, and so no entities
            raise ProofRefusedError("STS answered with something else than an identity")
        root = ElementTree.fromstring(text)  # noqa: S314 - see above
    except (ValueError, ElementTree.ParseError) as error:
        raise ProofRefusedError(f"the answer of STS cannot be read: {error}") from error
    results = root.findall(f"{_NAMESPACE}GetCallerIdentityResult")
    if root.tag != f"{_NAMESPACE}GetCallerIdentityResponse" or len(results) != 1:
        raise ProofRefusedError("STS answered to something else than GetCallerIdentity")
    values = {name: results[0].findall(f"{_NAMESPACE}{name}") for name in _FIELDS_OF_RESPONSE}
    texts = [elements[0].text or "" for elements in values.values() if len(elements) == 1]
    if len(texts) != len(_FIELDS_OF_RESPONSE) or not all(texts):
        raise ProofRefusedError("STS does not say who signed")
    return Identity(*texts)
