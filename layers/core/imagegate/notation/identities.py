"""The identities that may have signed: `trustedIdentities` of a trust policy.

Sources: notaryproject "trust-store-trust-policy" (Trusted Identities Constraints), RFC 4514; for the ARNs of signing
profiles AWS Signer's Notation plugin. The plugin ignores case in ARNs; this code does not. For the official client, two
identities overlap only if one contains the other; here they overlap as the specification says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from imagegate.errors import TrustPolicyError
from imagegate.strict_json import shown

_PREFIX = "x509.subject:"
_PROFILE = re.compile(
    r"(arn:aws[a-z0-9-]*:signer:[a-z0-9-]+:\d{12}:/signing-profiles/[A-Za-z0-9_]{2,64})(?:/([A-Za-z0-9]{10}))?",
    re.ASCII,
)
# RFC 4514, section 3, RFC 4519 and X.520.
_TYPES: Mapping[str, str] = {
    "C": "2.5.4.6",
    "CN": "2.5.4.3",
    "DC": "0.9.2342.19200300.100.1.25",
    "L": "2.5.4.7",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "POSTALCODE": "2.5.4.17",
    "S": "2.5.4.8",
    "SERIALNUMBER": "2.5.4.5",
    "ST": "2.5.4.8",
    "STREET": "2.5.4.9",
    "UID": "0.9.2342.19200300.100.1.1",
}
_REQUIRED = frozenset({_TYPES["C"], _TYPES["ST"], _TYPES["O"]})
_MAX_SUBJECT = 4096
_RDN = re.compile(r"\s*([A-Z]+)\s*=((?:[^\\,;+\"<>\0]|\\.)*)(,|\Z)", re.DOTALL)
_ESCAPED = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\([ #+,;<=>\"\\])|(\\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Anyone:
    """`*`: any certificate with a chain to the trust store. It never includes signatures by AWS Signer."""


@dataclass(frozen=True, slots=True)
class CertificateSubject:
    """`x509.subject: …`: attributes that the leaf's subject has, by dotted attribute type."""

    attributes: frozenset[tuple[str, str]]

    def matches(self, subject: Mapping[str, str] | None) -> bool:
        return subject is not None and self.attributes <= set(subject.items())

    def overlaps(self, other: CertificateSubject) -> bool:
        """Return True if one certificate could match both: no attribute differs."""
        mine, theirs = dict(self.attributes), dict(other.attributes)
        return all(mine[name] == theirs[name] for name in mine.keys() & theirs.keys())


@dataclass(frozen=True, slots=True)
class SigningProfile:
    """A signing profile of AWS Signer. Without a version it means every version."""

    arn: str
    version: str | None = None

    def matches(self, profile_version_arn: str) -> bool:
        signed = _PROFILE.fullmatch(profile_version_arn)
        if signed is None or signed[2] is None:
            return False
        return signed[1] == self.arn and self.version in (None, signed[2])

    def __str__(self) -> str:
        return f"{self.arn}/{self.version}" if self.version else self.arn


Identity = Anyone | CertificateSubject | SigningProfile


def parse_identities(texts: Iterable[str]) -> tuple[Identity, ...]:
    """Parse identities. Raises `TrustPolicyError` for an unknown form, `*` beside others, and overlapping subjects."""
    identities = tuple(parse_identity(text) for text in texts)
    if len(identities) > 1 and Anyone() in identities:
        raise TrustPolicyError("the trusted identity * must be the only one")
    subjects = [identity for identity in identities if isinstance(identity, CertificateSubject)]
    if any(one.overlaps(other) for one, other in combinations(subjects, 2)):
        raise TrustPolicyError("trusted identities overlap: one certificate could match several x509.subject")
    return identities


def parse_identity(text: str) -> Identity:
    """Parse one identity. Raises `TrustPolicyError`."""
    if text == "*":
        return Anyone()
    if text.startswith(_PREFIX):
        return CertificateSubject(_subject(text.removeprefix(_PREFIX)))
    if profile := _PROFILE.fullmatch(text):
        return SigningProfile(profile[1], profile[2])
    raise TrustPolicyError(
        f"not a trusted identity: {shown(text)}; write *, x509.subject: C=…, ST=…, O=…, or the ARN of a signing profile"
    )


def _subject(text: str) -> frozenset[tuple[str, str]]:
    attributes: dict[str, str] = {}
    for name, value in _rdns(text):
        attribute = _TYPES.get(name)
        if attribute is None or not value:
            raise TrustPolicyError(f"x509.subject: {name} is empty or not an attribute type: {shown(text)}")
        if attribute in attributes:
            raise TrustPolicyError(f"x509.subject: {name} is there twice: {shown(text)}")
        attributes[attribute] = value
    if not attributes.keys() >= _REQUIRED:
        raise TrustPolicyError(f"x509.subject: C, ST (or S) and O are required: {shown(text)}")
    return frozenset(attributes.items())


def _rdns(text: str) -> Iterator[tuple[str, str]]:
    if len(text) > _MAX_SUBJECT:
        raise TrustPolicyError(f"x509.subject: longer than {_MAX_SUBJECT} characters")
    end, is_last = 0, False
    while not is_last:
        rdn = _RDN.match(text, end)
        if rdn is None:
            raise TrustPolicyError(f"x509.subject: not a distinguished name (RFC 4514): {shown(text)}")
        yield rdn[1], _unescaped(_trimmed(rdn[2]), text)
        end, is_last = rdn.end(), not rdn[3]


def _trimmed(value: str) -> str:
    """Remove surrounding spaces, but keep a last one that is escaped."""
    bare = value.strip(" ")
    backslashes = len(bare) - len(bare.rstrip("\\"))
    return f"{bare} " if backslashes % 2 else bare


def _unescaped(value: str, text: str) -> str:
    if value.startswith("#"):
        raise TrustPolicyError(f"x509.subject: values in hexadecimal are not supported: {shown(text)}")

    def plain(escape: re.Match[str]) -> str:
        if escape[3]:
            raise TrustPolicyError(f"x509.subject: a backslash that escapes nothing: {shown(text)}")
        return bytes.fromhex(escape[1].replace("\\", "")).decode() if escape[1] else escape[2]

    try:
        return _ESCAPED.sub(plain, value)
    except UnicodeDecodeError as error:
        raise TrustPolicyError(f"x509.subject: not UTF-8: {shown(text)}") from error
