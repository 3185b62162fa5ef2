"""Verifies by a Notation trust policy and trust stores of the caller, instead of by the gates' signing profiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from imagegate.errors import RejectedInputError
from imagegate_cli.faults import CannotTellError
from imagegate_cli.verification.checks import CheckedSignature
from imagegate_cli.verification.evidence import ImageEvidence, Piece

if TYPE_CHECKING:
    from imagegate.notation.verifier import Verifier

_STORES = "truststore"  # beside trustpolicy.json: "Directory Structure" of the Notary Project


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """A trust policy that applies to a repository; `name` is the policy's."""

    verifier: Verifier
    repository: str  # fully qualified
    name: str


def read(file: Path, stores: Path | None, repository: str) -> AppliedPolicy:
    """Read the policy and its stores; by default `truststore` beside the file. Raises `CannotTellError`."""
    from imagegate.notation.revocation import AwsRevocations
    from imagegate.notation.trust_policy import Level
    from imagegate.notation.trust_policy_document import parse_trust_policy
    from imagegate.notation.trust_store import read_trust_stores
    from imagegate.notation.verifier import Verifier

    try:
        policies = parse_trust_policy(file.read_bytes())
        policy = policies.select(repository)
        trust_stores = read_trust_stores(stores or file.parent / _STORES)
    except OSError as error:
        raise CannotTellError(f"{error.filename}: {error.strerror}") from error
    except RejectedInputError as error:
        raise CannotTellError(f"{file}: {error}") from error
    if policy.verification.level is Level.SKIP:
        raise CannotTellError(f"{file}: its policy {policy.name} skips {repository}: nothing is verified")
    return AppliedPolicy(Verifier(policies, trust_stores, AwsRevocations()), repository, policy.name)


def signatures_of(
    evidence: ImageEvidence, policy: AppliedPolicy, now: datetime
) -> Iterator[CheckedSignature]:
    """Check each signature by the trust policy."""
    for piece in evidence.signatures:
        if piece.problem:
            yield CheckedSignature(piece.manifest, failure="integrity", problem=piece.problem)
        else:
            yield _signature(piece, evidence, policy, now)


def _signature(
    piece: Piece, evidence: ImageEvidence, policy: AppliedPolicy, now: datetime
) -> CheckedSignature:
    unchecked = CheckedSignature(piece.manifest)
    try:
        verified = policy.verifier.verify(
            policy.repository, evidence.subject, piece.described, lambda _: piece.content, at=now
        )
    except RejectedInputError as error:
        return unchecked.failed(error)
    return replace(
        unchecked,
        signer=verified.identity,
        signed_at=verified.signing_time,
        signed=verified.annotations,
        logged=tuple(str(error) for _, error in verified.logged),
    )
