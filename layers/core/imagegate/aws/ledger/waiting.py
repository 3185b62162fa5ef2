"""Waiting releases in the ledger: task tokens, attempts that are held, images whose release is requested again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import image_of, moment, reading, text
from imagegate.canonical_json import parse_timestamp
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.release import ReleaseId, WaitingScan

if TYPE_CHECKING:
    from imagegate.aws.dynamodb import DynamoTable, Item

# The index over all items that wait, and the values of its attribute `waiting`.
WAITING = "waiting"
_SCAN, _APPROVAL, _REQUEST = "scan", "approval", "entry"
_TOKEN_LIFE = timedelta(days=2)  # longer than any wait that a policy allows


class DynamoScanTokens:
    """One item per token. They expire."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def keep_token(self, scan: WaitingScan) -> None:
        item = write_token(scan)
        self._table.put(item, "attribute_not_exists(pk) OR since <= :since", {":since": item["since"]})

    def tokens_of(self, image: ImageRef) -> list[WaitingScan]:
        return [read_token(item) for item in self._table.partition(keys.scans(image))]

    def all_tokens(self) -> Iterator[WaitingScan]:
        return map(read_token, self._table.index(WAITING, "waiting", _SCAN))

    def forget_token(self, scan: WaitingScan) -> None:
        self._table.delete(keys.token(scan), "#token = :token", {":token": scan.token}, {"#token": "token"})


class DynamoHeldReleases:
    """One item per attempt that waits for an approval."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def hold(self, release: ReleaseId, at: datetime) -> None:
        self._table.put({**keys.held(release), "waiting": _APPROVAL, "since": moment(at)})

    def held(self) -> Iterator[ReleaseId]:
        return map(_read_held, self._table.index(WAITING, "waiting", _APPROVAL))

    def stop_holding(self, release: ReleaseId) -> None:
        self._table.delete(keys.held(release))


class DynamoRepeatedRequests:
    """One item per image that was promoted to a repository after its gate had refused it."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def request_again(self, image: ImageRef, at: datetime) -> None:
        self._table.put({**keys.repeated_request(image), "waiting": _REQUEST, "since": moment(at)})

    def requested_again(self) -> Iterator[ImageRef]:
        return map(_read_request, self._table.index(WAITING, "waiting", _REQUEST))

    def forget_request(self, image: ImageRef) -> None:
        self._table.delete(keys.repeated_request(image))


def write_token(scan: WaitingScan) -> Item:
    return {
        **keys.token(scan),
        "token": scan.token,
        "platforms": [str(digest) for digest in scan.platforms],
        "since": moment(scan.since),
        "waiting": _SCAN,
        "expires": int((scan.since + _TOKEN_LIFE).timestamp()),
    }


def read_token(item: Item) -> WaitingScan:
    """Return the token. Raises `CorruptLedgerError`."""
    with reading(item):
        release, _, attempt = text(item, "sk").rpartition("#")
        return WaitingScan(
            image=image_of(text(item, "pk").removeprefix("SCAN#")),
            release=ReleaseId(image_of(release), int(attempt)),
            token=text(item, "token"),
            platforms=tuple(Digest.parse(digest) for digest in item["platforms"]),
            since=parse_timestamp(text(item, "since")),
        )


def _read_held(item: Item) -> ReleaseId:
    with reading(item):
        image = image_of(text(item, "pk").removeprefix("HELD#"))
        return ReleaseId(image, int(text(item, "sk").removeprefix(keys.ATTEMPT)))


def _read_request(item: Item) -> ImageRef:
    with reading(item):
        return image_of(text(item, "pk").removeprefix("ASKED#"))
