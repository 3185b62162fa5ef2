"""Mails that are counted, and those that come later, in memory: a part of the fake ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from imagegate.notices.later_mail import LaterMail
from imagegate.release.release import ReleaseId


@dataclass
class FakeMails:
    counted: dict[tuple[str, str], set[ReleaseId]] = field(default_factory=dict)
    later: dict[ReleaseId, LaterMail] = field(default_factory=dict)
    in_summaries: set[ReleaseId] = field(default_factory=set)

    def count_mail(self, owner: str, release: ReleaseId, at: datetime, most: int) -> int | None:
        sent = self.counted.setdefault((f"{at:%Y-%m-%dT%H}", owner), set())
        if release not in sent and len(sent) >= most:
            return None
        sent.add(release)
        return len(sent)

    def keep_later(self, mail: LaterMail) -> None:
        self.later.setdefault(mail.release, mail)

    def later_mails(self) -> Iterator[LaterMail]:
        waiting = [mail for id_, mail in self.later.items() if id_ not in self.in_summaries]
        yield from sorted(waiting, key=lambda mail: mail.at)

    def note_summary(self, mail: LaterMail, now: datetime) -> None:
        self.in_summaries.add(mail.release)
