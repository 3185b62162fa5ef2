"""Attempts of releases in the ledger: conditional writes decide every race, consistent reads every decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack

from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import moment
from imagegate.aws.ledger.periods import open_parts, read_period
from imagegate.aws.ledger.release_item import (
    OPTIONAL,
    optional,
    read_history,
    read_release,
    write_platform,
    write_release,
)
from imagegate.aws.ledger.waiting import WAITING
from imagegate.errors import RecordNotFoundError
from imagegate.ports.ledger import StepResults
from imagegate.release.release import ReleaseId

if TYPE_CHECKING:
    from imagegate.aws.dynamodb import DynamoTable
    from imagegate.oci.image import Digest, ImageRef
    from imagegate.release.release import History, Outcome, Release
    from imagegate.release.revocation import Revocation

BY_REPOSITORY = "by-repository"
_FIRST_PAGE = 25  # enough for most readers
_RECORDED = frozenset(StepResults.__annotations__)
# These fields prove how an attempt ends.
_PROOF = ("verdict", "decision", "signature", "break_glass", "revoked", "ending")
_EXISTS = "attribute_exists(pk)"
_IS_OPEN = "attribute_exists(pk) AND attribute_not_exists(outcome)"


class DynamoReleases:
    """One item per attempt, and one per platform that was released with an index."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def latest(self, image: ImageRef) -> Release | None:
        items = self._table.partition(keys.image(image), prefix=keys.ATTEMPT, newest_first=True, limit=1)
        return next(map(read_release, items), None)

    def history(self, image: ImageRef) -> History:
        return read_history(self._table.partition(keys.image(image), newest_first=True))

    def get(self, release: ReleaseId) -> Release:
        item = self._table.get(keys.attempt(release))
        if item is None:
            raise RecordNotFoundError(f"{release} was never begun")
        return read_release(item)

    def recent(
        self,
        since: datetime,
        until: datetime,
        *,
        outcome: Outcome | None = None,
        digest: Digest | None = None,
    ) -> Iterator[Release]:
        equal = {
            name: str(value)
            for name, value in (("outcome", outcome), ("digest", digest))
            if value is not None
        }
        return map(read_release, read_period(self._table, since, until, equal))

    def recent_of_repository(self, repository: str) -> Iterator[Release]:
        items = self._table.index(
            BY_REPOSITORY, "repository", repository, newest_first=True, limit=_FIRST_PAGE
        )
        return map(read_release, items)

    def begun(self, images: Sequence[ImageRef]) -> dict[ImageRef, frozenset[str]]:
        first = [keys.attempt(ReleaseId(image, 1)) for image in images]
        items = {item["pk"]: item for item in self._table.read_all(first, attributes=("pk", "tags"))}
        return {
            image: frozenset(items[key].get("tags", ()))
            for image in images
            if (key := keys.image(image)) in items
        }

    def open_releases(self) -> Iterator[Release]:
        for part in open_parts():
            yield from map(read_release, self._table.index(WAITING, "waiting", part))

    def begin(self, release: Release) -> bool:
        return self._table.put(write_release(release), "attribute_not_exists(pk)")

    def join(self, release: ReleaseId, tags: frozenset[str], pushed_at: datetime) -> bool:
        """Add tags and a later push. A repeated event is no change, so that no step has to look again."""
        known = self.get(release)
        is_later = known.pushed_at is None or pushed_at > known.pushed_at
        if known.is_open and tags <= known.tags and not is_later:
            return True
        values: dict[str, Any] = {":one": 1, **({":tags": tags} if tags else {})}
        adds = "ADD changes :one" + (", tags :tags" if tags else "")
        if is_later:
            newer = f"{_IS_OPEN} AND (attribute_not_exists(pushedAt) OR pushedAt < :pushed)"
            pushed = values | {":pushed": moment(pushed_at)}
            if self._table.update(keys.attempt(release), f"SET pushedAt = :pushed {adds}", newer, pushed):
                return True
        return self._table.update(keys.attempt(release), adds, _IS_OPEN, values) is not None

    def record(self, release: ReleaseId, **results: Unpack[StepResults]) -> Release:
        """Record the results of a step; an earlier result is removed by None or an empty value."""
        unknown = results.keys() - _RECORDED
        if unknown:
            raise TypeError(f"no step records {', '.join(sorted(unknown))}")
        given = optional(results)
        gone = [OPTIONAL[name][0] for name in results if OPTIONAL[name][0] not in given]
        changed = self._change(release, _EXISTS, given, gone) if results else None
        return changed or self.get(release)

    def close(
        self,
        release: ReleaseId,
        outcome: Outcome,
        seen: int | None,
        at: datetime,
        detail: str,
        proof: Release | None = None,
    ) -> Release | None:
        given = optional({"outcome": outcome, "closed_at": at, "detail": detail})
        condition, values = _unchanged_since(proof) if proof else (_IS_OPEN, {})
        if seen is not None:
            condition, values = f"{condition} AND changes = :seen", {**values, ":seen": seen}
        if closed := self._change(release, condition, given, ["waiting", "since"], values):
            return closed
        known = self.get(release)
        return known if known.outcome is outcome else None

    def note_announcement(self, release: ReleaseId, message_id: str) -> None:
        if not self._change(release, _EXISTS, optional({"message_id": message_id})):
            self._require(release)

    def revoke(self, release: ReleaseId, revocation: Revocation) -> None:
        first = f"{_EXISTS} AND attribute_not_exists(revoked)"
        if not self._change(release, first, optional({"revoked": revocation})):
            self._require(release)

    def note_platforms(self, release: Release) -> None:
        for platform in release.platforms:
            self._table.put(write_platform(release, platform))

    def _change(
        self,
        release: ReleaseId,
        condition: str,
        given: Mapping[str, str],
        gone: list[str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> Release | None:
        """Set and remove attributes if the condition holds; return the attempt as it is now, or None.

        The names of attributes are placeholders: many are reserved words.
        """
        names = {f"#{attribute}": attribute for attribute in [*given, *(gone or ())]}
        sets = ", ".join(f"#{attribute} = :{attribute}" for attribute in given)
        removes = ", ".join(f"#{attribute}" for attribute in gone or ())
        expression = f"{f'SET {sets}' if sets else ''} {f'REMOVE {removes}' if removes else ''}".strip()
        all_values = {f":{attribute}": value for attribute, value in given.items()} | dict(values or {})
        item = self._table.update(keys.attempt(release), expression, condition, all_values, names)
        return None if item is None else read_release(item)

    def _require(self, release: ReleaseId) -> None:
        """Raise `RecordNotFoundError` if the attempt was never begun."""
        self.get(release)


def _unchanged_since(release: Release) -> tuple[str, dict[str, Any]]:
    """Return the condition that it is open and that what proves its end is as in this reading, and the values."""
    proof = optional({name: getattr(release, name) for name in _PROOF})
    attributes = [OPTIONAL[name][0] for name in _PROOF]
    same = (
        f"{attribute} = :was_{attribute}" if attribute in proof else f"attribute_not_exists({attribute})"
        for attribute in attributes
    )
    return " AND ".join((_IS_OPEN, *same)), {f":was_{name}": value for name, value in proof.items()}
