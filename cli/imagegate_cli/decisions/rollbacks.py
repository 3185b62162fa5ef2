"""Rollbacks, for people: from which release to which, and the releases that are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType

from imagegate.board import release_facts as facts
from imagegate.canonical_json import parse_timestamp
from imagegate_cli.output.screen import Text, labelled

if TYPE_CHECKING:
    from imagegate.release.release import Release
    from imagegate.workflow.decide.rollback import RollbackPlan


def planned(plan: RollbackPlan) -> RenderableType:
    """Show the plan of a rollback."""
    return labelled(_rows(plan))


def _rows(plan: RollbackPlan) -> Iterator[tuple[str, RenderableType]]:
    yield "From", _release(plan.current)
    for release, why in plan.skipped:
        yield "Not", Text(f"{_release(release)}: {why}", "yellow")
    yield "Forward to" if plan.is_forward else "Back to", _release(plan.target)


def done(plan: RollbackPlan, response: dict[str, Any]) -> RenderableType:
    """Show a rollback that was announced to deployers. The gate itself does not deploy."""
    image = plan.target.image
    at = f"{parse_timestamp(response['at']):%Y-%m-%d %H:%M:%S} UTC"
    note = f"Deployers were notified on {at}: Image Released"
    return Group(planned(plan), Text(note), Text(str(image.digest)))


def as_json(plan: RollbackPlan, response: dict[str, Any] | None) -> dict[str, Any]:
    """Return the plan, and as `rollback` the response of the function; null if nothing was done."""
    return {
        "repository": plan.current.image.repository,
        "from": str(plan.current.image.digest),
        "to": str(plan.target.image.digest),
        "tags": sorted(plan.target.tags),
        "skipped": [{"digest": str(one.image.digest), "why": why} for one, why in plan.skipped],
        "rollback": response,
    }


def _release(release: Release) -> str:
    when = release.closed_at or release.started_at
    return f"{facts.name(release)} ({release.image.digest.short}), released {when:%Y-%m-%d %H:%M} UTC"
