"""A repository's effective policy for a person: settings, rules and waivers, for any width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from imagegate_cli.output.screen import Text
from imagegate_cli.policy.effective import PolicyPart
from imagegate_cli.policy.explain import Explained, StandingWaiver

_STYLES = {"enforce": "", "warn": "yellow", "off": "dim", "filter": "cyan"}


def shown(found: Explained) -> RenderableType:
    stage = found.stage
    head = f"{found.repository}: stage {stage.name} of {found.source} ({found.digest[:19]}, {found.scanner} scanning)"
    parts: list[RenderableType] = [Text(head, style="bold"), Text(), _settings(found.settings), Text()]
    parts.append(_rules(found.rules))
    if found.unused:
        parts += [Text(), Text(f"Not used: {', '.join(found.unused)}", style="dim")]
    if found.waivers:
        parts += [Text(), _waivers(found.waivers)]
    return Group(*parts)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _settings(settings: Iterable[PolicyPart]) -> Table:
    table = _table("SETTING", "VALUE", "FROM")
    for path, value, origin in _folded(settings):
        table.add_row(path, value, origin)
    return table


def _folded(settings: Iterable[PolicyPart]) -> Iterator[tuple[str, str, str]]:
    """Alerts in one row: who hears of what."""
    alerts: list[PolicyPart] = []
    for part in settings:
        if part.path.startswith("alerts."):
            alerts.append(part)
        else:
            yield part.path, words(part.value) or "-", part.origin
    heard = [part.path.removeprefix("alerts.") for part in alerts if part.value == "alert"]
    origins = dict.fromkeys(part.origin for part in alerts)
    yield "alerts", f"for {', '.join(heard)}" if heard else "refusals only", ", ".join(origins)


def _rules(rules: Iterable[PolicyPart]) -> Table:
    table = _table("RULE", "VALUE", "ACTION", "FROM")
    for rule in rules:
        action = "off" if not rule.is_on else "filter" if rule.is_filter else str(rule.action)
        table.add_row(rule.path, words(rule.value), Text(action, style=_STYLES[action]), rule.origin)
    return table


def _waivers(waivers: Iterable[StandingWaiver]) -> Table:
    table = _table("WAIVED", "FOR", "OWNER", "STATE", "FROM")
    for one in waivers:
        state = Text(one.state, style="" if one.counts else "dim")
        waiver = one.waiver
        table.add_row(waiver.subject, waiver.where, waiver.owner, state, one.origin)
    return table


def words(value: Any) -> str:
    """As short as it can be read: `critical 2d, high 14d`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(words, value))
    if isinstance(value, dict) and "name" in value:
        known = (words(value[key]) for key in ("name", "versions", "ecosystem") if key in value)
        return " ".join(known)
    if isinstance(value, dict):
        return ", ".join(f"{name} {words(inner)}" for name, inner in value.items())
    return "" if value is None else str(value)
