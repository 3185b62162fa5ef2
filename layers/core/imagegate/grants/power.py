"""Powers: what people may do at the gate, each granted apart. An alias of `decide` has the name of its power."""

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
    """The power that an action takes; `name`: of what is withdrawn, which tells what it is (`w-…` or `b-…`)."""
    if action == "withdraw":
        return Power.BREAK_GLASS if name.startswith("b-") else Power.WAIVE
    return Power.APPROVE if action == "reject" else Power(action)
