"""The ledger in one DynamoDB table: conditional writes decide every race, consistent reads every decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from imagegate.adapters import ledger_items as items
from imagegate.adapters.aws import client, translated
from imagegate.domain.errors import RecordNotFoundError, ThrottledError
from imagegate.domain.facts import BaseImage
from imagegate.domain.finding import Place
from imagegate.domain.image import Digest, ImageRef
from imagegate.domain.release import Outcome, Release, ReleaseId, Standing, WaitingScan
from imagegate.domain.weighing import Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BY_REPOSITORY = "by-repository"
BY_DAY = "by-day"
BY_WAITING = "waiting"

_DAYS_BACK = 90
# Amazon DynamoDB API reference, BatchGetItem and BatchWriteItem.
_READS_AT_ONCE, _WRITES_AT_ONCE = 100, 25
_BATCH_TRIES = 8
_RECORDED = frozenset(
    {
        "verdict",
        "attention",
        "reasons",
        "decision",
        "signature",
        "evidence",
        "platforms",
        "promotion",
        "detail",
    }
)
_EXISTS = "attribute_exists(pk)"
_IS_OPEN = "attribute_exists(pk) AND attribute_not_exists(outcome)"


class DynamoLedger:
    """One table; its items are described in `ledger_items`."""

    def __init__(self, table: str) -> None:
        self._table = table

    @property
    def _client(self) -> DynamoDBClient:
        made: DynamoDBClient = client("dynamodb")
        return made

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
        self, release: ReleaseId, outcome: Outcome, seen: int | None, at: datetime, detail: str
    ) -> bool:
        given = items.optional({"outcome": outcome, "closed_at": at, "detail": detail})
        condition, values = _IS_OPEN, None
        if seen is not None:
            condition, values = f"{_IS_OPEN} AND changes = :seen", {":seen": {"N": str(seen)}}
        if self._change(release, given, [], condition, values):
            return True
        return self.get(release).outcome is outcome

    def announced(self, release: ReleaseId, message_id: str) -> None:
        if not self._change(release, items.optional({"message_id": message_id}), [], _EXISTS):
            self._is_missing(release)

    def note_platforms(self, release: Release) -> None:
        for platform in release.platforms:
            self._put(items.write_platform(release, platform))

    def of_repository(self, repository: str, limit: int) -> list[Release]:
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

    def wait(self, scan: WaitingScan) -> None:
        item = items.write_token(scan)
        self._put(item, "attribute_not_exists(pk) OR since <= :since", {":since": item["since"]})

    def waiting(self, image: ImageRef) -> list[WaitingScan]:
        found = self._query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": items.scan_key(image)}},
            ConsistentRead=True,
        )
        return [items.read_token(item) for item in found]

    def all_waiting(self) -> Iterator[WaitingScan]:
        found = self._query(
            IndexName=BY_WAITING,
            KeyConditionExpression="waiting = :scan",
            ExpressionAttributeValues={":scan": {"S": items.WAITING}},
        )
        return map(items.read_token, found)

    def forget(self, scan: WaitingScan) -> None:
        """Leaves the token of a task that was retried meanwhile."""
        self._conditional(
            self._client.delete_item,
            Key=items.token_key(scan),
            ConditionExpression="#token = :token",
            ExpressionAttributeNames={"#token": "token"},
            ExpressionAttributeValues={":token": {"S": scan.token}},
        )

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

    # what lasts from one release to the next

    def clocks(self, application: str) -> dict[Place, Clock]:
        found = self._query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": items.clocks_key(application)}},
            ConsistentRead=True,
        )
        return dict(map(items.read_clock, found))

    def keep_clocks(self, application: str, clocks: Mapping[Place, Clock]) -> None:
        """Whoever keeps them has read them; of two that see something first at once, either is right."""
        written = [items.write_clock(application, place, clock) for place, clock in clocks.items()]
        for start in range(0, len(written), _WRITES_AT_ONCE):
            self._write_all([{"PutRequest": {"Item": item}} for item in written[start:][:_WRITES_AT_ONCE]])

    def note_base(self, base: BaseImage) -> None:
        item = items.write_base(base)
        self._put(item)
        newer = "attribute_not_exists(pk) OR releasedAt <= :ours"
        latest = {**item, **items.latest_base_key(base.image.repository)}
        self._put(latest, newer, {":ours": item["releasedAt"]})

    def bases(self, chain_ids: Sequence[str], stages: Iterable[str]) -> list[BaseImage]:
        keys = [items.base_key(chain_id, stage) for chain_id in chain_ids for stage in sorted(stages)]
        found: list[BaseImage] = []
        for start in range(0, len(keys), _READS_AT_ONCE):
            found += map(items.read_base, self._read_all(keys[start:][:_READS_AT_ONCE]))
        return found

    def latest_base(self, repository: str) -> BaseImage | None:
        item = self._get(items.latest_base_key(repository))
        return None if item is None else items.read_base(item)

    def note_standing(self, standing: Standing) -> None:
        item = items.write_standing(standing)
        newer = "attribute_not_exists(pk) OR pushedAt <= :ours"
        self._put(item, newer, {":ours": item["pushedAt"]})

    def standing(self, repository: str) -> Standing | None:
        item = self._get(items.standing_key(repository))
        return None if item is None else items.read_standing(item)

    def note(self, notice: str) -> None:
        self._put(items.notice_key(notice))

    def is_noted(self, notice: str) -> bool:
        return self._get(items.notice_key(notice)) is not None

    def installed_at(self, now: datetime) -> datetime:
        """Note the time of the installation once; returns the one that stands."""
        installation = items.write_installation(now)
        self._put(installation, "attribute_not_exists(pk)")
        return items.read_installation(self._get(items.key(items.INSTALLATION, items.INSTALLATION)) or {})

    # DynamoDB

    def _get(self, key: dict[str, Any]) -> items.Item | None:
        with translated({}, asked=key["pk"]["S"]):
            return self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")

    def _read_all(self, keys: list[dict[str, Any]]) -> Iterator[items.Item]:
        """BatchGetItem answers with what it could not read, too: that is asked for again."""
        asked: Any = {self._table: {"Keys": keys, "ConsistentRead": True}}
        for _ in range(_BATCH_TRIES):
            with translated({}):
                answer: Any = self._client.batch_get_item(RequestItems=asked)
            yield from answer.get("Responses", {}).get(self._table, ())
            asked = answer.get("UnprocessedKeys")
            if not asked:
                return
        raise ThrottledError(f"{self._table}: BatchGetItem leaves keys unread")

    def _write_all(self, requests: list[dict[str, Any]]) -> None:
        asked: Any = {self._table: requests}
        for _ in range(_BATCH_TRIES):
            with translated({}):
                asked = self._client.batch_write_item(RequestItems=asked).get("UnprocessedItems")
            if not asked:
                return
        raise ThrottledError(f"{self._table}: BatchWriteItem leaves items unwritten")

    def _put(self, item: dict[str, Any], condition: str = "", values: dict[str, Any] | None = None) -> bool:
        more: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
        if values:
            more["ExpressionAttributeValues"] = values
        return self._conditional(self._client.put_item, Item=item, **more)

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

    def _conditional(self, write: Callable[..., Any], **arguments: Any) -> bool:
        """False: the condition did not hold."""
        try:
            with translated({}):
                write(TableName=self._table, **arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True

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

    def _query(self, **arguments: Any) -> Iterator[items.Item]:
        """Page by page, as far as the caller reads."""
        while True:
            with translated({}):
                page = self._client.query(TableName=self._table, **arguments)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
