"""Announce which images are at risk or not watched, and which no longer are: once for each image and its findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from imagegate.notices.risk_notice import many_risks, risk_began, risk_ended

if TYPE_CHECKING:
    from imagegate.notices.message import Message
    from imagegate.oci.image import ImageRef
    from imagegate.ports.ledger import Notices
    from imagegate.ports.services import Notifications
    from imagegate.risk.risk import Risk

# More messages than this in one run are for the log, and one mail has them all.
_MOST_MAILS = 5


@dataclass(frozen=True, slots=True)
class EndedRisk:
    """A risk that is over. `why`: the end of a sentence that begins with the image."""

    risk: Risk
    why: str


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

    def _publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.notifications.publish(message)
