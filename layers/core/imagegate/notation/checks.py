"""The checks of a Notation signature, one by one; `notation` makes them as the trust policy says.

Source: notaryproject "trust-store-trust-policy", Signature Verification, Steps. Countersignatures (RFC 3161) are not
verified: where a policy asks for one, the authentic timestamp fails. Nor are CRLs and OCSP responders asked: where a
certificate names one, revocation cannot be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from imagegate.errors import (
    AuthenticityError,
    AuthenticTimestampError,
    ExpiryError,
    RevocationError,
)
from imagegate.notation.attributes import Attributes, Scheme, read_attributes
from imagegate.notation.certificates import (
    Chain,
    check_requirements,
    check_validity,
    name_of,
    names_revocation_sources,
    subject_attributes,
    thumbprint,
)
from imagegate.notation.identities import Anyone, CertificateSubject, Identity, SigningProfile
from imagegate.notation.jws import check_signature, parse_envelope
from imagegate.notation.payload import signed_annotations
from imagegate.notation.revocation import Revoked, check_revocation, revocation_query
from imagegate.notation.trust_policy import StoreType, TrustPolicy
from imagegate.notation.trust_store import TrustStores, check_trust
from imagegate.oci.image import Descriptor
from imagegate.strict_json import shown

# The clocks of the signer and of whoever verifies.
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Signature:
    """An envelope whose integrity is proven: somebody who has the leaf's key signed exactly this about the subject."""

    attributes: Attributes
    annotations: dict[str, str]
    chain: Chain
    thumbprints: tuple[str, ...]

    @property
    def signer(self) -> str:
        """The profile version's ARN, or the leaf's subject: every leaf of AWS Signer has the same."""
        aws = self.attributes.aws
        return aws.profile_version_arn if aws else name_of(self.chain[0])


def read_signature(envelope: bytes, subject: Descriptor) -> Signature:
    """Raise `IntegrityError`."""
    parts = parse_envelope(envelope)
    attributes = read_attributes(parts.protected)
    check_signature(parts)
    annotations = signed_annotations(parts.payload, subject)
    return Signature(attributes, annotations, parts.chain, tuple(map(thumbprint, parts.chain)))


def check_authenticity(signature: Signature, policy: TrustPolicy, stores: TrustStores) -> None:
    check_requirements(signature.chain)
    root = name_of(signature.chain[-1])
    check_trust(policy.stores, stores, signature.attributes.scheme, signature.thumbprints, root)
    if not any(_is_by(signature, identity) for identity in policy.identities):
        profiles = " or ".join(str(one) for one in policy.identities if isinstance(one, SigningProfile))
        expected = f"a version of {profiles}" if profiles else "a trusted identity"
        raise AuthenticityError(f"signed by {shown(signature.signer)}, not by {expected}")


def _is_by(signature: Signature, identity: Identity) -> bool:
    """`*` is not for AWS Signer, which signs for anybody: only the profile says for whom."""
    if aws := signature.attributes.aws:
        return isinstance(identity, SigningProfile) and identity.matches(aws.profile_version_arn)
    if isinstance(identity, CertificateSubject):
        return identity.matches(subject_attributes(signature.chain[0]))
    return isinstance(identity, Anyone)


def check_expiry(attributes: Attributes, at: datetime) -> None:
    if attributes.expiry is not None and at >= attributes.expiry:
        raise ExpiryError(f"expired at {attributes.expiry}")


def check_authentic_timestamp(signature: Signature, policy: TrustPolicy, at: datetime) -> None:
    signed_at = signature.attributes.signing_time
    if signature.attributes.scheme is Scheme.SIGNING_AUTHORITY:
        if signed_at > at + _CLOCK_SKEW:
            raise AuthenticTimestampError(f"signed in the future: {signed_at}, and it is {at}")
        check_validity(signature.chain, signed_at, "when it signed")
        return
    is_asked_for = any(store.type is StoreType.TSA for store in policy.stores)
    if is_asked_for and not policy.verification.only_after_certificate_expiry:
        raise AuthenticTimestampError(
            "countersignatures (RFC 3161), which the policy asks for, are not verified here"
        )
    check_validity(signature.chain, at, "now")


def check_not_revoked(signature: Signature, revoked: Revoked | None) -> None:
    attributes = signature.attributes
    if attributes.aws is not None:
        query = revocation_query(attributes.aws, attributes.signing_time, signature.chain)
        check_revocation(query, revoked)
    elif names_revocation_sources(signature.chain):
        raise RevocationError("its certificates name CRLs or OCSP responders, which are not asked here")
