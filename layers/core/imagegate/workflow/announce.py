"""Announce: close a release once, only with an outcome that the ledger proves, and send the message at least once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from imagegate.errors import UnprovenEndingError
from imagegate.gate.verdict import VerdictOutcome
from imagegate.grants.approval import approval_request
from imagegate.notices.announcement import announce
from imagegate.notices.approval import mail as approval_mail
from imagegate.notices.later_mail import MAILS_AN_HOUR, as_last_mail, later_mail, without_mail
from imagegate.ports.ledger import CurrentReleases, RecordedReleases, ReleaseAttempts
from imagegate.ports.mails import CountedMails
from imagegate.ports.pending import HeldReleases
from imagegate.release.proof import missing_proof
from imagegate.release.release import CurrentRelease, Ending, Outcome, Release, ReleaseId

if TYPE_CHECKING:
    from imagegate.notices.console import ConsoleLinks
    from imagegate.notices.message import Message
    from imagegate.ports.grants import ApprovalLinks
    from imagegate.ports.records import StoredRecords
    from imagegate.ports.services import Mails, Notifications

# An image that passed is released in its stage, also while it waits for the approval of the next one.
_PASSED = frozenset({Outcome.RELEASED, Outcome.HELD})

_TROUBLE = frozenset({Outcome.BLOCKED, Outcome.FAILED})


class AnnounceRoute(StrEnum):
    """The next state of the state machine."""

    END = "END"
    AGAIN = "AGAIN"  # the release changed after its outcome was decided: decide again


@dataclass(frozen=True, slots=True)
class AnnounceResult:
    """The next state of the state machine, and the release if this call was the one that announced it."""

    route: AnnounceRoute
    outcome: Outcome
    release: Release | None = None

    def as_log(self) -> dict[str, Any]:
        """Return the fields of the log; the saved queries use them."""
        known = self.release
        rules = {reason["rule"] for reason in known.reasons if reason["action"] == "enforce"} if known else ()
        return {
            "route": str(self.route),
            "outcome": str(self.outcome),
            "stage": known and known.stage,
            "rules": sorted(rules),
        }


class AnnouncementLedger(
    ReleaseAttempts, RecordedReleases, HeldReleases, CurrentReleases, CountedMails, Protocol
):
    """The parts of the ledger that `AnnounceRelease` uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceRelease:
    """Closes releases. `links` and `mails` are made only if an image is held for approval."""

    ledger: AnnouncementLedger
    records: StoredRecords
    notifications: Notifications
    links: Callable[[], ApprovalLinks]
    mails: Callable[[], Mails]
    console: ConsoleLinks | None = None

    def run(self, id_: ReleaseId, outcome: Outcome, fault: str, now: datetime) -> AnnounceResult:
        """Close the release and announce its outcome. `fault` is the cause if the execution failed.

        Raises `UnprovenEndingError` for an outcome that the ledger does not prove.
        """
        release = self._close(id_, outcome, fault, now)
        if release is None or release.outcome is None:
            return AnnounceResult(AnnounceRoute.AGAIN, outcome)
        outcome = release.outcome
        if release.verdict == VerdictOutcome.PASS and outcome in _PASSED:
            self.ledger.note_platforms(release)
        if outcome is Outcome.RELEASED:
            self._note_current(release)
        if outcome is Outcome.HELD:
            self.ledger.hold(id_, release.closed_at or now)
        if release.message_id is None:
            message = self._pace(self._announce(release, outcome), release, outcome, release.closed_at or now)
            message_id = self.notifications.publish(message)
            self.ledger.note_announcement(id_, message_id)
            return AnnounceResult(AnnounceRoute.END, outcome, release)
        return AnnounceResult(AnnounceRoute.END, outcome)

    def _announce(self, release: Release, outcome: Outcome) -> Message:
        if outcome is not Outcome.HELD:
            return announce(release, outcome, console=self.console, before=self._before(release, outcome))
        request = approval_request(release, self.records.policy(release.policy))
        if request is None:
            return announce(release, outcome, console=self.console)
        for mail in approval_mail.mails(release, request, self.links().link):
            self.mails().send(mail)
        page = self.links().link(approval_mail.view(request))
        return announce(release, outcome, request, page, self.console)

    def _pace(self, message: Message, release: Release, outcome: Outcome, at: datetime) -> Message:
        """Keep the message out of mails if there were too many in the hour of its ending; a summary has it then."""
        if message.attributes["alert"] == "log":
            return message
        try:
            return self._count(message, release, outcome, at)
        except Exception:  # noqa: BLE001 - a mail too many is better than none
            return message

    def _count(self, message: Message, release: Release, outcome: Outcome, at: datetime) -> Message:
        owner = self.records.policy(release.policy).owner_of(release.image.repository)
        for counted in (owner, "") if owner else ("",):
            number = self.ledger.count_mail(counted, release.id, at, MAILS_AN_HOUR)
            if number is None:
                for_owner = bool(counted)
                self.ledger.keep_later(later_mail(release, outcome, at, for_owner=for_owner))
                return without_mail(message, for_owner=for_owner)
            if number == MAILS_AN_HOUR:
                message = as_last_mail(message, counted)
        return message

    def _before(self, release: Release, outcome: Outcome) -> Release | None:
        """Return the attempt before, if this one ended in trouble that may be the same."""
        if outcome not in _TROUBLE or release.attempt < 2:
            return None
        return self.ledger.get(ReleaseId(release.image, release.attempt - 1))

    def _note_current(self, release: Release) -> None:
        """Record the image as the current release of its target, with which the approval page compares the next one."""
        if release.promotion and release.decision and release.pushed_at:
            self.ledger.note_current_release(
                CurrentRelease(
                    release.promotion.repository, release.image, release.decision, release.pushed_at
                )
            )

    def _close(self, id_: ReleaseId, outcome: Outcome, fault: str, now: datetime) -> Release | None:
        """Return the closed release, or None if it changed meanwhile. An earlier call may have set another outcome."""
        release = self.ledger.get(id_)
        if not release.is_open:
            return release
        if outcome is Outcome.FAILED:
            closed = self.ledger.close(id_, outcome, None, now, fault)
        elif release.revoked and outcome is not Outcome.BLOCKED:
            return None
        else:
            ending = self._ending(release, outcome)
            closed = self.ledger.close(id_, outcome, ending.seen, now, ending.detail, proof=release)
        return closed or self.ledger.get(id_)

    def _ending(self, release: Release, outcome: Outcome) -> Ending:
        if missing := missing_proof(release, outcome, self.records.policy(release.policy)):
            raise UnprovenEndingError(f"{release.id} does not end as {outcome}: {missing}")
        noted = release.ending
        return noted if noted and noted.outcome is outcome else Ending(outcome)
