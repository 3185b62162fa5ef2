"""Sign Image: the input is the digest of a decision, and this step checks everything about that decision itself.

A signature by a stage's profile means "passed this stage's gate". No other step signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imagegate.errors import (
    DecisionRefusedError,
    ImageNotFoundError,
    RegistryUnavailableError,
    RejectedInputError,
)
from imagegate.evidence import attestation
from imagegate.evidence.signature_manifest import read_signature_manifest
from imagegate.gate.decision_record import Decision
from imagegate.oci.image import OCI_EMPTY, Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.release.release import Release, ReleaseId
from imagegate.workflow.examination.contents import read_contents
from imagegate.workflow.examination.signatures import verify_signature

if TYPE_CHECKING:
    from imagegate.ports.images import Images
    from imagegate.ports.ledger import RecordedReleases, StepResults
    from imagegate.ports.records import Records
    from imagegate.ports.registry import Registry
    from imagegate.ports.signer import Signer

# Instead of a signature that ends sooner, another one is made.
_RENEW_BEFORE = timedelta(days=30)
_MOST_SIGNATURES = 50  # that are read to find ours; if an image has more, it may get a second one


@dataclass(frozen=True, slots=True)
class SignResult:
    """The signed release, the digest of the signature's manifest, and those of the evidence pushed with it."""

    release: ReleaseId
    signature: Digest
    evidence: tuple[Digest, ...] = ()  # empty if an earlier attempt had signed
    ends: datetime | None = None  # when the first new signature expires


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
        release = self._check(decision, digest, now)
        # Nobody else signs for this stage; what an earlier call may have left unrecorded is revoked with the others.
        is_first = release.attempt == 1 and release.signature is None
        signed = _Signing(self, decision, digest, now, is_first).run()
        results: StepResults = {"signature": signed.signature}
        if signed.evidence:
            results |= {"evidence": signed.evidence, "signature_ends": signed.ends}
        if self.ledger.record(signed.release, **results).revoked:
            raise DecisionRefusedError(f"{decision.image}: revoked while it was signed; revoke it once more")
        return signed

    def _check(self, decision: Decision, digest: Digest, now: datetime) -> Release:
        """Return the open release of this decision. Raises `DecisionRefusedError` if it may not be signed."""
        decision.check_signable(self.images.registry, now)
        stage = self.records.policy(decision.policy).stage_of(decision.image.repository)
        if stage is None or stage.name != decision.stage:
            raise DecisionRefusedError(f"{decision.image}: its repository is not of stage {decision.stage}")
        release = self.ledger.latest(decision.image)
        if release is None or release.attempt != decision.attempt or not release.is_open:
            raise DecisionRefusedError(
                f"{decision.image}: attempt {decision.attempt} is over; release it again"
            )
        if (release.decision, release.policy, release.stage) != (digest, decision.policy, decision.stage):
            raise DecisionRefusedError(f"{decision.image}: {digest.short} is not its release's last decision")
        if release.revoked:
            raise DecisionRefusedError(f"{decision.image}: its signature was {release.revoked}")
        # Promote Image reads the image that the signature is about; nobody does after a last stage has signed.
        if stage.promotes_to is None and self.images.manifest(decision.image).descriptor != decision.subject:
            raise DecisionRefusedError(f"{decision.image}: media type or size are not those that were judged")
        return release


@dataclass(frozen=True, slots=True)
class _Signing:
    """The signing of one decision that was checked."""

    step: SignImage
    decision: Decision
    digest: Digest
    now: datetime
    is_first: bool  # no signature of the image itself is looked for

    def run(self) -> SignResult:
        """Return the signatures of this gate under this policy; make those that are missing."""
        known = [(subject, self._find(subject)) for subject in self._subjects()]
        signatures = [signature for _, signature in known if signature is not None]
        return (
            SignResult(self._release, signatures[0], tuple(signatures[1:]))
            if len(signatures) == len(known)
            else self._sign_all(known)
        )

    def _sign_all(self, known: Sequence[tuple[Descriptor, Digest | None]]) -> SignResult:
        """Push the verification summary, and a signature for each subject that has none."""
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
        ends: list[datetime] = []
        image, *platforms = (found or self._sign(subject, Digest.of(vsa), ends) for subject, found in known)
        return SignResult(self._release, image, (summary, *platforms), min(ends, default=None))

    @property
    def _release(self) -> ReleaseId:
        return ReleaseId(self.decision.image, self.decision.attempt)

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
        if self.is_first and subject == self.decision.subject:
            return None
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

    def _sign(self, subject: Descriptor, vsa: Digest, ends: list[datetime]) -> Digest:
        """Sign one subject, and add the end of the signature to `ends`."""
        payload = attestation.notation_payload(self.decision, self.digest, vsa, subject)
        envelope, annotations = self.step.signer.sign(self.decision.stage, payload)
        signed = self.step.signer.verify(envelope, subject, self.decision.stage, self.now, is_new=True)
        attestation.check_signed_decision(signed, self.decision.stage)
        if end := self.step.signer.ends(envelope):
            ends.append(end)
        kind = attestation.NOTATION_SIGNATURE
        return self._push(subject, envelope, _Form(attestation.JOSE, kind, kind, annotations))

    def _push(self, subject: Descriptor, content: bytes, form: _Form) -> Digest:
        """Push a piece of evidence. After the push the registry can only return these bytes: they are read by digest.

        A signature is checked before: because of one that is malformed, clients refuse all signatures of the image.
        """
        blob = Descriptor(form.media_type, Digest.of(content), len(content))
        manifest = Manifest.parse(
            attestation.evidence_manifest(
                subject.as_json(),
                attestation.describe_layer(blob, form.media_type, content),
                artifact_type=form.artifact_type,
                config_type=form.config_type,
                annotations=form.annotations,
            )
        )
        if form.artifact_type == attestation.NOTATION_SIGNATURE:
            read_signature_manifest(manifest.content, subject)
        self.step.registry.push_blob(self._repository, content)
        self._push_manifest(manifest)
        return manifest.digest

    def _push_manifest(self, manifest: Manifest) -> None:
        """Push a manifest. Its config `{}` is pushed only if the repository lacks it: other evidence has it, too."""
        try:
            self.step.registry.push_manifest(self._repository, manifest)
        except (RejectedInputError, RegistryUnavailableError):
            self.step.registry.push_blob(self._repository, attestation.EMPTY)
            self.step.registry.push_manifest(self._repository, manifest)

    def _verify(self, signature: Digest, subject: Descriptor) -> dict[str, str]:
        reference = ImageRef(self._repository, signature)
        return verify_signature(
            self.step.registry,
            self.step.signer,
            reference,
            subject,
            self.decision.stage,
            self.now + _RENEW_BEFORE,
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
