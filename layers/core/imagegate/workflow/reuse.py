"""Reuse: a new tag of a released image gets the verdict of the last attempt while that is valid.

Rules: the last attempt released the image under the same policy, with a PASS that may still be signed. The verdict did
not depend on tags, on waivers, or on time in the stage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from imagegate.errors import RecordNotFoundError
from imagegate.gate.decision_record import VALID_FOR, Decision
from imagegate.gate.verdict import VerdictOutcome
from imagegate.release.release import Outcome, Release, ReleaseId, StartReason

if TYPE_CHECKING:
    from imagegate.oci.image import Digest
    from imagegate.policy.policy import Stage
    from imagegate.ports.ledger import RecordedReleases
    from imagegate.ports.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class ReuseVerdict:
    ledger: RecordedReleases
    records: Records

    def run(self, release: Release, stage: Stage, now: datetime) -> Digest | None:
        """Write a record with the verdict of the last attempt. Return None if the image has to be judged."""
        before = self._before(release)
        if (
            before is None
            or before.decision is None
            or stage.soak
            or stage.image.tags
            or stage.image.forbidden_tags
        ):
            return None
        decision = Decision.decode(self.records.decision(before.decision))
        is_valid = decision.verdict is VerdictOutcome.PASS and now - decision.judged_at < VALID_FOR
        if not is_valid or decision.waivers or decision.stage != stage.name:
            return None
        digest = self.records.put_decision(replace(decision, attempt=release.attempt).encode())
        self.ledger.record(
            release.id,
            verdict=str(decision.verdict),
            attention=before.attention,
            reasons=decision.short_reasons,
            remedies=(),
            decision=digest,
            platforms=before.platforms,
            ending=None,
        )
        return digest

    def _before(self, release: Release) -> Release | None:
        if release.reason is not StartReason.NEW_TAG:
            return None
        try:
            before = self.ledger.get(ReleaseId(release.image, release.attempt - 1))
        except RecordNotFoundError:
            return None
        is_alike = before.outcome is Outcome.RELEASED and before.policy == release.policy
        return before if is_alike and before.signature and not before.revoked else None
