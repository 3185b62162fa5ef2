"""What a rollback goes back to, and what is skipped because it does not hold any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table

from imagegate_cli.output.screen import Text
from imagegate_cli.releases import facts

if TYPE_CHECKING:
    from imagegate.release.release import Release
    from imagegate.workflow.decide.rollback import RollbackPlan


def planned(plan: RollbackPlan) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    grid.add_row("From", _named(plan.current))
    for one, why in plan.skipped:
        grid.add_row("Not", Text(f"{_named(one)}: {why}", "yellow"))
    grid.add_row("Back to", _named(plan.target))
    return grid


def done(plan: RollbackPlan, told: dict[str, Any]) -> RenderableType:
    """Where to look now: the gate does not deploy."""
    image = plan.target.image
    return Group(
        planned(plan),
        Text(f"Deployers were told on {told['at']}: Image Released, {image.digest}"),
    )


def as_json(plan: RollbackPlan, told: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "repository": plan.current.image.repository,
        "from": str(plan.current.image.digest),
        "to": str(plan.target.image.digest),
        "tags": sorted(plan.target.tags),
        "skipped": [{"digest": str(one.image.digest), "why": why} for one, why in plan.skipped],
        "rollback": told,
    }


def _named(release: Release) -> str:
    when = release.closed_at or release.started_at
    return f"{facts.name(release)} ({release.image.digest.short}), released {when:%Y-%m-%d %H:%M} UTC"
