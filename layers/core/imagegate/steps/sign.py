"""Sign Image: takes only a decision digest, and checks everything about that decision itself.

A signature by a stage's profile means "passed that stage's gate", so this is the one place where it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from imagegate.domain import attestation
from imagegate.domain.decision import Decision
from imagegate.domain.errors import DecisionRefusedError, RejectedInputError
from imagegate.domain.image import OCI_EMPTY, Digest, ImageRef, Manifest
from imagegate.domain.release import ReleaseId
from imagegate.ports import Images, Ledger, Records, Registry, Signer
from imagegate.steps.signatures import verify_signature


@dataclass(frozen=True, slots=True)
class Signed:
    """The digest of the signature's manifest, and of the summary's."""

    signature: Digest
    summary: Digest | None = None  # None: an earlier attempt had signed already


@dataclass(frozen=True, slots=True)
class SignImage:
    images: Images
    ledger: Ledger
    records: Records
    registry: Registry
    signer: Signer

    def run(self, digest: Digest, now: datetime) -> Signed:
        """Raise `DecisionRefusedError` for anything but the latest, fresh PASS of an open release."""
        decision = self._checked(digest, now)
        release = ReleaseId(decision.image, decision.attempt)
        signed = self._already_signed(decision, now) or self._sign(decision, digest, now)
        evidence = {"signature": signed.signature}
        if signed.summary is not None:
            evidence["summary"] = signed.summary
        self.ledger.record(release, **evidence)
        return signed

    def _checked(self, digest: Digest, now: datetime) -> Decision:
        decision = Decision.decode(self.records.decision(digest))
        decision.check_signable(self.images.registry, now)
        stage = self.records.policy(decision.policy).stage_of(decision.image.repository)
        if stage is None or stage.name != decision.stage:
            raise DecisionRefusedError(f"{decision.image}: its repository is not of stage {decision.stage}")
        release = self.ledger.get(ReleaseId(decision.image, decision.attempt))
        if (release.decision, release.policy, release.stage) != (digest, decision.policy, decision.stage):
            raise DecisionRefusedError(f"{decision.image}: {digest.short} is not its release's last decision")
        latest = self.ledger.latest(decision.image)
        if latest is None or latest.attempt != release.attempt or not release.is_open:
            raise DecisionRefusedError(
                f"{decision.image}: attempt {release.attempt} is over; release it again"
            )
        if self.images.manifest(decision.image).descriptor != decision.subject:
            raise DecisionRefusedError(f"{decision.image}: media type or size are not those that were judged")
        return decision

    def _already_signed(self, decision: Decision, now: datetime) -> Signed | None:
        """A signature by this gate under this policy says the same: a retry or a new tag needs no second one."""
        for referrer in self.registry.referrers(decision.image):
            if referrer.artifact_type != attestation.NOTATION_SIGNATURE:
                continue
            try:
                signed = self._verify(ImageRef(decision.image.repository, referrer.digest), decision, now)
            except RejectedInputError:
                continue  # somebody else's signature, or a broken one: ours is given beside it
            if signed.get(attestation.POLICY) == str(decision.policy):
                return Signed(referrer.digest)
        return None

    def _sign(self, decision: Decision, digest: Digest, now: datetime) -> Signed:
        repository = decision.image.repository
        self.registry.push_blob(repository, attestation.EMPTY)
        vsa = attestation.verification_summary(
            decision, digest, verifier=self.signer.profile_arn(decision.stage), store=self.records.uri
        )
        summary = self._push(
            decision,
            vsa,
            media_type=attestation.IN_TOTO,
            artifact_type=attestation.IN_TOTO,
            config_type=OCI_EMPTY,
            annotations={attestation.PREDICATE_ANNOTATION: attestation.VSA_TYPE},
        )
        payload = attestation.notation_payload(decision, digest, Digest.of(vsa))
        envelope, annotations = self.signer.sign(decision.stage, payload)
        # Before it is pushed: one malformed signature makes clients refuse all signatures of an image.
        self.signer.verify(envelope, decision.subject, decision.stage, now)
        signature = self._push(
            decision,
            envelope,
            media_type=attestation.JOSE,
            artifact_type=attestation.NOTATION_SIGNATURE,
            config_type=attestation.NOTATION_SIGNATURE,
            annotations=annotations,
        )
        self._verify(ImageRef(repository, signature), decision, now)
        return Signed(signature, summary)

    def _push(
        self,
        decision: Decision,
        content: bytes,
        *,
        media_type: str,
        artifact_type: str,
        config_type: str,
        annotations: dict[str, str],
    ) -> Digest:
        repository = decision.image.repository
        blob = self.registry.push_blob(repository, content)
        manifest = Manifest.parse(
            attestation.evidence_manifest(
                decision.subject.as_json(),
                {**blob.as_json(), "mediaType": media_type},
                artifact_type=artifact_type,
                config_type=config_type,
                annotations=annotations,
            )
        )
        self.registry.push_manifest(repository, manifest)
        return manifest.digest

    def _verify(self, signature: ImageRef, decision: Decision, now: datetime) -> dict[str, str]:
        return verify_signature(self.registry, self.signer, signature, decision.subject, decision.stage, now)
