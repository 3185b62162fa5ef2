"""What the ledger keeps from one release to the next: clocks, bases, what stands, what was done once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from imagegate.aws import ledger_items as items
from imagegate.aws.dynamodb import DynamoTable
from imagegate.findings.finding import Place
from imagegate.gate.facts import BaseImage
from imagegate.gate.finding_rules import Clock
from imagegate.release.release import CurrentRelease

# Longer than any call in which something is claimed and done; Lambda tries a failed event again after a minute.
_CLAIM_LASTS = timedelta(seconds=55)


class LastingLedger(DynamoTable):
    """One table with the releases; its items are described in `ledger_items`."""

    def clocks(self, application: str) -> dict[Place, Clock]:
        found = self._query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": items.clocks_key(application)}},
            ConsistentRead=True,
        )
        return dict(map(items.read_clock, found))

    def keep_clocks(self, application: str, clocks: Mapping[Place, Clock]) -> None:
        """Whoever keeps them has read them; of two that see something first at once, either is right."""
        self._write_all([items.write_clock(application, place, clock) for place, clock in clocks.items()])

    def note_base(self, base: BaseImage) -> None:
        item = items.write_base(base)
        self._put(item)
        newer = "attribute_not_exists(pk) OR releasedAt <= :ours"
        latest = {**item, **items.latest_base_key(base.image.repository)}
        self._put(latest, newer, {":ours": item["releasedAt"]})

    def bases(self, chain_ids: Sequence[str], stages: Iterable[str]) -> list[BaseImage]:
        keys = [items.base_key(chain_id, stage) for chain_id in chain_ids for stage in sorted(stages)]
        return [items.read_base(item) for item in self._read_all(keys)]

    def latest_base(self, repository: str) -> BaseImage | None:
        item = self._get(items.latest_base_key(repository))
        return None if item is None else items.read_base(item)

    def note_current_release(self, standing: CurrentRelease) -> None:
        item = items.write_standing(standing)
        newer = "attribute_not_exists(pk) OR pushedAt <= :ours"
        self._put(item, newer, {":ours": item["pushedAt"]})

    def current_release(self, repository: str) -> CurrentRelease | None:
        item = self._get(items.standing_key(repository))
        return None if item is None else items.read_standing(item)

    def note(self, notice: str) -> None:
        self._put(items.notice_key(notice))

    def claim(self, notice: str, now: datetime) -> bool:
        """One write decides between all who notice the same at once; who is killed at it leaves it to the next."""
        claim = items.write_notice_claim(notice, now, by=uuid.uuid4().hex)
        # The third: a write that was answered to nobody is sent again by the SDK.
        free = "attribute_not_exists(pk) OR claimedAt < :stale OR claimedBy = :us"
        stale = {"S": items.moment(now - _CLAIM_LASTS)}
        return self._put(claim, free, {":stale": stale, ":us": claim["claimedBy"]})

    def is_noted(self, notice: str) -> bool:
        return self._get(items.notice_key(notice)) is not None
