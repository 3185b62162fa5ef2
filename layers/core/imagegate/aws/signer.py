"""AWS Signer: one signing profile per stage. A signature by it means "passed this stage's gate"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from imagegate.aws.clients import client, translated
from imagegate.canonical_json import canonical_json
from imagegate.errors import (
    AccessRefusedError,
    RejectedInputError,
    RevocationUnansweredError,
    ServiceUnavailableError,
)

if TYPE_CHECKING:
    from imagegate.notation.revocation import Revoked
    from imagegate.oci.image import Descriptor

PLATFORM = "Notation-OCI-SHA384-ECDSA"
# AWS Signer API reference, PutSigningProfile.profileName.
_PROFILE_NAME = re.compile(r"[A-Za-z0-9_]{2,64}")
_REFUSED = {"AccessDeniedException": AccessRefusedError}


class AwsSigner:
    """Signatures by AWS Signer, checked with the product's own Notation verifier.

    `prefix` begins the name of every profile. `trusted_roots` has the SHA-256 of root certificates in lower-case hex.
    `revoked` finds out whether a signature has been revoked since; without it that check is skipped.
    """

    def __init__(self, prefix: str, trusted_roots: frozenset[str], revoked: Revoked | None = None) -> None:
        self._prefix = prefix
        self._trusted_roots = trusted_roots
        self._revoked = revoked

    def make_profile(self, stage: str) -> None:
        """Make sure that the stage's profile exists and is active. Raises `RejectedInputError` if it cannot sign."""
        name = self.profile_name(stage)
        signer = client("signer")
        with translated(_REFUSED, f"signing profile {name}"):
            try:
                profile = signer.get_signing_profile(profileName=name)
            except signer.exceptions.ResourceNotFoundException:
                signer.put_signing_profile(profileName=name, platformId=PLATFORM)
                return
        if profile["status"] != "Active" or profile["platformId"] != PLATFORM:
            raise RejectedInputError(
                f"signing profile {name} is {profile['status']} and of platform {profile['platformId']}: it cannot "
                f"sign images, and its name stays taken; deploy with another prefix for signing profiles"
            )

    def profile_name(self, stage: str) -> str:
        # Two underscores: "gate" with stage "test-dev" must not be "gate-test" with stage "dev".
        name = f"{self._prefix}__{re.sub('[^A-Za-z0-9]', '_', stage)}"
        if not _PROFILE_NAME.fullmatch(name):
            raise RejectedInputError(
                f"stage {stage}: {name!r} cannot name a signing profile (2 to 64 letters, digits, _)"
            )
        return name

    def profile_arn(self, stage: str) -> str:
        """Return the ARN without a version: it means every version of the profile."""
        return f"{self._arn_prefix}:/signing-profiles/{self.profile_name(stage)}"

    def sign(self, stage: str, payload: bytes) -> tuple[bytes, dict[str, str]]:
        """Sign a Notation payload. Return the JWS envelope and the annotations of the signature manifest."""
        # Imported here, as in `verify`: a function that only makes profiles never loads cryptography.
        from imagegate.evidence.attestation import NOTATION_PAYLOAD
        from imagegate.evidence.signature_manifest import THUMBPRINTS
        from imagegate.notation.verifier import thumbprints

        name = self.profile_name(stage)
        errors = {
            **_REFUSED,
            "ResourceNotFoundException": RejectedInputError,
            "ValidationException": RejectedInputError,
        }
        with translated(errors, f"signing with profile {name}"):
            signed = client("signer").sign_payload(
                profileName=name, payload=payload, payloadFormat=NOTATION_PAYLOAD
            )
        envelope: bytes = signed["signature"]
        chain = canonical_json(list(thumbprints(envelope))).decode()
        return envelope, {**signed.get("metadata", {}), THUMBPRINTS: chain}

    def verify(
        self, envelope: bytes, subject: Descriptor, stage: str, at: datetime, *, is_new: bool = False
    ) -> dict[str, str]:
        """Check an envelope by this stage's profile and return its signed annotations.

        Raises `VerificationError`, or `ServiceUnavailableError` if Signer cannot say now whether it has been revoked.
        """
        from imagegate.notation.verifier import verify_envelope

        try:
            verified = verify_envelope(
                envelope,
                subject,
                trusted_roots=self._trusted_roots,
                identity=self.profile_arn(stage),
                at=at,
                revoked=None if is_new else self._revoked,
            )
        except RevocationUnansweredError as error:
            raise ServiceUnavailableError(str(error)) from error
        return verified.annotations

    def ends(self, envelope: bytes) -> datetime | None:
        """Return when the signature expires: the profile's validity, counted from the signing time."""
        from imagegate.notation.attributes import read_attributes
        from imagegate.notation.jws import parse_envelope

        return read_attributes(parse_envelope(envelope).protected).expiry

    def revoke(self, envelope: bytes, stages: Iterable[str], reason: str) -> str | None:
        """Revoke the signature, also a second time. Return its stage, or None if none of these stages made it.

        AWS Signer API reference, RevokeSignature: it is final, and by signing job, so other signatures stay valid.
        """
        from imagegate.notation.attributes import read_attributes
        from imagegate.notation.jws import parse_envelope

        attributes = read_attributes(parse_envelope(envelope).protected).aws
        profile = attributes.profile_version_arn.rpartition("/")[0] if attributes else ""
        stage = next((stage for stage in stages if self.profile_arn(stage) == profile), None)
        if attributes is None or stage is None:
            return None
        job = attributes.job_arn.rpartition("/")[2]
        signer = client("signer")
        with translated(_REFUSED, f"revoking signing job {job}"):
            if not _is_revoked(job):
                signer.revoke_signature(jobId=job, reason=reason)
        return stage

    @cached_property
    def _arn_prefix(self) -> str:
        """`arn:PARTITION:signer:REGION:ACCOUNT`, read from STS: everyone may call GetCallerIdentity."""
        caller = client("sts").get_caller_identity()
        partition = caller["Arn"].split(":")[1]
        return f"arn:{partition}:signer:{client('signer').meta.region_name}:{caller['Account']}"


def _is_revoked(job: str) -> bool:
    """Tell whether a signing job has been revoked; False if it is not described.

    The API reference documents DescribeSigningJob for jobs of StartSigningJob only, and these are SignPayload's.
    """
    signer = client("signer")
    try:
        return "revocationRecord" in signer.describe_signing_job(jobId=job)
    except signer.exceptions.ResourceNotFoundException:
        return False
