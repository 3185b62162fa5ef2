"""The single checks of a Notation signature; `notation.verifier` makes those that the trust policy requires.

Source: notaryproject "trust-store-trust-policy", Signature Verification, Steps. Countersignatures (RFC 3161) are not
verified: if a policy requires one, the check of the authentic timestamp fails. CRLs and OCSP responders are not
queried: if a certificate names one, the check for revocation fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

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
from imagegate.strict_json import shown

if TYPE_CHECKING:
    from imagegate.oci.image import Descriptor

# Between the clocks of signer and verifier.
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature of proven integrity: the holder of the leaf's key signed exactly this about the subject."""

    attributes: Attributes
    annotations: dict[str, str]
    chain: Chain
    thumbprints: tuple[str, ...]

    @property
    def signer(self) -> str:
        """The profile version's ARN, because all leaves of AWS Signer have one subject; else the leaf's subject."""
        aws = self.attributes.aws
        return aws.profile_version_arn if aws else name_of(self.chain[0])


def read_signature(envelope: bytes, subject: Descriptor) -> Signature:
    """Read and verify an envelope about `subject`. Raises `IntegrityError`."""
    parts = parse_envelope(envelope)
    attributes = read_attributes(parts.protected)
    check_signature(parts)
    annotations = signed_annotations(parts.payload, subject)
    return Signature(attributes, annotations, parts.chain, tuple(map(thumbprint, parts.chain)))


def check_authenticity(signature: Signature, policy: TrustPolicy, stores: TrustStores) -> None:
    """Raise `AuthenticityError` unless chain, trust store and identity are those that the policy trusts."""
    check_requirements(signature.chain)
    root = name_of(signature.chain[-1])
    check_trust(policy.stores, stores, signature.attributes.scheme, signature.thumbprints, root)
    if not any(_is_by(signature, identity) for identity in policy.identities):
        profiles = " or ".join(str(one) for one in policy.identities if isinstance(one, SigningProfile))
        expected = f"a version of {profiles}" if profiles else "a trusted identity"
        raise AuthenticityError(f"signed by {shown(signature.signer)}, not by {expected}")


def _is_by(signature: Signature, identity: Identity) -> bool:
    """Return True if the identity signed. `*` excludes AWS Signer, whose profile alone says for whom it signed."""
    if aws := signature.attributes.aws:
        return isinstance(identity, SigningProfile) and identity.matches(aws.profile_version_arn)
    if isinstance(identity, CertificateSubject):
        return identity.matches(subject_attributes(signature.chain[0]))
    return isinstance(identity, Anyone)


def check_expiry(attributes: Attributes, at: datetime) -> None:
    """Raise `ExpiryError` if the signature has expired at that time."""
    if attributes.expiry is not None and at >= attributes.expiry:
        raise ExpiryError(f"expired at {attributes.expiry}")


def check_authentic_timestamp(signature: Signature, policy: TrustPolicy, at: datetime) -> None:
    """Raise `AuthenticTimestampError` unless the certificates were valid at the time that the scheme requires."""
    signed_at = signature.attributes.signing_time
    if signature.attributes.scheme is Scheme.SIGNING_AUTHORITY:
        if signed_at > at + _CLOCK_SKEW:
            raise AuthenticTimestampError(f"signed in the future: {signed_at}, and it is {at}")
        check_validity(signature.chain, signed_at, "when it signed")
        return
    is_required = any(store.type is StoreType.TSA for store in policy.stores)
    if is_required and not policy.verification.only_after_certificate_expiry:
        raise AuthenticTimestampError(
            "the policy requires a countersignature (RFC 3161); imagegate cannot verify one"
        )
    check_validity(signature.chain, at, "now")


def check_not_revoked(signature: Signature, revoked: Revoked | None) -> None:
    """Raise `RevocationError` if something was revoked, or if that is unknown."""
    attributes = signature.attributes
    if attributes.aws is not None:
        query = revocation_query(attributes.aws, attributes.signing_time, signature.chain)
        check_revocation(query, revoked)
    elif names_revocation_sources(signature.chain):
        raise RevocationError("its certificates name CRLs or OCSP responders, which imagegate does not query")
