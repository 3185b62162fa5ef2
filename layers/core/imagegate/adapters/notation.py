"""Verifies Notation signature envelopes (JWS) as AWS Signer makes them. Pure: no I/O, the time is passed in.

Sources: notaryproject "signature-specification", "signature-envelope-jws", "signing-scheme". Where the official client
is looser than these, this is not. Revocation is not asked for here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from imagegate.adapters.certificate_chain import check_chain, thumbprint
from imagegate.adapters.jws import check_signature, exact_object, parse_envelope, require_keys
from imagegate.domain.attestation import NOTATION_PAYLOAD
from imagegate.domain.canonical import parse_timestamp
from imagegate.domain.errors import AuthenticityError, ExpiryError, IntegrityError, RejectedInputError
from imagegate.domain.image import Descriptor

# The annotation of a signature's manifest: certificate thumbprints, leaf to root.
THUMBPRINTS = "io.cncf.notary.x509chain.thumbprint#S256"

_RESERVED = "io.cncf.notary"
_SCHEME = f"{_RESERVED}.signingScheme"
_SIGNING_TIME = f"{_RESERVED}.authenticSigningTime"
_EXPIRY = f"{_RESERVED}.expiry"
_PLUGIN = f"{_RESERVED}.verificationPlugin"
_JOB = "com.amazonaws.signer.signingJob"
_PROFILE_VERSION = "com.amazonaws.signer.signingProfileVersion"

# The scheme fixes which times count and which trust store: another scheme is another set of rules.
_SIGNING_AUTHORITY = "notary.x509.signingAuthority"
_AWS_PLUGIN = "com.amazonaws.signer.notation.plugin"
_MUST_BE_CRITICAL = frozenset({_SCHEME, _SIGNING_TIME, _EXPIRY, _PLUGIN})
_ATTRIBUTES = _MUST_BE_CRITICAL | {_JOB, _PROFILE_VERSION}
_PROTECTED = _ATTRIBUTES | {"alg", "cty", "crit"}

_ARN = r"arn:aws[a-z0-9-]*:signer:[a-z0-9-]+:\d{12}:"
_PROFILE_ARN = re.compile(rf"{_ARN}/signing-profiles/[A-Za-z0-9_]{{2,64}}", re.ASCII)
_JOB_ARN = re.compile(rf"{_ARN}/signing-jobs/[A-Za-z0-9-]{{1,64}}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9]{10}")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
# The clocks of the signer and of whoever verifies.
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """What a signature that holds says. `chain`: the certificates' thumbprints, leaf to root."""

    annotations: dict[str, str]
    signing_time: datetime
    expiry: datetime
    profile_version_arn: str
    job_arn: str
    chain: tuple[str, ...]


def verify_envelope(
    envelope: bytes,
    subject: Descriptor,
    *,
    trusted_roots: frozenset[str],
    identity: str,
    at: datetime,
) -> VerifiedSignature:
    """Check everything that an envelope claims about `subject`, or raise a `VerificationError`.

    `trusted_roots`: SHA-256 of root certificates' DER, lower-case hex. `identity`: ARN of the signing profile, without
    version: every version of it is accepted. `at`: now.
    """
    if not _PROFILE_ARN.fullmatch(identity):
        raise RejectedInputError(f"not the ARN of a signing profile without version: {identity!r}")
    parts = parse_envelope(envelope)
    protected = parts.protected
    _check_attributes(protected)
    check_signature(parts)
    annotations = _check_payload(parts.payload, subject)
    signing_time, expiry = _time(protected, _SIGNING_TIME), _time(protected, _EXPIRY)
    check_chain(parts.chain, trusted_roots, signing_time)
    _check_identity(protected[_PROFILE_VERSION], identity)
    _check_times(signing_time, expiry, at)
    return VerifiedSignature(
        annotations=annotations,
        signing_time=signing_time,
        expiry=expiry,
        profile_version_arn=protected[_PROFILE_VERSION],
        job_arn=protected[_JOB],
        chain=tuple(thumbprint(certificate) for certificate in parts.chain),
    )


