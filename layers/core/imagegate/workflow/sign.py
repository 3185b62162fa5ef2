"""Sign Image: takes only a decision digest, and checks everything about that decision itself.

A signature by a stage's profile means "passed that stage's gate", so this is the one place where it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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
from imagegate.ports.images import Images
from imagegate.ports.ledger import RecordedReleases
from imagegate.ports.records import Records
from imagegate.ports.registry import Registry
from imagegate.ports.signer import Signer
from imagegate.release.release import ReleaseId
from imagegate.workflow.examination.contents import read_contents
from imagegate.workflow.examination.signatures import verify_signature

_LOOKED_AT = 50  # signatures of one image; among more, ours is not looked for, and another one is given


@dataclass(frozen=True, slots=True)
class Signed:
    """The manifest of the image's signature, and those of what was pushed beside it."""

    signature: Digest
    evidence: tuple[Digest, ...] = ()  # empty: an earlier attempt had signed already


@dataclass(frozen=True, slots=True, kw_only=True)
class SignImage:
    images: Images
    ledger: RecordedReleases
    records: Records
    registry: Registry
    signer: Signer

    def run(self, digest: Digest, now: datetime) -> Signed:
        """Raise `DecisionRefusedError` for anything but the latest, fresh PASS of an open release.

        `ImageNotFoundError` says that the image itself is gone, and nothing else.
        """
        decision = Decision.decode(self.records.decision(digest))
        try:
            return self._run(decision, digest, now)
        except ImageNotFoundError as error:
            self.images.manifest(decision.image)
            # The image is there: what is missing may come, and must not send the release round for ever.
            raise RegistryUnavailableError(str(error)) from error

    def _run(self, decision: Decision, digest: Digest, now: datetime) -> Signed:
        self._check(decision, digest, now)
        release = ReleaseId(decision.image, decision.attempt)
        signing = _Signing(self, decision, digest, now)
        signed = signing.found() or signing.sign()
        fields = {"evidence": signed.evidence} if signed.evidence else {}
        self.ledger.record(release, signature=signed.signature, **fields)
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
    """One decision, already checked, and what is pushed for it."""

    step: SignImage
    decision: Decision
    digest: Digest
    now: datetime

    def found(self) -> Signed | None:
        """A signature by this gate under this policy says the same: a retry or a new tag needs no second one."""
        signatures = [self._find(subject) for subject in self._subjects()]
        if None in signatures:
            return None
        image, *platforms = (signature for signature in signatures if signature is not None)
        return Signed(image, tuple(platforms))

    def sign(self) -> Signed:
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
        return Signed(image, (summary, *platforms))

    @property
    def _repository(self) -> str:
        return self.decision.image.repository

    def _subjects(self) -> list[Descriptor]:
        """The image, and its platforms where the stage's deployers check those."""
        policy = self.step.records.policy(self.decision.policy)
        if not policy.stages[self.decision.stage].sign_platforms:
            return [self.decision.subject]
        leaves = read_contents(self.step.images, self.decision.image).leaves
        subjects = [self.decision.subject, *(_plain(leaf) for leaf in leaves)]
        return list({subject.digest: subject for subject in subjects}.values())

    def _find(self, subject: Descriptor) -> Digest | None:
        listed = self.step.registry.referrers(ImageRef(self._repository, subject.digest))
        signatures = [one for one in listed if one.artifact_type == attestation.NOTATION_SIGNATURE]
        for referrer in signatures[:_LOOKED_AT]:
            try:
                signed = self._verify(referrer.digest, subject)
            except RejectedInputError:
                continue  # somebody else's signature, or a broken one: ours is given beside it
            if signed.get(attestation.POLICY) == str(self.decision.policy):
                return referrer.digest
        return None

    def _sign(self, subject: Descriptor, vsa: Digest) -> Digest:
        payload = attestation.notation_payload(self.decision, self.digest, vsa, subject)
        envelope, annotations = self.step.signer.sign(self.decision.stage, payload)
        # Before it is pushed: one malformed signature makes clients refuse all signatures of an image.
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
    """What kind of evidence a manifest is."""

    media_type: str
    artifact_type: str
    config_type: str
    annotations: dict[str, str]


def _plain(descriptor: Descriptor) -> Descriptor:
    """Without what an index says about it: this is what is signed, and compared."""
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size)
