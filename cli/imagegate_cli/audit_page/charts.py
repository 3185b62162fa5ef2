"""Charts of the report as inline SVG. The page's style sheet gives the colours, by day and at night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import leather
from markupsafe import Markup, escape

from imagegate.audit.checks import CheckSeverity
from imagegate_cli.audit_page.trend import TrendPoint

_WIDTH, _HEIGHT = 640, 260
leather.theme.background_color = "none"
# The severities in a chart, each with its colour; leather writes it as an attribute, where variables are allowed.
_COLOURS = {
    CheckSeverity.CRITICAL: "var(--bad)",
    CheckSeverity.HIGH: "var(--high)",
    CheckSeverity.MEDIUM: "var(--medium)",
    CheckSeverity.LOW: "var(--calm)",
}


def severity_chart(counts: Mapping[CheckSeverity, int]) -> Markup:
    """Return bars: the findings of each severity."""
    rows = [(counts.get(severity, 0), str(severity)) for severity in _COLOURS]
    told = ", ".join(f"{number} {name}" for number, name in rows)
    chart = leather.Chart()
    chart.add_bars(rows, fill_color=lambda datum: _COLOURS[CheckSeverity(datum.y)])
    chart.add_x_scale(0, max(4, *(number for number, _ in rows)))
    return _drawn(chart, f"Findings that somebody must act on: {told}")


def trend_chart(points: Sequence[TrendPoint]) -> Markup:
    """Return lines: the findings of each severity over time. There are at least two points."""
    chart = leather.Chart()
    for severity, colour in _COLOURS.items():
        rows = [(_utc(point.at), point.counts.get(severity, 0)) for point in points]
        chart.add_line(rows, name=str(severity), stroke_color=colour, width=3)
    chart.add_y_scale(0, max(4, *(max(point.counts.values(), default=0) for point in points)))
    first, last = points[0], points[-1]
    return _drawn(
        chart,
        f"Findings over time: {sum(first.counts.values())} on {first.at:%Y-%m-%d},"
        f" {sum(last.counts.values())} on {last.at:%Y-%m-%d}",
    )


def _utc(at: datetime) -> datetime:
    """Return the time in UTC without its zone, as leather wants it."""
    return at.astimezone(UTC).replace(tzinfo=None)


def _drawn(chart: Any, name: str) -> Markup:
    """Return the chart as an image with a name, which scales with its place. Texts in it are numbers and our words."""
    svg = str(chart.to_svg(width=_WIDTH, height=_HEIGHT))
    size = f'<svg width="{_WIDTH}" height="{_HEIGHT}"'
    drawn = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(name)}"'
    return Markup(svg.replace(size, drawn, 1))  # noqa: S704
