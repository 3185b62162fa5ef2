"""Images in use in the ledger: when each is judged again, and which are at risk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import image_of, moment, number, reading, text
from imagegate.aws.ledger.waiting import WAITING
from imagegate.canonical_json import parse_timestamp
from imagegate.risk.past import PastRisk
from imagegate.risk.risk import DueImage, Judgement, Risk

if TYPE_CHECKING:
    from imagegate.aws.dynamodb import DynamoTable, Item
    from imagegate.oci.image import ImageRef

# Values of the attribute `waiting`, by which the index of that name finds them.
_AGAIN, _RISK = "again", "risk"
# Measures look back for less.
_PAST_LIFE = timedelta(days=400)


class DynamoJudgedAgain:
    """One item per image in use. `since` is the time when it is due."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def judge_by(self, image: ImageRef, due: datetime) -> None:
        values = {":due": moment(due), ":again": _AGAIN}
        is_earlier = "attribute_not_exists(pk) OR since > :due"
        self._table.update(keys.judged_again(image), "SET since = :due, waiting = :again", is_earlier, values)

    def due_images(self, now: datetime) -> Iterator[DueImage]:
        # The index is in the order of the times.
        return takewhile(lambda image: image.due <= now, self.images_in_use())

    def images_in_use(self) -> Iterator[DueImage]:
        return map(_read_due, self._table.index(WAITING, "waiting", _AGAIN))

    def due_image(self, image: ImageRef) -> DueImage | None:
        item = self._table.get(keys.judged_again(image))
        return None if item is None else _read_due(item)

    def judged_among(self, images: Sequence[ImageRef]) -> dict[ImageRef, DueImage]:
        items = self._table.read_all([keys.judged_again(image) for image in images])
        return {one.image: one for one in map(_read_due, items)}

    def keep_judgement(self, image: DueImage, judgement: Judgement, due: datetime) -> None:
        key, last = keys.judged_again(image.image), json.dumps(judgement.as_json())
        values = {":last": last, ":due": moment(due), ":seen": moment(image.due)}
        if not self._table.update(key, "SET judgement = :last, since = :due", "since = :seen", values):
            self._table.update(key, "SET judgement = :last", "attribute_exists(pk)", {":last": last})

    def judge_later(self, image: DueImage, due: datetime) -> None:
        values = {":due": moment(due), ":seen": moment(image.due)}
        self._table.update(keys.judged_again(image.image), "SET since = :due", "since = :seen", values)

    def forget_image(self, image: DueImage) -> None:
        self._table.delete(keys.judged_again(image.image), "since = :seen", {":seen": moment(image.due)})


class DynamoRisks:
    """One item per image that is at risk or not watched."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def risks(self) -> Iterator[Risk]:
        return map(_read_risk, self._table.index(WAITING, "waiting", _RISK))

    def risk(self, image: ImageRef) -> Risk | None:
        item = self._table.get(keys.risk(image))
        return None if item is None else _read_risk(item)

    def risks_among(self, images: Sequence[ImageRef]) -> dict[ImageRef, Risk]:
        items = self._table.read_all([keys.risk(image) for image in images])
        return {one.image: one for one in map(_read_risk, items)}

    def keep_risk(self, risk: Risk) -> None:
        where = {**keys.risk(risk.image), "waiting": _RISK, "since": moment(risk.since)}
        self._table.put({**where, "risk": json.dumps(risk.as_json())})

    def end_risk(self, past: PastRisk) -> None:
        self._table.put(_write_past(past))
        self._table.delete(keys.risk(past.image))

    def past_risks(self, since: datetime, until: datetime) -> Iterator[PastRisk]:
        for month in _months(since, until):
            every = map(_read_past, self._table.partition(keys.past_risks(month)))
            yield from (past for past in every if since <= past.over_at <= until)


def _read_due(item: Item) -> DueImage:
    with reading(item):
        last = json.loads(text(item, "judgement")) if "judgement" in item else None
        return DueImage(
            image=image_of(text(item, "pk").removeprefix("AGAIN#")),
            due=parse_timestamp(text(item, "since")),
            last=Judgement.from_json(last) if last else None,
        )


def _read_risk(item: Item) -> Risk:
    with reading(item):
        return Risk.from_json(json.loads(text(item, "risk")))


def _write_past(past: PastRisk) -> Item:
    return {
        "pk": keys.past_risks(f"{past.over_at:%Y-%m}"),
        "sk": f"{past.image}#{moment(past.since)}",
        "stage": past.stage,
        "overAt": moment(past.over_at),
        "replaced": int(past.is_replaced),
        **({"fixableSince": moment(past.fixable_since)} if past.fixable_since else {}),
        "expires": int((past.over_at + _PAST_LIFE).timestamp()),
    }


def _read_past(item: Item) -> PastRisk:
    with reading(item):
        image, _, since = text(item, "sk").rpartition("#")
        return PastRisk(
            image=image_of(image),
            stage=text(item, "stage"),
            since=parse_timestamp(since),
            over_at=parse_timestamp(text(item, "overAt")),
            fixable_since=parse_timestamp(text(item, "fixableSince")) if "fixableSince" in item else None,
            is_replaced=bool(number(item, "replaced")),
        )


def _months(since: datetime, until: datetime) -> Iterator[str]:
    """Yield `2026-11` for each month of the time (UTC)."""
    year, month = since.year, since.month
    while (year, month) <= (until.year, until.month):
        yield f"{year}-{month:02d}"
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
