"""The daily digest: sent once for each day by the reconciler, of which one run works at a time.

Rules: an attempt is in the digest of the day on which it began. Days without a run are in the next digest. A run
that is killed after a message was sent, and before that was noted, sends it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from imagegate.grants.approval import approval_request
from imagegate.notices.digest import Digested, DigestRow, daily_digest, risk_row
from imagegate.notices.later_mail import LaterMail, mail_summary
from imagegate.notices.message import image_name
from imagegate.ports.ledger import RecordedReleases, ReleaseLists
from imagegate.ports.mails import LaterMails
from imagegate.ports.pending import HeldReleases, Notices
from imagegate.ports.risks import ImagesInQueue, KnownRisks

if TYPE_CHECKING:
    from imagegate.policy.policy import Policy
    from imagegate.policy.waiver import Waiver
    from imagegate.ports.grants import Grants
    from imagegate.ports.records import Records
    from imagegate.ports.services import Notifications

_SENT_FROM = time(6)  # UTC
_LOST_DAYS = 7
_SOON = timedelta(days=7)
# More attempts are not read in one run, and the digest says so: the time of a run is limited.
_MOST_RELEASES = 20_000
# Of more waiting ones, the rows have the digest only.
_MOST_WAITING = 200
# A summary gathers for so long, then has so many at most: each is one write.
_GATHERS = timedelta(minutes=10)
_MOST_LATER = 1_000


class DigestLedger(
    HeldReleases, RecordedReleases, ReleaseLists, Notices, KnownRisks, ImagesInQueue, LaterMails, Protocol
):
    """The parts of the ledger that `SendDigest` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDigest:
    """Sends a digest of everything, and one of each owner's repositories."""

    ledger: DigestLedger
    grants: Grants
    records: Records
    notifications: Notifications
    policy: Policy
    installed_at: datetime

    def due(self, now: datetime) -> list[date]:
        """Return the days, the oldest first, of which no digest was sent; yesterday is the last."""
        yesterday = now.date() - timedelta(days=1)
        if now.timetz() < _SENT_FROM.replace(tzinfo=UTC) or self.ledger.is_noted(_name(yesterday)):
            return []
        days = [yesterday - timedelta(days=back) for back in reversed(range(_LOST_DAYS))]
        sent = self.ledger.noted([_name(day) for day in days])
        first = max((day for day in days if _name(day) in sent), default=None)
        return [day for day in days if (first is None or day > first) and day > self.installed_at.date()]

    def send(self, days: Sequence[date], waivers: Iterable[Waiver], now: datetime) -> int:
        """Send the digests of these days, those of owners first. Return the number of messages."""
        digested, last, sent = self._collect(days, waivers, now), days[-1], 0
        for owner in sorted(set(self.policy.owners.values())):
            ours = digested.only(partial(self._is_owned, owner))
            sent += self._send_once(ours, owner, _name(last, owner))
        return sent + self._send_once(digested, "", _name(last))

    def _is_owned(self, owner: str, repository: str) -> bool:
        return self.policy.owner_of(repository) == owner

    def _send_once(self, digested: Digested, owner: str, notice: str) -> bool:
        if self.ledger.is_noted(notice):
            return False
        if not digested.is_empty:
            self.notifications.publish(daily_digest(digested, owner))
        self.ledger.note(notice)
        return not digested.is_empty

    def _collect(self, days: Sequence[date], waivers: Iterable[Waiver], now: datetime) -> Digested:
        digested = Digested(
            days[0],
            days[-1],
            waiting=list(self._waiting()),
            at_risk=[risk_row(risk) for risk in self.ledger.risks()],
            ending=[
                *self._ending_waivers(waivers, now),
                *self._ending_glass(now),
                *self._ending_signatures(now),
            ],
        )
        since = datetime.combine(days[0], time(), UTC)
        until = datetime.combine(days[-1] + timedelta(days=1), time(), UTC) - timedelta(microseconds=1)
        releases = iter(self.ledger.recent(since, until))
        for release in islice(releases, _MOST_RELEASES):
            digested.add(release)
        return replace(digested, is_cut=next(releases, None) is not None)

    def _waiting(self) -> Iterator[DigestRow]:
        every = iter(self.ledger.held())
        for held in islice(every, _MOST_WAITING):
            release = self.ledger.get(held)
            request = approval_request(release, self.records.policy(release.policy))
            if request is not None:
                until = f"{request.expires_at:%Y-%m-%d %H:%M} UTC"
                text = f"{image_name(release)} into {request.stage}, until {until}"
                yield DigestRow(release.image.repository, text)
        yield from (DigestRow(held.image.repository, str(held.image)) for held in every)

    def _ending_waivers(self, waivers: Iterable[Waiver], now: datetime) -> Iterator[DigestRow]:
        for waiver in sorted(waivers, key=lambda one: one.expires):
            if waiver.is_ending(now) and not waiver.fault(now, self.policy.waiver_terms):
                text = (
                    f"waiver of {waiver.subject} for {waiver.where}: {waiver.expires} (owner {waiver.owner})"
                )
                yield DigestRow(waiver.repositories or "", text)

    def _ending_glass(self, now: datetime) -> Iterator[DigestRow]:
        for glass in self.grants.broken_glass():
            if glass.counts(now) and glass.ends_at - now <= _SOON:
                text = f"break-glass of {glass.where}: {glass.ends_at:%Y-%m-%d %H:%M} UTC"
                yield DigestRow(glass.repositories, text)

    def _ending_signatures(self, now: datetime) -> Iterator[DigestRow]:
        for image in self.ledger.images_in_use():
            end = image.last.signature_ends if image.last else None
            if end is not None and now <= end <= now + _SOON:
                text = f"signature of {image.image}: {end:%Y-%m-%d %H:%M} UTC"
                yield DigestRow(image.image.repository, text)


@dataclass(frozen=True, slots=True)
class SendSummary:
    """Sends what had no mail of its own, because too many releases ended in one hour: to each owner and to everybody.

    A run that is killed between a summary and the note about it sends that summary again.
    """

    ledger: LaterMails
    notifications: Notifications
    policy: Policy

    def due(self, now: datetime) -> list[LaterMail]:
        """Return what the next summary has, or nothing as long as it gathers."""
        mails = list(islice(self.ledger.later_mails(), _MOST_LATER))
        return mails if any(now - mail.at >= _GATHERS for mail in mails) else []

    def send(self, mails: Sequence[LaterMail], now: datetime) -> int:
        """Send the summaries, those of owners first. Return the number of messages."""
        by_owner: dict[str, list[LaterMail]] = {}
        for mail in mails:
            if mail.for_owner and (owner := self.policy.owner_of(mail.image.repository)):
                by_owner.setdefault(owner, []).append(mail)
        for owner, ours in sorted(by_owner.items()):
            self.notifications.send(mail_summary(ours, owner))
        self.notifications.send(mail_summary(mails))
        for mail in mails:
            self.ledger.note_summary(mail, now)
        return len(by_owner) + 1


def _name(day: date, owner: str = "") -> str:
    return f"digest of {day}" + (f" for {owner}" if owner else "")
