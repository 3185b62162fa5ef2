"""Verifying by a Notation trust policy and trust stores of one's own, instead of by the gates' signing profiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli.faults import CannotTellError
from cli.verification.checks import Signature
from cli.verification.evidence import Evidence
from imagegate.domain.errors import RejectedInputError

if TYPE_CHECKING:
    from imagegate.adapters.notation_policy import TrustPolicy
    from imagegate.adapters.notation_revocation import Revoked
    from imagegate.adapters.notation_trust import TrustStores

_STORES = "truststore"  # beside trustpolicy.json: "Directory Structure" of the Notary Project


@dataclass(frozen=True, slots=True)
class ByPolicy:
    """The policy that applies to the image's repository, and the stores that it may name."""

    policy: TrustPolicy
    stores: TrustStores
    revoked: Revoked


def read(file: Path, stores: Path | None, repository: str) -> ByPolicy:
    """`repository`: fully qualified. `stores`: default: `truststore` beside the file. Raises `CannotTellError`."""
    from imagegate.adapters.notation_policy import Level
    from imagegate.adapters.notation_policy_document import parse_trust_policy
    from imagegate.adapters.notation_revocation import AwsRevocations
    from imagegate.adapters.notation_trust import read_trust_stores

    folder = stores or file.parent / _STORES
    try:
        policy = parse_trust_policy(file.read_bytes()).select(repository)
        found = read_trust_stores(folder)
    except OSError as error:
        raise CannotTellError(f"{error.filename}: {error.strerror}") from error
    except RejectedInputError as error:
        raise CannotTellError(f"{file}: {error}") from error
    if policy.verification.level is Level.SKIP:
        raise CannotTellError(f"{file}: its policy {policy.name} skips {repository}: nothing is verified")
    return ByPolicy(policy, found, AwsRevocations())


def signatures_of(evidence: Evidence, by: ByPolicy, now: datetime) -> Iterator[Signature]:
    from imagegate.adapters.notation import verify

    for piece in evidence.signatures:
        found = Signature(piece.manifest)
        if piece.problem:
            yield replace(found, failure="integrity", problem=piece.problem)
            continue
        try:
            verified = verify(
                piece.content, evidence.subject, by.policy, by.stores, at=now, revoked=by.revoked
            )
            piece.check_chain(verified.chain)
        except RejectedInputError as error:
            yield found.failed(error)
            continue
        yield replace(
            found,
            signer=verified.identity,
            signed_at=verified.signing_time,
            signed=verified.annotations,
            logged=tuple(str(error) for _, error in verified.logged),
        )
