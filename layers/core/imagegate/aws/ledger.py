"""The ledger in one DynamoDB table: conditional writes decide every race, consistent reads every decision."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from imagegate.aws import ledger_items as items
from imagegate.aws.ledger_lasting import LastingLedger
from imagegate.deployment.rollback import Rollback
from imagegate.errors import RecordNotFoundError
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.release import History, Outcome, Release, ReleaseId, WaitingScan
from imagegate.release.revocation import Revocation
from imagegate.release.start import IgnoredImage

BY_REPOSITORY = "by-repository"
BY_DAY = "by-day"
BY_WAITING = "waiting"

_DAYS_BACK = 90
_RECORDED = frozenset(
    {
        "verdict",
        "attention",
        "reasons",
        "remedies",
        "decision",
        "signature",
        "evidence",
        "sbom",
        "platforms",
        "promotion",
        "uploads",
        "detail",
        "break_glass",
        "ending",
        "soaks_until",
        "clean_since",
        "replicating_since",
    }
)
# What proves how an attempt ends.
_PROOF = ("verdict", "decision", "signature", "break_glass", "revoked", "ending")
_EXISTS = "attribute_exists(pk)"
_IS_OPEN = "attribute_exists(pk) AND attribute_not_exists(outcome)"


class DynamoLedger(LastingLedger):
    """One table; its items are described in `ledger_items`."""

    # releases

    def latest(self, image: ImageRef) -> Release | None:
        found = self._query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": items.image_key(image)}, ":sk": {"S": items.ATTEMPT}},
            ScanIndexForward=False,
            Limit=1,
            ConsistentRead=True,
        )
        return next(map(items.read_release, found), None)

    def history(self, image: ImageRef) -> History:
        """Attempts and indexes stand under one key."""
        found = self._query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": items.image_key(image)}},
            ScanIndexForward=False,
            ConsistentRead=True,
        )
        return items.read_history(found)

    def get(self, release: ReleaseId) -> Release:
        item = self._get(items.attempt_key(release))
        if item is None:
            raise RecordNotFoundError(f"{release} was never begun")
        return items.read_release(item)

    def begin(self, release: Release) -> bool:
        return self._put(items.write_release(release), "attribute_not_exists(pk)")

    def join(self, release: ReleaseId, tags: frozenset[str], pushed_at: datetime) -> bool:
        """What changes nothing is no change: a repeated event must not make anybody look again."""
        known = self.get(release)
        is_later = known.pushed_at is None or pushed_at > known.pushed_at
        if known.is_open and tags <= known.tags and not is_later:
            return True
        values: dict[str, Any] = {":one": {"N": "1"}}
        values |= {":tags": {"SS": sorted(tags)}} if tags else {}
        adds = "ADD changes :one" + (", tags :tags" if tags else "")
        if is_later:
            values[":pushed"] = {"S": items.moment(pushed_at)}
            newer = f"{_IS_OPEN} AND (attribute_not_exists(pushedAt) OR pushedAt < :pushed)"
            if self._update(release, f"SET pushedAt = :pushed {adds}", newer, values):
                return True
            del values[":pushed"]
        return self._update(release, adds, _IS_OPEN, values)

    def record(self, release: ReleaseId, **fields: Any) -> None:
        """None or an empty value removes what was noted before."""
        unknown = fields.keys() - _RECORDED
        if unknown:
            raise TypeError(f"no step records {', '.join(sorted(unknown))}")
        given = items.optional(fields)
        gone = [items.OPTIONAL[name][0] for name in fields if items.OPTIONAL[name][0] not in given]
        if fields and not self._change(release, given, gone, _EXISTS):
            self._is_missing(release)

    def close(
        self,
        release: ReleaseId,
        outcome: Outcome,
        seen: int | None,
        at: datetime,
        detail: str,
        proof: Release | None = None,
    ) -> bool:
        given = items.optional({"outcome": outcome, "closed_at": at, "detail": detail})
        condition, values = _as_it_was(proof) if proof else (_IS_OPEN, {})
        if seen is not None:
            condition, values = f"{condition} AND changes = :seen", {**values, ":seen": {"N": str(seen)}}
        if self._change(release, given, [], condition, values):
            return True
        return self.get(release).outcome is outcome

    def note_announcement(self, release: ReleaseId, message_id: str) -> None:
        if not self._change(release, items.optional({"message_id": message_id}), [], _EXISTS):
            self._is_missing(release)

    def revoke(self, release: ReleaseId, revocation: Revocation) -> None:
        given = items.optional({"revoked": revocation})
        first = f"{_EXISTS} AND attribute_not_exists(revoked)"
        if not self._change(release, given, [], first):
            self._is_missing(release)

    def note_platforms(self, release: Release) -> None:
        for platform in release.platforms:
            self._put(items.write_platform(release, platform))

    def recent_of_repository(self, repository: str, limit: int) -> list[Release]:
        """The latest attempts, newest first; eventually consistent."""
        return self._newest(BY_REPOSITORY, "repository", repository, limit)

    def recent(self, limit: int, now: datetime) -> list[Release]:
        """The latest attempts of all repositories, newest first, at most 90 days back; eventually consistent."""
        found: list[Release] = []
        for back in range(_DAYS_BACK):
            if len(found) >= limit:
                break
            then = items.day(now - timedelta(days=back))
            found += self._newest(BY_DAY, "day", then, limit - len(found))
        return found

    # tokens

    def keep_token(self, scan: WaitingScan) -> None:
        item = items.write_token(scan)
        self._put(item, "attribute_not_exists(pk) OR since <= :since", {":since": item["since"]})

    def tokens_of(self, image: ImageRef) -> list[WaitingScan]:
        found = self._query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": items.scan_key(image)}},
            ConsistentRead=True,
        )
        return [items.read_token(item) for item in found]

    def all_tokens(self) -> Iterator[WaitingScan]:
        return map(items.read_token, self._waiting(items.WAITING))

    def forget_token(self, scan: WaitingScan) -> None:
        """Leaves the token of a task that was retried meanwhile."""
        self._conditional(
            self._client.delete_item,
            Key=items.token_key(scan),
            ConditionExpression="#token = :token",
            ExpressionAttributeNames={"#token": "token"},
            ExpressionAttributeValues={":token": {"S": scan.token}},
        )

    # approvals

    def hold(self, release: ReleaseId, at: datetime) -> None:
        self._put(items.write_held(release, at))

    def held(self) -> Iterator[ReleaseId]:
        return map(items.read_held, self._waiting(items.APPROVAL))

    def stop_holding(self, release: ReleaseId) -> None:
        self._conditional(self._client.delete_item, Key=items.held_key(release))

    def request_again(self, image: ImageRef, at: datetime) -> None:
        self._put(items.write_asked(image, at))

    def requested_again(self) -> Iterator[ImageRef]:
        return map(items.read_asked, self._waiting(items.ENTRY))

    def forget_request(self, image: ImageRef) -> None:
        self._conditional(self._client.delete_item, Key=items.asked_key(image))

    def _waiting(self, what: str) -> Iterator[items.Item]:
        return self._query(
            IndexName=BY_WAITING,
            KeyConditionExpression="waiting = :what",
            ExpressionAttributeValues={":what": {"S": what}},
        )

    def note_ignored(self, ignored: IgnoredImage) -> None:
        self._put(items.write_ignored(ignored))

    def ignored(self, image: ImageRef) -> IgnoredImage | None:
        item = self._get(items.ignored_key(image))
        return None if item is None else items.read_ignored(item)

    def note_pusher(self, image: ImageRef, arn: str) -> None:
        self._put(items.key(items.pushers_key(image), arn))

    def pushers(self, image: ImageRef) -> tuple[str, ...]:
        found = self._query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": items.pushers_key(image)}},
            ConsistentRead=True,
        )
        return tuple(item["sk"]["S"] for item in found)

    # rollbacks

    def note_rollback(self, rollback: Rollback) -> None:
        self._put(items.write_rollback(rollback))

    def rollbacks(self, repository: str) -> list[Rollback]:
        found = self._query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": items.rollback_key(repository)}},
            ConsistentRead=True,
        )
        return [items.read_rollback(item) for item in found]

    # claims

    def claim_tag(self, repository: str, tag: str, digest: Digest, pushed_at: datetime) -> bool:
        claim = items.write_claim(repository, tag, digest, pushed_at)
        is_free = "attribute_not_exists(pk) OR pushedAt <= :ours"
        if self._put(claim, is_free, {":ours": claim["pushedAt"]}):
            return True
        # The same image may have been pushed again since; its claim stands for this one too.
        return self.holder(repository, tag) == digest

    def holder(self, repository: str, tag: str) -> Digest | None:
        standing = self._get(items.claim_key(repository, tag))
        return None if standing is None else items.read_claim(standing)

    def installed_at(self, now: datetime) -> datetime:
        """Note the time of the installation once; returns the one that stands."""
        installation = items.write_installation(now)
        self._put(installation, "attribute_not_exists(pk)")
        return items.read_installation(self._get(items.key(items.INSTALLATION, items.INSTALLATION)) or {})

    # attempts, attribute by attribute

    def _change(
        self,
        release: ReleaseId,
        given: dict[str, Any],
        gone: list[str],
        condition: str,
        values: dict[str, Any] | None = None,
    ) -> bool:
        """Set and remove attributes if the condition holds; their names are placeholders, many are reserved."""
        names = {f"#{attribute}": attribute for attribute in [*given, *gone]}
        sets = ", ".join(f"#{attribute} = :{attribute}" for attribute in given)
        removes = ", ".join(f"#{attribute}" for attribute in gone)
        expression = f"{f'SET {sets}' if sets else ''} {f'REMOVE {removes}' if removes else ''}".strip()
        values = {f":{attribute}": value for attribute, value in given.items()} | (values or {})
        return self._update(release, expression, condition, values, names)

    def _update(
        self,
        release: ReleaseId,
        expression: str,
        condition: str,
        values: dict[str, Any],
        names: dict[str, str] | None = None,
    ) -> bool:
        return self._conditional(
            self._client.update_item,
            Key=items.attempt_key(release),
            UpdateExpression=expression,
            ConditionExpression=condition,
            **({"ExpressionAttributeValues": values} if values else {}),
            **({"ExpressionAttributeNames": names} if names else {}),
        )

    def _is_missing(self, release: ReleaseId) -> bool:
        """Raise `RecordNotFoundError` when the attempt is not there at all; else it is closed: False."""
        self.get(release)
        return False

    def _newest(self, index: str, attribute: str, value: str, limit: int) -> list[Release]:
        found = self._query(
            IndexName=index,
            KeyConditionExpression="#by = :value",
            ExpressionAttributeNames={"#by": attribute},
            ExpressionAttributeValues={":value": {"S": value}},
            ScanIndexForward=False,
            Limit=limit,
        )
        return [items.read_release(item) for item in islice(found, limit)]


def _as_it_was(release: Release) -> tuple[str, dict[str, Any]]:
    """The condition that it is open, and that what proves how it ends is as it was read; and its values."""
    proof = items.optional({name: getattr(release, name) for name in _PROOF})
    attributes = [items.OPTIONAL[name][0] for name in _PROOF]
    same = (
        f"{attribute} = :was_{attribute}" if attribute in proof else f"attribute_not_exists({attribute})"
        for attribute in attributes
    )
    return " AND ".join((_IS_OPEN, *same)), {f":was_{name}": value for name, value in proof.items()}
