"""Powers: what people may do at the gate. Each is granted separately, by an alias of `decide` with the power's name."""

from __future__ import annotations

from enum import StrEnum


class Power(StrEnum):
    APPROVE = "approve"  # and reject
    WAIVE = "waive"  # and withdraw a waiver
    BREAK_GLASS = "break-glass"  # and end it
    REVOKE = "revoke"
    ROLLBACK = "rollback"
    RELEASE = "release"  # by hand, and adopt

    @property
    def output(self) -> str:
        """The stack's output with its URL: `BreakGlassUrl`."""
        return "".join(part.capitalize() for part in self.value.split("-")) + "Url"


def power_of(action: str, name: str = "") -> Power:
    """Return the power that an action needs. `name`: of the waiver (`w-…`) or break-glass (`b-…`) to be withdrawn."""
    if action == "withdraw":
        return Power.BREAK_GLASS if name.startswith("b-") else Power.WAIVE
    return Power.APPROVE if action == "reject" else Power(action)
