"""Grants that people give at run time, and the links by which they give them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from imagegate.grants.approval import Approval
    from imagegate.grants.approval_link import ApprovalLink
    from imagegate.grants.break_glass import BreakGlass
    from imagegate.oci.image import ImageRef
    from imagegate.policy.waiver import Waiver
    from imagegate.release.order import Order
    from imagegate.release.release import ReleaseId


class Grants(Protocol):
    """Grants for readers. One function writes them; all reads are strongly consistent."""

    def waivers(self) -> list[Waiver]:
        """Return all waivers, including those that have expired."""

    def broken_glass(self) -> list[BreakGlass]:
        """Return all break-glass grants, including those that are over."""

    def approvals(self, release: ReleaseId) -> list[Approval]:
        """Return the approvals and rejections of this attempt."""

    def orders(self, image: ImageRef) -> list[Order]:
        """Return the releases of the image that people have requested by hand."""


class WritableGrants(Grants, Protocol):
    """Grants for `decide`, the only writer."""

    def grant(self, waiver: Waiver) -> bool:
        """Store a waiver. Return False if the same waiver was granted before."""

    def order(self, order: Order) -> None:
        """Store that a person requests a release by hand."""

    def withdraw(self, waiver_id: str, at: datetime, by: str) -> Waiver | None:
        """Return the waiver, withdrawn now or before, or None if there is no such waiver."""

    def break_glass(self, glass: BreakGlass) -> bool:
        """Store a break-glass grant. Return False if the same was granted before."""

    def decide(self, approval: Approval) -> bool:
        """Store a decision. Return False if that person has decided before.

        An approval may still become a rejection.
        """

    def withdraw_break_glass(self, name: str, at: datetime, by: str) -> BreakGlass | None:
        """Return the break-glass grant, ended now or before, or None if there is no such grant."""


class ApprovalLinks(Protocol):
    """Links to the approval page, authenticated by a key that never leaves KMS."""

    def link(self, link: ApprovalLink) -> str:
        """Return the URL."""

    def read(self, token: str, now: datetime) -> ApprovalLink:
        """Return the link of a token.

        Raises `LinkRefusedError` unless this gate made the link, nobody has changed it, and it has not expired.
        """


class LinkDecider(Protocol):
    """The function `decide`, called for the person who confirms a link; it checks the link again itself."""

    def decide(self, token: str, reason: str) -> dict[str, Any]:
        """Return its answer: `standing` and `by`. Raises `NotDecidedError` if it refuses."""