def thumbprints(envelope: bytes) -> tuple[str, ...]:
    """Of the certificates in an envelope, leaf to root, as they are: nothing is verified."""
    return tuple(thumbprint(certificate) for certificate in parse_envelope(envelope).chain)


def _check_attributes(protected: dict[str, Any]) -> None:
    require_keys(protected, _PROTECTED, "the protected header")
    for name in sorted(_PROTECTED - {"crit"}):
        if not isinstance(protected[name], str):
            raise IntegrityError(f"{name} is not a string")
    if protected["cty"] != NOTATION_PAYLOAD:
        raise IntegrityError(f"the content type is {protected['cty']!a}, not {NOTATION_PAYLOAD}")
    if protected[_SCHEME] != _SIGNING_AUTHORITY:
        raise IntegrityError(f"the signing scheme {protected[_SCHEME]!a} is not understood")
    if protected[_PLUGIN] != _AWS_PLUGIN:
        raise IntegrityError(f"the verification plugin {protected[_PLUGIN]!a} is not understood")
    if not _JOB_ARN.fullmatch(protected[_JOB]):
        raise IntegrityError(f"not the ARN of a signing job: {protected[_JOB]!a}")
    _check_critical(protected["crit"])


def _check_critical(critical: Any) -> None:
    if not isinstance(critical, list) or not all(isinstance(name, str) for name in critical):
        raise IntegrityError("crit is not a list of names")
    if len(set(critical)) != len(critical):
        raise IntegrityError("crit names a header twice")
    if not _MUST_BE_CRITICAL <= set(critical) <= _ATTRIBUTES:
        raise IntegrityError(f"crit is not complete, or names what it must not: {critical!a}")


def _check_payload(content: bytes, subject: Descriptor) -> dict[str, str]:
    payload = exact_object(content, "the payload")
    require_keys(payload, frozenset({"targetArtifact"}), "the payload")
    target = payload["targetArtifact"]
    annotations = target.pop("annotations", {}) if isinstance(target, dict) else {}
    require_keys(target, frozenset({"mediaType", "digest", "size"}), "the payload's targetArtifact")
    # Not `==` of the two: in Python, 1 == 1.0 == True.
    if type(target["size"]) is not int or target != subject.as_json():
        raise IntegrityError(f"signed is {target!a}, not {subject.as_json()}")
    is_text = isinstance(annotations, dict) and all(isinstance(text, str) for text in annotations.values())
    if not is_text or any(name.startswith(_RESERVED) for name in annotations):
        raise IntegrityError("the signed annotations are not texts under names of their own")
    return annotations


def _time(protected: dict[str, Any], name: str) -> datetime:
    text = protected[name]
    try:
        if not _RFC3339.fullmatch(text):
            raise RejectedInputError(f"{text!a} is not a time")
        return parse_timestamp(text)
    except (RejectedInputError, OverflowError) as error:
        raise IntegrityError(f"{name} is not an RFC 3339 time with a zone: {text!a}") from error


def _check_identity(profile_version_arn: str, identity: str) -> None:
    profile, _, version = profile_version_arn.rpartition("/")
    if profile != identity or not _VERSION.fullmatch(version):
        raise AuthenticityError(f"signed by {profile_version_arn!a}, not by a version of {identity}")


def _check_times(signing_time: datetime, expiry: datetime, at: datetime) -> None:
    if expiry <= signing_time:
        raise ExpiryError(f"expires ({expiry}) before it was signed ({signing_time})")
    if signing_time > at + _CLOCK_SKEW:
        raise ExpiryError(f"signed in the future: {signing_time}, and it is {at}")
    if at >= expiry:
        raise ExpiryError(f"expired at {expiry}")
