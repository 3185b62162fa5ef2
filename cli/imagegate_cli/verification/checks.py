"""Checks signatures against trust roots and signing profiles, and verification summaries against signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from imagegate.errors import RejectedInputError, RevocationError, RevokedError, UntrustedRootError
from imagegate.evidence import attestation
from imagegate.evidence.signature_manifest import read_signature_manifest
from imagegate.oci.image import Descriptor, Digest
from imagegate_cli.verification.evidence import ImageEvidence, Piece, statement_of

if TYPE_CHECKING:
    from imagegate.notation.revocation import Revoked

# Returns the stage of a signing profile, or None if it is not a gate's.
StageOf = Callable[[str], str | None]
# Checks that come after authenticity: if they fail, the signer is known.
_AFTER_AUTHENTICITY = frozenset({"expiry", "authenticTimestamp", "revocation"})


class Kind(StrEnum):
    """The kind of signer."""

    GATE = "gate"
    MANAGED = "ecr-managed"  # made by ECR on every push: says who pushed, not that it passed
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Trust:
    """The trusted signers. `roots` are SHA-256 of root certificates; `stage_of` tells which profiles are gates'.

    `managed` returns the profiles with which the registry signs by itself. `revoked` asks AWS Signer about revocations;
    with None they are not checked.
    """

    roots: frozenset[str]
    stage_of: StageOf
    managed: Callable[[], frozenset[str]] = frozenset
    revoked: Revoked | None = None


@dataclass(frozen=True, slots=True)
class CheckedSignature:
    """A signature with the result of its check, and its annotations if it is valid."""

    manifest: Digest
    signer: str = ""  # ARN of the signing profile, without version; with a trust policy its trusted identity
    stage: str | None = None  # None if no gate of ours has signed
    kind: Kind | None = None  # None if the signer is unknown, or does not matter
    signed_at: datetime | None = None
    signed: dict[str, str] = field(default_factory=dict)  # our annotations
    failure: str = ""  # the check that failed: integrity, authenticity, …
    problem: str = ""  # the message of the failed check
    has_untrusted_root: bool = False  # its chain is complete, but no trusted root is in it
    is_unknown: bool = False  # AWS Signer did not say whether it has been revoked
    logged: tuple[str, ...] = ()  # failed checks that a trust policy only logs

    @property
    def holds(self) -> bool:
        return not self.problem

    @property
    def is_of_a_gate(self) -> bool:
        return self.kind is Kind.GATE

    def of(self, name: str) -> str:
        """Return an annotation that was signed; empty if there is none."""
        return self.signed.get(name, "")

    def failed(self, error: RejectedInputError) -> CheckedSignature:
        """Return the signature with its failed check, named as in the Notation specification."""
        failure = str(getattr(error, "check", "")) or "integrity"
        is_unknown = isinstance(error, RevocationError) and not isinstance(error, RevokedError)
        is_untrusted = isinstance(error, UntrustedRootError)
        return replace(
            self,
            failure=failure,
            problem=str(error),
            is_unknown=is_unknown,
            has_untrusted_root=is_untrusted,
        )


def signatures_of(evidence: ImageEvidence, trust: Trust, now: datetime) -> Iterator[CheckedSignature]:
    """Check each signature of the image."""
    for piece in evidence.signatures:
        if piece.problem:
            yield CheckedSignature(piece.manifest, failure="integrity", problem=piece.problem)
        else:
            yield _signature(piece, evidence, trust, now)


def _signature(piece: Piece, evidence: ImageEvidence, trust: Trust, now: datetime) -> CheckedSignature:
    from imagegate.notation.verifier import verify_envelope

    unknown = CheckedSignature(piece.manifest)
    try:
        profile = _profile(piece.content)
    except RejectedInputError as error:
        return unknown.failed(error)
    claimed = replace(unknown, signer=profile, stage=trust.stage_of(profile))
    try:
        verified = verify_envelope(
            piece.content,
            evidence.subject,
            trusted_roots=trust.roots,
            identity=profile,
            at=now,
            revoked=trust.revoked,
        )
        if piece.described:
            read_signature_manifest(piece.described, evidence.subject).check_chain(verified.chain)
    except RejectedInputError as error:
        failed = claimed.failed(error)
        is_known = failed.failure in _AFTER_AUTHENTICITY
        return _with_kind(failed, trust) if is_known else unknown.failed(error)
    valid = replace(claimed, signed_at=verified.signing_time, signed=verified.annotations)
    return _check_evidence(_with_kind(valid, trust), evidence, trust)


def _with_kind(signature: CheckedSignature, trust: Trust) -> CheckedSignature:
    if signature.stage:
        return replace(signature, kind=Kind.GATE)
    return replace(signature, kind=Kind.MANAGED if signature.signer in trust.managed() else Kind.OTHER)


def _check_evidence(signature: CheckedSignature, evidence: ImageEvidence, trust: Trust) -> CheckedSignature:
    """Check that a gate's signature names the gate, and that its summary exists and agrees with it."""
    if signature.stage is None:
        return signature
    try:
        attestation.check_signed_decision(signature.signed, signature.stage)
    except RejectedInputError as error:
        return _with_kind(replace(signature, stage=None, failure="evidence", problem=str(error)), trust)
    problem = _summary_problem(signature, evidence)
    return replace(signature, failure="evidence", problem=problem) if problem else signature


def _summary_problem(signature: CheckedSignature, evidence: ImageEvidence) -> str:
    wanted = signature.of(attestation.VSA)
    content = next((p.content for p in evidence.summaries if str(Digest.of(p.content)) == wanted), None)
    if content is None:
        if signature.of(attestation.INDEX):
            return ""  # a platform's signature: the summary is attached to the index
        return f"its verification summary {wanted[:19]} is missing"
    return summary_problem(statement_of(content), signature, evidence.subject)


def summary_problem(statement: dict[str, Any], signature: CheckedSignature, subject: Descriptor) -> str:
    """Return how the summary contradicts the signature; empty if it does not."""
    predicate = statement.get("predicate")
    predicate = predicate if isinstance(predicate, dict) else {}
    policy, verifier = predicate.get("policy"), predicate.get("verifier")
    expected = {
        "subject": (_digests(statement.get("subject")), {subject.digest.hex}),
        "policy": (_digests([policy]), {signature.of(attestation.POLICY).removeprefix("sha256:")}),
        "verifier": (verifier.get("id") if isinstance(verifier, dict) else None, signature.signer),
        "result": (predicate.get("verificationResult"), "PASSED"),
    }
    for name, (actual, wanted) in expected.items():
        if actual != wanted:
            return f"its verification summary has another {name}"
    if signature.of(attestation.DECISION).removeprefix("sha256:") not in _digests(
        predicate.get("inputAttestations")
    ):
        return "its verification summary does not name the decision that was signed"
    return ""


def _digests(listed: Any) -> set[str]:
    entries = listed if isinstance(listed, list) else []
    digests = [entry.get("digest") for entry in entries if isinstance(entry, dict)]
    return {str(digest.get("sha256")) for digest in digests if isinstance(digest, dict)}


def _profile(envelope: bytes) -> str:
    """Return the profile that an envelope names. It is not verified yet."""
    from imagegate.errors import AuthenticityError
    from imagegate.notation.jws import parse_envelope

    version = parse_envelope(envelope).protected.get("com.amazonaws.signer.signingProfileVersion")
    if not isinstance(version, str):
        raise AuthenticityError("not made by AWS Signer: it names no signing profile")
    return version.rpartition("/")[0]
