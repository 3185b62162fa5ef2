"""The result of an approval or a rejection, for people: who decided, what is missing, what happens next."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType

from imagegate.canonical_json import parse_timestamp
from imagegate.grants.approval import ApprovalStatus, name_of
from imagegate_cli.output.screen import Text, labelled

_STYLES = {ApprovalStatus.APPROVED: "green", ApprovalStatus.REJECTED: "red"}


def decided(response: dict[str, Any], name: str) -> RenderableType:
    """Show the response of the function that decides. `name` is the image's, as the person wrote it."""
    status, request = ApprovalStatus(response["standing"]), response["request"]
    return Group(
        Text(_headline(status, request, name, response["approving"]), _STYLES.get(status, "yellow")),
        labelled(_row(one) for one in response["decided"]),
        Text(_next_step(status, request, name)),
    )


def _row(decision: dict[str, Any]) -> tuple[str, str]:
    verb = "approved" if decision["choice"] == "approve" else "rejected"
    why = f": {decision['reason']}" if decision["reason"] else ""
    return verb, f"{name_of(decision['by'])}{why}"


def _headline(status: ApprovalStatus, request: dict[str, Any], name: str, number: int) -> str:
    if status is ApprovalStatus.APPROVED:
        return f"{name} is let into {request['into']}"
    if status is ApprovalStatus.REJECTED:
        return f"{name} stays out of {request['into']}"
    return f"{name} has {number} of {request['quorum']} approvals for {request['into']}"


def _next_step(status: ApprovalStatus, request: dict[str, Any], name: str) -> str:
    if status is ApprovalStatus.APPROVED:
        return f"It is judged again, then promoted: imagegate status --watch {name}"
    if status is ApprovalStatus.REJECTED:
        return f"To request approval again: imagegate release {name}"
    ends = parse_timestamp(request["expires"])
    return f"Others can approve until {ends:%Y-%m-%d %H:%M} UTC: imagegate decide approve {name}"
