"""The attributes in the protected header of a signature: scheme, signing time, expiry, signing profile.

Sources: notaryproject "signature-specification" (Signed Attributes), "signature-envelope-jws" (Protected Headers),
"signing-scheme"; for AWS Signer's attributes its Notation plugin. Stricter than the official client: a critical header
that is not processed here is refused, and so is an attribute of AWS Signer without its plugin, because only the plugin
checks for revocation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from imagegate.canonical_json import parse_timestamp
from imagegate.errors import IntegrityError, RejectedInputError
from imagegate.evidence.attestation import NOTATION_PAYLOAD
from imagegate.strict_json import is_texts, shown

NOTARY = "io.cncf.notary"
_SCHEME = f"{NOTARY}.signingScheme"
_SIGNING_TIME = f"{NOTARY}.signingTime"
_AUTHENTIC_TIME = f"{NOTARY}.authenticSigningTime"
_EXPIRY = f"{NOTARY}.expiry"
_PLUGIN = f"{NOTARY}.verificationPlugin"
_PLUGIN_VERSION = f"{NOTARY}.verificationPluginMinVersion"
_AWS = "com.amazonaws.signer"
_JOB = f"{_AWS}.signingJob"
_PROFILE_VERSION = f"{_AWS}.signingProfileVersion"
_PROFILE_ALIAS = f"{_AWS}.signingProfileAlias"

_AWS_PLUGIN = f"{_AWS}.notation.plugin"
# The version of the plugin with the same checks as this package.
_AWS_PLUGIN_VERSION = (1, 0, 350)

_REGISTERED = frozenset({"alg", "cty", "crit"})
# RFC 7515, section 4.1, RFC 7516 and RFC 7797: these headers would change the signed content or the signer.
_FOREIGN = frozenset({"b64", "enc", "jku", "jwk", "kid", "typ", "x5c", "x5t", "x5t#S256", "x5u", "zip"})
_MUST_BE_CRITICAL = frozenset({_SCHEME, _AUTHENTIC_TIME, _EXPIRY, _PLUGIN, _PLUGIN_VERSION})
_MAY_BE_CRITICAL = frozenset({_JOB, _PROFILE_VERSION, _PROFILE_ALIAS})
# AWS Signer sets all of these. Its plugin refuses every header that it does not know.
_AWS_REQUIRED = _REGISTERED | {_SCHEME, _AUTHENTIC_TIME, _EXPIRY, _PLUGIN, _JOB, _PROFILE_VERSION}
_AWS_OPTIONAL = frozenset({_PLUGIN_VERSION, _PROFILE_ALIAS})

_JOB_ARN = re.compile(
    r"arn:aws[a-z0-9-]*:signer:[a-z0-9-]+:\d{12}:/signing-jobs/[A-Za-z0-9-]{1,64}", re.ASCII
)
_SEMVER = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})", re.ASCII)
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)


class Scheme(StrEnum):
    """The signing scheme. It decides which time counts, and which type of trust store."""

    X509 = "notary.x509"
    SIGNING_AUTHORITY = "notary.x509.signingAuthority"


@dataclass(frozen=True, slots=True)
class AwsSignature:
    """The attributes of a signature by AWS Signer. `alias` is not documented, and nothing depends on it."""

    profile_version_arn: str
    job_arn: str
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes of a signature. `signing_time` is authentic only under the scheme of signing authorities."""

    scheme: Scheme
    signing_time: datetime
    expiry: datetime | None
    aws: AwsSignature | None


def read_attributes(protected: Mapping[str, Any]) -> Attributes:
    """Return the attributes. Raise `IntegrityError` if a header is missing, malformed, or critical and unknown."""
    _check_registered(protected)
    scheme = _scheme(protected)
    aws = _aws(protected, scheme) if _PLUGIN in protected else None
    if aws is None:
        _check_plain(protected)
    _check_critical(protected)
    expiry = _time(protected, _EXPIRY) if _EXPIRY in protected else None
    signing_time = _time(protected, _AUTHENTIC_TIME if scheme is Scheme.SIGNING_AUTHORITY else _SIGNING_TIME)
    if expiry is not None and expiry <= signing_time:
        raise IntegrityError(f"expires ({expiry}) before it was signed ({signing_time})")
    return Attributes(scheme, signing_time, expiry, aws)


