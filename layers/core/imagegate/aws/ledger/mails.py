"""Mails in the ledger: who got how many in an hour, and what comes later in a summary."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import image_of, moment, reading, text
from imagegate.aws.ledger.waiting import WAITING
from imagegate.canonical_json import parse_timestamp
from imagegate.notices.later_mail import LaterMail
from imagegate.release.release import Outcome, ReleaseId

if TYPE_CHECKING:
    from imagegate.aws.dynamodb import DynamoTable, Item

_MAIL = "mail"
_LIFE = timedelta(days=2)  # longer than any repetition of a message


class DynamoMails:
    """One item per hour and owner with the releases that had a mail; one item per release that comes later."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def count_mail(self, owner: str, release: ReleaseId, at: datetime, most: int) -> int | None:
        # One write decides between all callers. A set, so that a repetition finds its own place in it.
        item = self._table.update(
            keys.mails(moment(at)[:13], owner),
            "ADD sent :ours SET expires = :expires",
            "attribute_not_exists(pk) OR contains(sent, :release) OR size(sent) < :most",
            {
                ":ours": {str(release)},
                ":release": str(release),
                ":most": most,
                ":expires": int((at + _LIFE).timestamp()),
            },
        )
        return None if item is None else len(item["sent"])

    def keep_later(self, mail: LaterMail) -> None:
        self._table.put(_write_later(mail), "attribute_not_exists(pk)")

    def later_mails(self) -> Iterator[LaterMail]:
        return map(_read_later, self._table.index(WAITING, "waiting", _MAIL))

    def note_summary(self, mail: LaterMail, now: datetime) -> None:
        self._table.update(
            keys.later_mail(mail.release),
            "SET expires = :expires REMOVE waiting, since",
            "attribute_exists(pk)",
            {":expires": int((now + _LIFE).timestamp())},
        )


def _write_later(mail: LaterMail) -> Item:
    return {
        **keys.later_mail(mail.release),
        "waiting": _MAIL,
        "since": moment(mail.at),
        "outcome": str(mail.outcome),
        "name": mail.name,
        "why": mail.why,
        "forOwner": mail.for_owner,
    }


def _read_later(item: Item) -> LaterMail:
    with reading(item):
        image = image_of(text(item, "pk").removeprefix("LATER#"))
        return LaterMail(
            ReleaseId(image, int(text(item, "sk").removeprefix(keys.ATTEMPT))),
            Outcome(text(item, "outcome")),
            text(item, "name"),
            str(item["why"]),
            parse_timestamp(text(item, "since")),
            for_owner=item["forOwner"] is True,
        )
