"""The effective policy of a repository for people: settings, rules and waivers, for any width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from imagegate_cli.output.screen import Text, plain_table
from imagegate_cli.policy.effective import PolicyPart
from imagegate_cli.policy.explain import ExplainedWaiver, Explanation

_STYLES = {"enforce": "", "warn": "yellow", "off": "dim", "filter": "cyan"}


def explanation_table(explanation: Explanation) -> RenderableType:
    """Return the headline, then tables of settings, rules and waivers."""
    policy = f"{explanation.source} ({explanation.digest[:19]}, {explanation.scanner} scanning)"
    headline = f"{explanation.repository}: stage {explanation.stage.name} of {policy}"
    parts: list[RenderableType] = [Text(headline, style="bold"), Text(), _settings(explanation.settings)]
    parts += [Text(), _rules(explanation.rules)]
    if explanation.unused:
        parts += [Text(), Text(f"Not used: {', '.join(explanation.unused)}", style="dim")]
    if explanation.waivers:
        parts += [Text(), _waivers(explanation.waivers)]
    return Group(*parts)


def _settings(settings: Iterable[PolicyPart]) -> Table:
    table = plain_table(("SETTING", "VALUE", "FROM"))
    for path, value, origin in _folded(settings):
        table.add_row(path, value, origin)
    return table


def _folded(settings: Iterable[PolicyPart]) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of the settings, with all alerts in one row."""
    alerts: list[PolicyPart] = []
    for part in settings:
        if part.path.startswith("alerts."):
            alerts.append(part)
        else:
            yield part.path, words(part.value) or "-", part.origin
    severities = [part.path.removeprefix("alerts.") for part in alerts if part.value == "alert"]
    origins = dict.fromkeys(part.origin for part in alerts)
    yield "alerts", f"for {', '.join(severities)}" if severities else "refusals only", ", ".join(origins)


def _rules(rules: Iterable[PolicyPart]) -> Table:
    table = plain_table(("RULE", "VALUE", "ACTION", "FROM"))
    for rule in rules:
        action = "off" if not rule.is_on else "filter" if rule.is_filter else str(rule.action)
        table.add_row(rule.path, words(rule.value), Text(action, style=_STYLES[action]), rule.origin)
    return table


def _waivers(waivers: Iterable[ExplainedWaiver]) -> Table:
    table = plain_table(("WAIVED", "FOR", "OWNER", "STATE", "FROM"))
    for one in waivers:
        state = Text(one.state, style="" if one.counts else "dim")
        waiver = one.waiver
        table.add_row(waiver.subject, waiver.where, waiver.owner, state, one.origin)
    return table


def words(value: Any) -> str:
    """Return a value in short: `critical 2d, high 14d`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(words, value))
    if isinstance(value, dict) and "name" in value:
        return " ".join(words(value[key]) for key in ("name", "versions", "ecosystem") if key in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {words(inner)}" for name, inner in value.items())
    return "" if value is None else str(value)
