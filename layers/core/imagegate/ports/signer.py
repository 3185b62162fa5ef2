"""Signatures of the gates, made and checked by AWS Signer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from imagegate.oci.image import Descriptor


class Signer(Protocol):
    """The signing profiles of the gates: one per stage."""

    def make_profile(self, stage: str) -> None:
        """Make sure that the stage's profile exists and is active."""

    def profile_arn(self, stage: str) -> str:
        """Return the ARN of the stage's profile."""

    def sign(self, stage: str, payload: bytes) -> tuple[bytes, dict[str, str]]:
        """Sign a Notation payload. Return the JWS envelope and the annotations of the signature manifest."""

    def verify(
        self, envelope: bytes, subject: Descriptor, stage: str, at: datetime, *, is_new: bool = False
    ) -> dict[str, str]:
        """Check an envelope by this stage's profile and return the signed annotations. Raises `VerificationError`.

        `is_new`: it was made a moment ago, and nobody has it who could have revoked it.
        """

    def ends(self, envelope: bytes) -> datetime | None:
        """Return when a signature of `sign` expires, or None if it does not."""

    def revoke(self, envelope: bytes, stages: Iterable[str], reason: str) -> str | None:
        """Revoke the signature, also a second time. Return its stage, or None if none of these stages made it."""
