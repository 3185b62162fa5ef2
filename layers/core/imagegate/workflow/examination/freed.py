"""Find the blocked releases that would pass now, with other waivers or with another policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imagegate.errors import RejectedInputError
from imagegate.gate.decision_record import Decision
from imagegate.gate.verdict import VerdictOutcome
from imagegate.release.release import Outcome, Release
from imagegate.workflow.examination.replay import Replay

if TYPE_CHECKING:
    from imagegate.findings.finding import Versions
    from imagegate.gate.evaluation import EvaluationResult
    from imagegate.oci.image import Digest, ImageRef
    from imagegate.policy.policy import Policy
    from imagegate.policy.waiver import Waiver
    from imagegate.ports.ledger import ReleaseLists
    from imagegate.ports.records import StoredRecords

# Older releases start again only by hand, or with the next push.
_LOOKS_BACK = timedelta(days=30)
_MOST_RELEASES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class FindFreed:
    ledger: ReleaseLists
    records: StoredRecords
    versions: Versions

    def run(
        self,
        policy: Policy,
        waivers: Sequence[Waiver],
        now: datetime,
        is_wanted: Callable[[Release], bool],
    ) -> Iterator[Release]:
        """Yield the last attempt of each image, if it was blocked and would pass now."""
        for release, result in self.judge_again(policy, waivers, now, is_wanted):
            if result.verdict.outcome is VerdictOutcome.PASS:
                yield release

    def judge_again(
        self,
        policy: Policy,
        waivers: Sequence[Waiver],
        now: datetime,
        is_wanted: Callable[[Release], bool],
    ) -> Iterator[tuple[Release, EvaluationResult]]:
        """Yield the last attempt of each image that was blocked, with what its verdict would be now."""
        seen: set[ImageRef] = set()
        for release in self.ledger.recent(_MOST_RELEASES, now):
            if release.image in seen or now - release.started_at > _LOOKS_BACK:
                continue
            seen.add(release.image)
            if release.outcome is not Outcome.BLOCKED or release.decision is None or not is_wanted(release):
                continue
            if result := self._judge(release, release.decision, policy, waivers, now):
                yield release, result

    def _judge(
        self, release: Release, digest: Digest, policy: Policy, waivers: Sequence[Waiver], now: datetime
    ) -> EvaluationResult | None:
        """Return the result, or None if no stage has the image, or if it was judged before findings were kept."""
        stage = policy.stage_of(release.image.repository)
        if stage is None:
            return None
        try:
            decision = Decision.decode(self.records.decision(digest))
            return Replay(self.records, self.versions).run(decision, policy, stage, waivers, now)
        except RejectedInputError:
            return None  # the next push is judged again
