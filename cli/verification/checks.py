"""What holds and what does not: signatures against trust roots and profiles, summaries against signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cli.verification.evidence import Evidence, Piece, statement_of
from imagegate.domain import attestation
from imagegate.domain.errors import RejectedInputError
from imagegate.domain.image import Descriptor, Digest

# The stage whose profile this is; None: it is no gate's.
StageOf = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe. `roots`: SHA-256 of root certificates; `stage_of`: which profiles are gates."""

    roots: frozenset[str]
    stage_of: StageOf


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature, and what it says where it holds."""

    manifest: Digest
    profile: str = ""  # ARN, without version
    stage: str | None = None  # None: of no gate of ours
    signed_at: datetime | None = None
    signed: dict[str, str] = field(default_factory=dict)  # our annotations
    failure: str = ""  # integrity, authenticity, …: which check failed
    problem: str = ""  # the sentence

    @property
    def holds(self) -> bool:
        return not self.problem

    @property
    def is_of_a_gate(self) -> bool:
        return self.stage is not None

    def of(self, name: str) -> str:
        return self.signed.get(name, "")


def signatures_of(evidence: Evidence, trust: Trust, now: datetime) -> Iterator[Signature]:
    for piece in evidence.signatures:
        yield _signature(piece, evidence, trust, now)


def _signature(piece: Piece, evidence: Evidence, trust: Trust, now: datetime) -> Signature:
    from imagegate.adapters.notation import verify_envelope

    if piece.problem:
        return Signature(piece.manifest, failure="integrity", problem=piece.problem)
    try:
        profile = _profile(piece.content)
        stage = trust.stage_of(profile)
        verified = verify_envelope(
            piece.content, evidence.subject, trusted_roots=trust.roots, identity=profile, at=now
        )
    except RejectedInputError as error:
        return Signature(piece.manifest, failure=_failure(error), problem=str(error))
    found = Signature(piece.manifest, profile, stage, verified.signing_time, verified.annotations)
    return _told(found, evidence) if stage else found


def _told(signature: Signature, evidence: Evidence) -> Signature:
    """A gate's signature says so itself, and its summary is there and agrees."""
    problem = ""
    if signature.of(attestation.STAGE) != signature.stage:
        problem = f"says stage {signature.of(attestation.STAGE)!r}, by the profile of {signature.stage}"
    else:
        problem = _summary_problem(signature, evidence)
    if not problem:
        return signature
    return Signature(
        signature.manifest,
        signature.profile,
        signature.stage,
        signature.signed_at,
        signature.signed,
        "evidence",
        problem,
    )


def _summary_problem(signature: Signature, evidence: Evidence) -> str:
    wanted = signature.of(attestation.VSA)
    content = next((p.content for p in evidence.summaries if str(Digest.of(p.content)) == wanted), None)
    if content is None:
        if signature.of(attestation.INDEX):
            return ""  # of a platform: the summary is the index's
        return f"its verification summary {wanted[:19]} is not there"
    return summary_problem(statement_of(content), signature, evidence.subject)


def summary_problem(statement: dict[str, Any], signature: Signature, subject: Descriptor) -> str:
    """What of the summary contradicts the signature; empty: nothing."""
    predicate = statement.get("predicate")
    predicate = predicate if isinstance(predicate, dict) else {}
    policy, verifier = predicate.get("policy"), predicate.get("verifier")
    expected = {
        "subject": (_digests(statement.get("subject")), {subject.digest.hex}),
        "policy": (_digests([policy]), {signature.of(attestation.POLICY).removeprefix("sha256:")}),
        "verifier": (verifier.get("id") if isinstance(verifier, dict) else None, signature.profile),
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
    from imagegate.adapters.jws import parse_envelope
    from imagegate.domain.errors import AuthenticityError

    version = parse_envelope(envelope).protected.get("com.amazonaws.signer.signingProfileVersion")
    if not isinstance(version, str):
        raise AuthenticityError("not made by AWS Signer: it names no signing profile")
    return version.rpartition("/")[0]


def _failure(error: RejectedInputError) -> str:
    """In the words of the Notation specification: integrity, authenticity, expiry, …"""
    return str(getattr(error, "check", "")) or "integrity"
