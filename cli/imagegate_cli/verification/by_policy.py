"""Verifying by a Notation trust policy and trust stores of one's own, instead of by the gates' signing profiles."""

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
class ByPolicy:
    """`name`: of the policy that applies to the repository."""

    verifier: Verifier
    repository: str  # fully qualified
    name: str


def read(file: Path, stores: Path | None, repository: str) -> ByPolicy:
    """`stores`: default: `truststore` beside the file. Raises `CannotTellError`."""
    from imagegate.notation.revocation import AwsRevocations
    from imagegate.notation.trust_policy import Level
    from imagegate.notation.trust_policy_document import parse_trust_policy
    from imagegate.notation.trust_store import read_trust_stores
    from imagegate.notation.verifier import Verifier

    try:
        policies = parse_trust_policy(file.read_bytes())
        policy = policies.select(repository)
        found = read_trust_stores(stores or file.parent / _STORES)
    except OSError as error:
        raise CannotTellError(f"{error.filename}: {error.strerror}") from error
    except RejectedInputError as error:
        raise CannotTellError(f"{file}: {error}") from error
    if policy.verification.level is Level.SKIP:
        raise CannotTellError(f"{file}: its policy {policy.name} skips {repository}: nothing is verified")
    return ByPolicy(Verifier(policies, found, AwsRevocations()), repository, policy.name)


def signatures_of(evidence: ImageEvidence, by: ByPolicy, now: datetime) -> Iterator[CheckedSignature]:
    for piece in evidence.signatures:
        if piece.problem:
            yield CheckedSignature(piece.manifest, failure="integrity", problem=piece.problem)
        else:
            yield _signature(piece, evidence, by, now)


def _signature(piece: Piece, evidence: ImageEvidence, by: ByPolicy, now: datetime) -> CheckedSignature:
    found = CheckedSignature(piece.manifest)
    try:
        verified = by.verifier.verify(
            by.repository, evidence.subject, piece.described, lambda _: piece.content, at=now
        )
    except RejectedInputError as error:
        return found.failed(error)
    return replace(
        found,
        signer=verified.identity,
        signed_at=verified.signing_time,
        signed=verified.annotations,
        logged=tuple(str(error) for _, error in verified.logged),
    )
