"""Grants and links in memory."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from imagegate.errors import (
    ImageGateError,
)
from imagegate.grants.approval import Approval, Choice
from imagegate.grants.approval_link import ApprovalLink, LinkRefusedError
from imagegate.grants.approval_link import parse_link as parse_link
from imagegate.grants.break_glass import BreakGlass
from imagegate.oci.image import ImageRef
from imagegate.policy.waiver import Waiver
from imagegate.release.order import Order
from imagegate.release.release import (
    ReleaseId,
)


@dataclass
class FakeGrants:
    granted: dict[str, Waiver] = field(default_factory=dict)
    glass: dict[str, BreakGlass] = field(default_factory=dict)
    decided: dict[tuple[ReleaseId, str], Approval] = field(default_factory=dict)
    ordered: list[Order] = field(default_factory=list)

    def orders(self, image: ImageRef) -> list[Order]:
        return [order for order in self.ordered if order.image == image]

    def order(self, order: Order) -> None:
        self.ordered.append(order)

    def waivers(self) -> list[Waiver]:
        return list(self.granted.values())

    def grant(self, waiver: Waiver) -> bool:
        is_new = waiver.id not in self.granted
        self.granted.setdefault(waiver.id, waiver)
        return is_new

    def withdraw(self, waiver_id: str, at: datetime, by: str) -> Waiver | None:
        known = self.granted.get(waiver_id)
        if known is None:
            return None
        self.granted[waiver_id] = replace(known, withdrawn_at=known.withdrawn_at or at)
        return self.granted[waiver_id]

    def broken_glass(self) -> list[BreakGlass]:
        return list(self.glass.values())

    def break_glass(self, glass: BreakGlass) -> bool:
        is_new = glass.id not in self.glass
        self.glass.setdefault(glass.id, glass)
        return is_new

    def approvals(self, release: ReleaseId) -> list[Approval]:
        return [one for one in self.decided.values() if one.release == release]

    def decide(self, approval: Approval) -> bool:
        known = self.decided.get((approval.release, approval.by))
        if known and not (known.choice is Choice.APPROVE and approval.choice is Choice.REJECT):
            return False
        self.decided[approval.release, approval.by] = approval
        return True

    def withdraw_break_glass(self, name: str, at: datetime, by: str) -> BreakGlass | None:
        known = self.glass.get(name)
        if known is None:
            return None
        self.glass[name] = replace(known, withdrawn_at=known.withdrawn_at or at)
        return self.glass[name]


@dataclass
class FakeApprovalLinks:
    """Authenticated as KMS would, by a key of its own."""

    key: bytes = b"key"
    asked: list[ApprovalLink] = field(default_factory=list)  # whose code was looked at

    def link(self, link: ApprovalLink) -> str:
        return f"https://page.example/?t={link.token(self._mac(link))}"

    def read(self, token: str, now: datetime) -> ApprovalLink:
        link, mac = parse_link(token, now)
        self.asked.append(link)
        if mac != self._mac(link):
            raise LinkRefusedError("this link was not made by this gate, or it was changed on its way")
        return link

    def _mac(self, link: ApprovalLink) -> bytes:
        return hmac.digest(self.key, link.signed, "sha256")


@dataclass
class FakeLinkDecider:
    answer: dict[str, Any] | ImageGateError = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)  # token and reason

    def decide(self, token: str, reason: str) -> dict[str, Any]:
        self.asked.append((token, reason))
        if isinstance(self.answer, ImageGateError):
            raise self.answer
        return self.answer
