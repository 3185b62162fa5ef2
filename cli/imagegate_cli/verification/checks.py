"""What holds and what does not: signatures against trust roots and profiles, summaries against signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from imagegate.errors import RejectedInputError, RevocationError, RevokedError
from imagegate.evidence import attestation
from imagegate.evidence.signature_manifest import read_signature_manifest
from imagegate.oci.image import Descriptor, Digest
from imagegate_cli.verification.evidence import ImageEvidence, Piece, statement_of

if TYPE_CHECKING:
    from imagegate.notation.revocation import Revoked

# The stage whose profile this is; None: it is no gate's.
StageOf = Callable[[str], str | None]
# Checks that come after authenticity: where they fail, who signed is known all the same.
_AFTER_AUTHENTICITY = frozenset({"expiry", "authenticTimestamp", "revocation"})


class Kind(StrEnum):
    """Whose signature it is."""

    GATE = "gate"
    MANAGED = "ecr-managed"  # made by ECR on every push: says who pushed, not that it passed
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe. `roots`: SHA-256 of root certificates; `stage_of`: which profiles are gates.

    `managed`: profiles with which the registry signs by itself. `revoked`: asks AWS Signer; None: nobody is asked.
    """

    roots: frozenset[str]
    stage_of: StageOf
    managed: Callable[[], frozenset[str]] = frozenset
    revoked: Revoked | None = None


@dataclass(frozen=True, slots=True)
class CheckedSignature:
    """One signature, and what it says where it holds."""

    manifest: Digest
    signer: str = ""  # ARN of the signing profile, without version; by a trust policy: whom it trusts
    stage: str | None = None  # None: of no gate of ours
    kind: Kind | None = None  # None: who signed is not known, or not asked
    signed_at: datetime | None = None
    signed: dict[str, str] = field(default_factory=dict)  # our annotations
    failure: str = ""  # integrity, authenticity, …: which check failed
    problem: str = ""  # the sentence
    is_unknown: bool = False  # nobody could say whether it has been revoked
    logged: tuple[str, ...] = ()  # what a trust policy lets pass

    @property
    def holds(self) -> bool:
        return not self.problem

    @property
    def is_of_a_gate(self) -> bool:
        return self.kind is Kind.GATE

    def of(self, name: str) -> str:
        return self.signed.get(name, "")

    def failed(self, error: RejectedInputError) -> CheckedSignature:
        """In the words of the Notation specification: integrity, authenticity, expiry, …"""
        failure = str(getattr(error, "check", "")) or "integrity"
        is_unknown = isinstance(error, RevocationError) and not isinstance(error, RevokedError)
        return replace(self, failure=failure, problem=str(error), is_unknown=is_unknown)


def signatures_of(evidence: ImageEvidence, trust: Trust, now: datetime) -> Iterator[CheckedSignature]:
    for piece in evidence.signatures:
        if piece.problem:
            yield CheckedSignature(piece.manifest, failure="integrity", problem=piece.problem)
        else:
            yield _signature(piece, evidence, trust, now)


def _signature(piece: Piece, evidence: ImageEvidence, trust: Trust, now: datetime) -> CheckedSignature:
    from imagegate.notation.verifier import verify_envelope

    nobody = CheckedSignature(piece.manifest)
    try:
        profile = _profile(piece.content)
    except RejectedInputError as error:
        return nobody.failed(error)
    somebody = replace(nobody, signer=profile, stage=trust.stage_of(profile))
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
        failed = somebody.failed(error)
        is_known = failed.failure in _AFTER_AUTHENTICITY
        return _with_kind(failed, trust) if is_known else nobody.failed(error)
    found = replace(somebody, signed_at=verified.signing_time, signed=verified.annotations)
    return _told(_with_kind(found, trust), evidence, trust)


def _with_kind(found: CheckedSignature, trust: Trust) -> CheckedSignature:
    if found.stage:
        return replace(found, kind=Kind.GATE)
    return replace(found, kind=Kind.MANAGED if found.signer in trust.managed() else Kind.OTHER)


def _told(found: CheckedSignature, evidence: ImageEvidence, trust: Trust) -> CheckedSignature:
    """A gate's signature says so itself, and its summary is there and agrees."""
    if found.stage is None:
        return found
    try:
        attestation.check_signed_decision(found.signed, found.stage)
    except RejectedInputError as error:
        return _with_kind(replace(found, stage=None, failure="evidence", problem=str(error)), trust)
    problem = _summary_problem(found, evidence)
    return replace(found, failure="evidence", problem=problem) if problem else found


def _summary_problem(signature: CheckedSignature, evidence: ImageEvidence) -> str:
    wanted = signature.of(attestation.VSA)
    content = next((p.content for p in evidence.summaries if str(Digest.of(p.content)) == wanted), None)
    if content is None:
        if signature.of(attestation.INDEX):
            return ""  # of a platform: the summary is the index's
        return f"its verification summary {wanted[:19]} is not there"
    return summary_problem(statement_of(content), signature, evidence.subject)


def summary_problem(statement: dict[str, Any], signature: CheckedSignature, subject: Descriptor) -> str:
    """What of the summary contradicts the signature; empty: nothing."""
    predicate = statement.get("predicate")
    predicate = predicate if isinstance(predicate, dict) else {}
    policy, verifier = predicate.get("policy"), predicate.get("verifier")
    expected = {
        "subject": (_digests(statement.get("subject")), {subject.digest.hex}),
        "policy": (_digests([policy]), {signature.of(attestation.POLICY).removeprefix("sha256:")}),
        "verifier": (verifier.get("id") if isinstance(verifier, dict) else None, signature.signer),
        "result": (predicate.get("verificationResult"), "PASSED"),
    }
    for name, (found, wanted) in expected.items():
        if found != wanted:
            return f"its verification summary has another {name}"
    if signature.of(attestation.DECISION).removeprefix("sha256:") not in _digests(
        predicate.get("inputAttestations")
    ):
        return "its verification summary does not name the decision that was signed"
    return ""


def _digests(listed: Any) -> set[str]:
    found = (
        [entry.get("digest") for entry in listed if isinstance(entry, dict)]
        if isinstance(listed, list)
        else []
    )
    return {str(digest.get("sha256")) for digest in found if isinstance(digest, dict)}


def _profile(envelope: bytes) -> str:
    """The profile that an envelope names, as yet unverified."""
    from imagegate.errors import AuthenticityError
    from imagegate.notation.jws import parse_envelope

    version = parse_envelope(envelope).protected.get("com.amazonaws.signer.signingProfileVersion")
    if not isinstance(version, str):
        raise AuthenticityError("not made by AWS Signer: it names no signing profile")
    return version.rpartition("/")[0]
