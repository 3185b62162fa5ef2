"""Sign Image: the input is the digest of a decision, and this step checks everything about that decision itself.

A signature by a stage's profile means "passed this stage's gate". No other step signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from imagegate.errors import (
    DecisionRefusedError,
    ImageNotFoundError,
    RegistryUnavailableError,
    RejectedInputError,
)
from imagegate.evidence import attestation
from imagegate.gate.decision_record import Decision
from imagegate.oci.image import OCI_EMPTY, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.release.release import ReleaseId
from imagegate.workflow.examination.contents import read_contents
from imagegate.workflow.examination.signatures import verify_signature

if TYPE_CHECKING:
    from imagegate.ports.images import Images
    from imagegate.ports.ledger import RecordedReleases, StepResults
    from imagegate.ports.records import Records
    from imagegate.ports.registry import Registry
    from imagegate.ports.signer import Signer

_MOST_SIGNATURES = 50  # that are read to find ours; if an image has more, it may get a second one


@dataclass(frozen=True, slots=True)
class SignResult:
    """The digest of the signature's manifest, and those of the evidence that was pushed with it."""

    signature: Digest
    evidence: tuple[Digest, ...] = ()  # empty if an earlier attempt had signed


@dataclass(frozen=True, slots=True, kw_only=True)
class SignImage:
    images: Images
    ledger: RecordedReleases
    records: Records
    registry: Registry
    signer: Signer

    def run(self, digest: Digest, now: datetime) -> SignResult:
        """Sign the image. Raises `DecisionRefusedError` for anything but the latest, fresh PASS of an open release.

        Raises `ImageNotFoundError` only if the image itself was deleted.
        """
        decision = Decision.decode(self.records.decision(digest))
        try:
            return self._run(decision, digest, now)
        except ImageNotFoundError as error:
            self.images.manifest(decision.image)
            # The image exists, so another part is missing for now. `ImageNotFoundError` would judge it again and again.
            raise RegistryUnavailableError(str(error)) from error

    def _run(self, decision: Decision, digest: Digest, now: datetime) -> SignResult:
        self._check(decision, digest, now)
        release = ReleaseId(decision.image, decision.attempt)
        signing = _Signing(self, decision, digest, now)
        signed = signing.find_existing() or signing.sign()
        results: StepResults = {"signature": signed.signature}
        if signed.evidence:
            results["evidence"] = signed.evidence
        self.ledger.record(release, **results)
        if self.ledger.get(release).revoked:
            raise DecisionRefusedError(f"{decision.image}: revoked while it was signed; revoke it once more")
        return signed

    def _check(self, decision: Decision, digest: Digest, now: datetime) -> None:
        decision.check_signable(self.images.registry, now)
        stage = self.records.policy(decision.policy).stage_of(decision.image.repository)
        if stage is None or stage.name != decision.stage:
            raise DecisionRefusedError(f"{decision.image}: its repository is not of stage {decision.stage}")
        release = self.ledger.get(ReleaseId(decision.image, decision.attempt))
        if (release.decision, release.policy, release.stage) != (digest, decision.policy, decision.stage):
            raise DecisionRefusedError(f"{decision.image}: {digest.short} is not its release's last decision")
        latest = self.ledger.latest(decision.image)
        if release.revoked:
            raise DecisionRefusedError(f"{decision.image}: its signature was {release.revoked}")
        if latest is None or latest.attempt != release.attempt or not release.is_open:
            raise DecisionRefusedError(
                f"{decision.image}: attempt {release.attempt} is over; release it again"
            )
        if self.images.manifest(decision.image).descriptor != decision.subject:
            raise DecisionRefusedError(f"{decision.image}: media type or size are not those that were judged")


