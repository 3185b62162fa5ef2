"""The verification of Notation signatures (JWS) by a trust policy. Only `revoked` does I/O; the time is passed in.

Sources: notaryproject "trust-store-trust-policy", "signature-specification", "signature-envelope-jws" and
"signing-scheme". Where the official client is less strict than these, this code follows the specifications.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from imagegate.errors import IntegrityError, RejectedInputError, VerificationError
from imagegate.evidence.attestation import JOSE
from imagegate.evidence.signature_manifest import check_envelope_type, read_signature_manifest
from imagegate.notation.certificates import thumbprint
from imagegate.notation.checks import (
    check_authentic_timestamp,
    check_authenticity,
    check_expiry,
    check_not_revoked,
    read_signature,
)
from imagegate.notation.identities import SigningProfile, parse_identity
from imagegate.notation.jws import MAX_ENVELOPE, parse_envelope
from imagegate.notation.trust_policy import (
    EVERYWHERE,
    Check,
    FailureAction,
    Level,
    SignatureVerification,
    StoreName,
    StoreType,
    TrustPolicy,
    TrustPolicyDocument,
)
from imagegate.notation.trust_store import TrustStore, TrustStores

if TYPE_CHECKING:
    from imagegate.notation.attributes import Scheme
    from imagegate.notation.revocation import Revoked
    from imagegate.oci.image import Descriptor

_ROOTS = StoreName(StoreType.SIGNING_AUTHORITY, "trusted-roots")


@dataclass(frozen=True, slots=True)
class Verified:
    """The verified content of a signature.

    `identity`: the profile version's ARN, or the leaf's subject. `chain`: the certificates' thumbprints, leaf to root.
    `logged`: failed checks that the policy only logs. `skipped`: checks that were not made; at the level `skip` all of
    them, and the other fields are empty.
    """

    level: Level
    annotations: dict[str, str] = field(default_factory=dict)
    signing_time: datetime | None = None
    expiry: datetime | None = None
    scheme: Scheme | None = None
    chain: tuple[str, ...] = ()
    identity: str = ""
    job_arn: str = ""
    logged: tuple[tuple[Check, VerificationError], ...] = ()
    skipped: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Verifier:
    """The verification by trust policies and trust stores, which are configured as for the official client."""

    policies: TrustPolicyDocument
    stores: TrustStores
    revoked: Revoked | None = None

    def verify(
        self,
        repository: str,
        subject: Descriptor,
        manifest: bytes,
        blob: Callable[[Descriptor], bytes],
        *,
        at: datetime,
    ) -> Verified:
        """Check a signature's manifest and envelope about `subject`, or raise a `VerificationError`.

        `repository`: fully qualified (`registry.example/team/app`). `blob`: reads the envelope; its errors pass.
        """
        policy = self.policies.select(repository)
        if policy.verification.level is Level.SKIP:
            return _unchecked(policy)
        signature = read_signature_manifest(manifest, subject)
        if signature.envelope.size > MAX_ENVELOPE:
            raise IntegrityError(
                f"the envelope has {signature.envelope.size} bytes; at most {MAX_ENVELOPE} are read"
            )
        content = blob(signature.envelope)
        if len(content) != signature.envelope.size:
            raise IntegrityError(f"the envelope has {len(content)} bytes, not {signature.envelope.size}")
        try:
            signature.envelope.digest.check(content, "the envelope")
        except RejectedInputError as error:
            raise IntegrityError(str(error)) from error
        verified = verify(content, subject, policy, self.stores, at=at, revoked=self.revoked)
        signature.check_chain(verified.chain)
        return verified


def verify(
    envelope: bytes,
    subject: Descriptor,
    policy: TrustPolicy,
    stores: TrustStores,
    *,
    at: datetime,
    revoked: Revoked | None = None,
    media_type: str = JOSE,
) -> Verified:
    """Check everything that an envelope claims about `subject`, or raise a `VerificationError`.

    `at`: now. `revoked`: queries AWS Signer; without it the check for revocation fails. The result has the failed
    checks that the policy only logs.
    """
    if policy.verification.level is Level.SKIP:
        return _unchecked(policy)
    check_envelope_type(media_type)
    signature = read_signature(envelope, subject)
    checks = _Checks(policy.verification)
    checks.make(Check.AUTHENTICITY, lambda: check_authenticity(signature, policy, stores))
    checks.make(Check.EXPIRY, lambda: check_expiry(signature.attributes, at))
    checks.make(Check.AUTHENTIC_TIMESTAMP, lambda: check_authentic_timestamp(signature, policy, at))
    checks.make(Check.REVOCATION, lambda: check_not_revoked(signature, revoked))
    attributes = signature.attributes
    return Verified(
        level=policy.verification.level,
        annotations=signature.annotations,
        signing_time=attributes.signing_time,
        expiry=attributes.expiry,
        scheme=attributes.scheme,
        chain=signature.thumbprints,
        identity=signature.signer,
        job_arn=attributes.aws.job_arn if attributes.aws else "",
        logged=tuple(checks.logged),
        skipped=tuple(checks.skipped),
    )


def verify_envelope(
    envelope: bytes,
    subject: Descriptor,
    *,
    trusted_roots: frozenset[str],
    identity: str,
    at: datetime,
    revoked: Revoked | None = None,
) -> Verified:
    """Verify a gate's signature at the level `strict`. Raises a `VerificationError` if a check fails.

    `trusted_roots`: SHA-256 of root certificates' DER, lower-case hex. `identity`: ARN of the signing profile
    without version; every version is accepted. Without `revoked` the check for revocation is skipped.
    """
    profile = parse_identity(identity)
    if not isinstance(profile, SigningProfile) or profile.version is not None:
        raise RejectedInputError(f"not the ARN of a signing profile without version: {identity!r}")
    override = {} if revoked else {Check.REVOCATION: FailureAction.SKIP}
    verification = SignatureVerification(Level.STRICT, override)
    policy = TrustPolicy("gate", (EVERYWHERE,), verification, (_ROOTS,), (profile,))
    stores = {_ROOTS: TrustStore(trusted_roots, only_roots=True)}
    return verify(envelope, subject, policy, stores, at=at, revoked=revoked)


def thumbprints(envelope: bytes) -> tuple[str, ...]:
    """Return the thumbprints of an envelope's certificates, leaf to root. Nothing is verified."""
    return tuple(thumbprint(certificate) for certificate in parse_envelope(envelope).chain)


def _unchecked(policy: TrustPolicy) -> Verified:
    return Verified(level=policy.verification.level, skipped=tuple(Check))


@dataclass(slots=True)
class _Checks:
    """The checks that a policy requires, with the failures that it only logs."""

    verification: SignatureVerification
    logged: list[tuple[Check, VerificationError]] = field(default_factory=list)
    skipped: list[Check] = field(default_factory=list)

    def make(self, check: Check, run: Callable[[], None]) -> None:
        action = self.verification.action(check)
        if action is FailureAction.SKIP:
            self.skipped.append(check)
            return
        try:
            run()
        except VerificationError as error:
            if action is FailureAction.ENFORCE:
                raise
            self.logged.append((check, error))