def _check_registered(protected: Mapping[str, Any]) -> None:
    _text(protected, "alg")
    if (content_type := _text(protected, "cty")) != NOTATION_PAYLOAD:
        raise IntegrityError(f"the content type is {shown(content_type)}, not {NOTATION_PAYLOAD}")
    if foreign := sorted(_FOREIGN & set(protected)):
        raise IntegrityError(f"headers that a Notation signature does not have: {foreign}")


def _scheme(protected: Mapping[str, Any]) -> Scheme:
    text = _text(protected, _SCHEME)
    try:
        scheme = Scheme(text)
    except ValueError as error:
        raise IntegrityError(f"the signing scheme {shown(text)} is not understood") from error
    other = _SIGNING_TIME if scheme is Scheme.SIGNING_AUTHORITY else _AUTHENTIC_TIME
    if other in protected:
        raise IntegrityError(f"{other} does not belong to the signing scheme {scheme}")
    return scheme


def _aws(protected: Mapping[str, Any], scheme: Scheme) -> AwsSignature:
    if (plugin := _text(protected, _PLUGIN)) != _AWS_PLUGIN:
        raise IntegrityError(f"the verification plugin {shown(plugin)} is not understood")
    if scheme is not Scheme.SIGNING_AUTHORITY:
        raise IntegrityError(f"{plugin} does not verify signatures of the scheme {scheme}")
    missing = sorted(_AWS_REQUIRED - set(protected))
    unknown = sorted(set(protected) - _AWS_REQUIRED - _AWS_OPTIONAL)
    if missing or unknown:
        raise IntegrityError(f"the protected header: missing {missing}, not understood {shown(unknown)}")
    if _PLUGIN_VERSION in protected:
        _check_plugin_version(_text(protected, _PLUGIN_VERSION))
    job = _text(protected, _JOB)
    if not _JOB_ARN.fullmatch(job):
        raise IntegrityError(f"not the ARN of a signing job: {shown(job)}")
    alias = _text(protected, _PROFILE_ALIAS) if _PROFILE_ALIAS in protected else ""
    return AwsSignature(_text(protected, _PROFILE_VERSION), job, alias)


def _check_plugin_version(text: str) -> None:
    version = _SEMVER.fullmatch(text)
    if version is None or tuple(int(part) for part in version.groups()) > _AWS_PLUGIN_VERSION:
        known = ".".join(map(str, _AWS_PLUGIN_VERSION))
        raise IntegrityError(
            f"asks for version {shown(text)} of its plugin; what {known} checks is checked here"
        )


def _check_plain(protected: Mapping[str, Any]) -> None:
    """Raise `IntegrityError` for unknown headers with reserved names. Other unknown headers may be a signer's own."""
    known = {_SCHEME, _SIGNING_TIME, _AUTHENTIC_TIME, _EXPIRY}
    reserved = [name for name in protected if name.startswith((NOTARY, _AWS)) and name not in known]
    if reserved:
        raise IntegrityError(f"headers that are not understood without a plugin: {shown(sorted(reserved))}")


def _check_critical(protected: Mapping[str, Any]) -> None:
    critical = protected.get("crit")
    if not is_texts(critical) or not isinstance(critical, list):
        raise IntegrityError("crit is not a list of names")
    if len(set(critical)) != len(critical):
        raise IntegrityError("crit names a header twice")
    present = set(protected)
    missing = sorted((_MUST_BE_CRITICAL & present) - set(critical))
    unknown = sorted(set(critical) - ((_MUST_BE_CRITICAL | _MAY_BE_CRITICAL) & present))
    if missing or unknown:
        raise IntegrityError(f"crit: missing {missing}, not understood or not there {shown(unknown)}")


def _text(protected: Mapping[str, Any], name: str) -> str:
    value = protected.get(name)
    if not isinstance(value, str):
        raise IntegrityError(f"{name} is {'not a text' if name in protected else 'missing'}")
    return value


def _time(protected: Mapping[str, Any], name: str) -> datetime:
    text = _text(protected, name)
    try:
        if not _RFC3339.fullmatch(text):
            raise RejectedInputError(f"{shown(text)} is not a time")
        return parse_timestamp(text)
    except RejectedInputError as error:
        raise IntegrityError(f"{name} is not an RFC 3339 time with a zone: {shown(text)}") from error
