"""What an approval or a rejection came to, for a person: who has decided, what is missing, what happens now."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from imagegate.canonical_json import parse_timestamp
from imagegate.grants.approval import ApprovalStatus
from imagegate_cli.decisions.asking import name_of
from imagegate_cli.output.screen import Text

_STYLES = {ApprovalStatus.APPROVED: "green", ApprovalStatus.REJECTED: "red"}


def shown(told: dict[str, Any], name: str) -> RenderableType:
    """`told`: what the function that decides has answered."""
    standing, asks = ApprovalStatus(told["standing"]), told["request"]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for one in told["decided"]:
        why = f": {one['reason']}" if one["reason"] else ""
        done = "approved" if one["choice"] == "approve" else "rejected"
        table.add_row(done, f"{name_of(one['by'])}{why}")
    return Group(
        Text(_headline(standing, asks, name, told["approving"]), _STYLES.get(standing, "yellow")),
        table,
        Text(_next(standing, asks, name)),
    )


def _headline(standing: ApprovalStatus, asks: dict[str, Any], name: str, number: int) -> str:
    if standing is ApprovalStatus.APPROVED:
        return f"{name} is let into {asks['into']}"
    if standing is ApprovalStatus.REJECTED:
        return f"{name} stays out of {asks['into']}"
    return f"{name} has {number} of {asks['quorum']} approvals for {asks['into']}"


def _next(standing: ApprovalStatus, asks: dict[str, Any], name: str) -> str:
    if standing is ApprovalStatus.APPROVED:
        return f"It is judged once more, then promoted: imagegate status --watch {name}"
    if standing is ApprovalStatus.REJECTED:
        return f"To ask anew: imagegate release {name}"
    ends = parse_timestamp(asks["expires"])
    return f"The others have time until {ends:%Y-%m-%d %H:%M} UTC: imagegate decide approve {name}"
