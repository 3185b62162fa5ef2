"""Notices in the ledger: things that are done once, and announced differences; and the time of the installation."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import moment, reading, text
from imagegate.canonical_json import parse_timestamp
from imagegate.ports.pending import Turn

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

    def noted(self, notices: Sequence[str]) -> set[str]:
        items = self._table.read_all([keys.notice(notice) for notice in notices], attributes=("pk",))
        names = {item["pk"] for item in items}
        return {notice for notice in notices if keys.notice(notice)["pk"] in names}

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


class DynamoDrifts:
    """One item for each repository that has differed from the baseline."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def known_drifts(self, subjects: Sequence[str]) -> dict[str, frozenset[str]]:
        items = self._table.read_all([keys.drift(subject) for subject in subjects])
        known = {item["pk"].removeprefix("DRIFT#"): frozenset(item.get("known", ())) for item in items}
        return {subject: names for subject, names in known.items() if names}

    def keep_drifts(self, subject: str, names: Collection[str]) -> None:
        # DynamoDB has no empty sets.
        self._table.put({**keys.drift(subject), **({"known": set(names)} if names else {})})


class DynamoTurns:
    """One item per work: its notes, and who has the turn until when."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def take_turn(self, work: str, now: datetime, lasts: timedelta) -> Turn | None:
        us, at = uuid.uuid4().hex, moment(now)
        is_free = "attribute_not_exists(heldUntil) OR heldUntil <= :now OR heldBy = :us"
        values = {":now": at, ":us": us, ":until": moment(now + lasts)}
        take = "SET heldBy = :us, heldUntil = :until"
        item = self._table.update(keys.turn(work), take, is_free, values)
        if item is None:
            return None
        return Turn(work, us, json.loads(item.get("notes", "{}")))

    def note_progress(self, turn: Turn, notes: Mapping[str, Any]) -> None:
        self._write_notes(turn, "SET notes = :notes", notes)

    def end_turn(self, turn: Turn, notes: Mapping[str, Any]) -> None:
        self._write_notes(turn, "SET notes = :notes REMOVE heldBy, heldUntil", notes)

    def _write_notes(self, turn: Turn, change: str, notes: Mapping[str, Any]) -> None:
        values = {":us": turn.holder, ":notes": json.dumps(notes)}
        self._table.update(keys.turn(turn.work), change, "heldBy = :us", values)