@dataclass(frozen=True, slots=True)
class _Signing:
    """The signing of one decision that was checked."""

    step: SignImage
    decision: Decision
    digest: Digest
    now: datetime

    def find_existing(self) -> SignResult | None:
        """Return the signatures of this gate under this policy, or None if one is missing."""
        signatures = [self._find(subject) for subject in self._subjects()]
        if None in signatures:
            return None
        image, *platforms = (signature for signature in signatures if signature is not None)
        return SignResult(image, tuple(platforms))

    def sign(self) -> SignResult:
        """Push the verification summary, and a signature for each subject that has none."""
        self.step.registry.push_blob(self._repository, attestation.EMPTY)
        vsa = attestation.verification_summary(
            self.decision,
            self.digest,
            verifier=self.step.signer.profile_arn(self.decision.stage),
            store=self.step.records.uri,
        )
        summary = self._push(
            self.decision.subject,
            vsa,
            _Form(
                attestation.IN_TOTO,
                attestation.IN_TOTO,
                OCI_EMPTY,
                {attestation.PREDICATE_ANNOTATION: attestation.VSA_TYPE},
            ),
        )
        image, *platforms = (
            self._find(subject) or self._sign(subject, Digest.of(vsa)) for subject in self._subjects()
        )
        return SignResult(image, (summary, *platforms))

    @property
    def _repository(self) -> str:
        return self.decision.image.repository

    def _subjects(self) -> list[Descriptor]:
        """Return the image, and its platforms if the stage signs those."""
        policy = self.step.records.policy(self.decision.policy)
        if not policy.stages[self.decision.stage].sign_platforms:
            return [self.decision.subject]
        leaves = read_contents(self.step.images, self.decision.image).leaves
        subjects = [self.decision.subject, *(_plain(leaf) for leaf in leaves)]
        return list({subject.digest: subject for subject in subjects}.values())

    def _find(self, subject: Descriptor) -> Digest | None:
        listed = self.step.registry.referrers(ImageRef(self._repository, subject.digest))
        signatures = [one for one in listed if one.artifact_type == attestation.NOTATION_SIGNATURE]
        for referrer in signatures[:_MOST_SIGNATURES]:
            try:
                signed = self._verify(referrer.digest, subject)
            except RejectedInputError:
                continue  # the signature of somebody else, or a broken one
            if signed.get(attestation.POLICY) == str(self.decision.policy):
                return referrer.digest
        return None

    def _sign(self, subject: Descriptor, vsa: Digest) -> Digest:
        payload = attestation.notation_payload(self.decision, self.digest, vsa, subject)
        envelope, annotations = self.step.signer.sign(self.decision.stage, payload)
        # Verified before the push: with one malformed signature, clients refuse all signatures of the image.
        self.step.signer.verify(envelope, subject, self.decision.stage, self.now)
        kind = attestation.NOTATION_SIGNATURE
        signature = self._push(subject, envelope, _Form(attestation.JOSE, kind, kind, annotations))
        self._verify(signature, subject)
        return signature

    def _push(self, subject: Descriptor, content: bytes, form: _Form) -> Digest:
        blob = self.step.registry.push_blob(self._repository, content)
        manifest = Manifest.parse(
            attestation.evidence_manifest(
                subject.as_json(),
                attestation.describe_layer(blob, form.media_type, content),
                artifact_type=form.artifact_type,
                config_type=form.config_type,
                annotations=form.annotations,
            )
        )
        self.step.registry.push_manifest(self._repository, manifest)
        return manifest.digest

    def _verify(self, signature: Digest, subject: Descriptor) -> dict[str, str]:
        reference = ImageRef(self._repository, signature)
        return verify_signature(
            self.step.registry, self.step.signer, reference, subject, self.decision.stage, self.now
        )


@dataclass(frozen=True, slots=True)
class _Form:
    """The types and annotations of a piece of evidence."""

    media_type: str
    artifact_type: str
    config_type: str
    annotations: dict[str, str]


def _plain(descriptor: Descriptor) -> Descriptor:
    """Return the descriptor without the fields of its index, as it is signed and compared."""
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size)
