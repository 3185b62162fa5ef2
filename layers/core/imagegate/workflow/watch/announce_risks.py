"""Announce which images are at risk or not watched, which no longer are, and whose signatures end: each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imagegate.notices.grant_notice import signature_ending
from imagegate.notices.risk.notice import many_risks, risk_began, risk_ended

if TYPE_CHECKING:
    from imagegate.notices.message import Message
    from imagegate.oci.image import ImageRef
    from imagegate.ports.pending import Notices
    from imagegate.ports.services import Notifications
    from imagegate.risk.past import EndedRisk
    from imagegate.risk.risk import Risk

# More messages than this in one run are for the log, and one mail has them all.
_MOST_MAILS = 5
# The time to sign again before the end of a signature; Sign Image makes another one within it.
SIGNATURE_ENDING = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class AnnounceRisks:
    ledger: Notices
    notifications: Notifications

    def run(
        self,
        risks: Sequence[Risk],
        ended: Sequence[EndedRisk],
        before: Mapping[ImageRef, Risk],
        now: datetime,
    ) -> int:
        """Announce what people do not know yet, and return the number of images."""
        began = [risk for risk in risks if risk.is_news_after(before.get(risk.image))]
        named = {
            f"{risk.image} {risk.state} {risk.fingerprint} since {risk.since:%Y-%m-%d}": risk
            for risk in began
        }
        news = {name: risk for name, risk in named.items() if self.ledger.claim(name, now)}
        over = {f"{one.risk.image} over {one.risk.since:%Y-%m-%dT%H:%M:%S}": one for one in ended}
        over = {name: one for name, one in over.items() if self.ledger.claim(name, now)}
        is_loud = len(news) + len(over) <= _MOST_MAILS
        messages = [risk_began(risk, is_loud=is_loud) for risk in news.values()]
        messages += [risk_ended(one.risk, one.why, now, is_loud=is_loud) for one in over.values()]
        self._publish([*messages, *([] if is_loud else [many_risks(list(news.values()), len(over), now)])])
        for name in (*news, *over):
            self.ledger.note(name)
        return len(news)

    def remind(self, ends: Mapping[ImageRef, datetime], now: datetime) -> None:
        """Announce which signatures of images in use end soon, each once."""
        named = {f"{image} signature ends {end:%Y-%m-%d}": (image, end) for image, end in ends.items()}
        soon = {name: one for name, one in named.items() if now <= one[1] <= now + SIGNATURE_ENDING}
        news = {name: one for name, one in soon.items() if self.ledger.claim(name, now)}
        is_loud = len(news) <= _MOST_MAILS
        self._publish([signature_ending(image, end, is_loud=is_loud) for image, end in news.values()])
        for name in news:
            self.ledger.note(name)

    def _publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.notifications.publish(message)
