"""Notices in the ledger: things that are done once; and the time of the installation."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import moment, reading, text
from imagegate.canonical_json import parse_timestamp

if TYPE_CHECKING:
    from imagegate.aws.dynamodb import DynamoTable

# Longer than any call that claims and does something; Lambda repeats a failed event after a minute.
_CLAIM_LASTS = timedelta(seconds=55)


class DynamoNotices:
    """One item per notice. While it is only claimed it has `claimedAt` and `claimedBy`; once it is done, neither."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def note(self, notice: str) -> None:
        self._table.put(keys.notice(notice))

    def claim(self, notice: str, now: datetime) -> bool:
        """Decide by one write between all callers; the claim of a caller that was killed ends by itself."""
        us = uuid.uuid4().hex
        claim = {**keys.notice(notice), "claimedAt": moment(now), "claimedBy": us}
        # The third condition: the SDK repeats a write whose response was lost, and then finds its own claim.
        is_free = "attribute_not_exists(pk) OR claimedAt < :stale OR claimedBy = :us"
        return self._table.put(claim, is_free, {":stale": moment(now - _CLAIM_LASTS), ":us": us})

    def is_noted(self, notice: str) -> bool:
        return self._table.get(keys.notice(notice)) is not None

    def installed_at(self, now: datetime) -> datetime:
        """Store the time of the installation unless one is stored, and return the stored time."""
        self._table.put({**keys.INSTALLATION, "installedAt": moment(now)}, "attribute_not_exists(pk)")
        return self.installation() or now

    def installation(self) -> datetime | None:
        """Return the time of the installation, or None if none is stored."""
        item = self._table.get(keys.INSTALLATION)
        if item is None:
            return None
        with reading(item):
            return parse_timestamp(text(item, "installedAt"))
