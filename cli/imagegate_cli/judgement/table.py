"""An opinion as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from imagegate.gate.verdict import Reason
from imagegate.policy.rules import Action
from imagegate_cli.judgement.opinion import Line, Opinion, aside, deciding, headline, left_over
from imagegate_cli.output.screen import Text
from imagegate_cli.releases.view import coloured

_MOST = 40
_SEVERITIES = {"CRITICAL": "bold red", "HIGH": "red", "MEDIUM": "yellow"}


def shown(opinion: Opinion, width: int, *, explain: bool) -> RenderableType:
    """What decided, what would help, and the findings: those that count, or with `explain` all of them."""
    return Group(*_parts(opinion, width, explain=explain))


def _parts(opinion: Opinion, width: int, *, explain: bool) -> Iterator[RenderableType]:
    first = Text()
    first.append_text(coloured(str(opinion.outcome)))
    first.append(headline(opinion).removeprefix(str(opinion.outcome)))
    yield first
    yield _reasons(opinion.judged.verdict.reasons)
    yield from _help(opinion)
    lines = opinion.lines()
    wanted = lines if explain else [line for line in lines if line.counts and line.is_told]
    if wanted:
        yield Text()
        yield _findings(wanted if explain else wanted[:_MOST], width)
    if len(wanted) > _MOST and not explain:
        yield Text(f"… and {len(wanted) - _MOST} more; --explain shows all")
    yield from _rest(opinion, explain=explain)


def _reasons(reasons: Sequence[Reason]) -> Table:
    """A mark, and the sentence beside it however often it has to be broken."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for reason in reasons:
        mark = Text("  ! ", "yellow") if reason.action is not Action.ENFORCE else Text("  ✗ ", "red")
        if reason.is_unknown:
            mark = Text("  ? ", "bold red")
        grid.add_row(mark, f"{reason.message}  [{reason.rule}]")
    return grid


def _help(opinion: Opinion) -> Iterator[RenderableType]:
    remedies, left = opinion.judged.remedies, left_over(opinion)
    if not remedies.actions and not left:
        return
    yield Text()
    yield Text("What would make it pass:", style="bold")
    for action in remedies.actions:
        yield Text(f"  {action!s}")
    for text in left:
        yield Text(f"  {text}")


def _findings(lines: list[Line], width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("SEVERITY", no_wrap=True)
    table.add_column("VULNERABILITY", overflow="fold", min_width=14)
    table.add_column("PACKAGE", overflow="fold", min_width=14)
    table.add_column("FIXED IN", overflow="fold")
    if width >= 110:
        table.add_column("LAYER", no_wrap=True)
        table.add_column("SINCE", no_wrap=True)
    table.add_column("DECIDED", overflow="fold", min_width=16)
    for line in lines:
        finding = line.finding
        packages = ", ".join(dict.fromkeys(map(str, finding.packages)))
        fixes = ", ".join(dict.fromkeys(package.fixed for package in finding.packages if package.fixed))
        severity = Text(str(finding.severity), style=_SEVERITIES.get(str(finding.severity), ""))
        more = (_layer(line), (line.seen_at or "")[:10]) if width >= 110 else ()
        cells = (finding.vulnerability, packages, fixes, *more, deciding(line))
        table.add_row(severity, *cells)
    return table


def _layer(line: Line) -> str:
    known = dict.fromkeys(origin for origin in line.origin if origin != "unknown")
    return ", ".join(known)


def _rest(opinion: Opinion, *, explain: bool) -> Iterator[RenderableType]:
    within = sum(line.counts and not line.is_told for line in opinion.lines())
    others = {"within a limit": within, **aside(opinion)}
    yield Text()
    if any(others.values()) and not explain:
        listed = ", ".join(f"{number} {why}" for why, number in others.items() if number)
        yield Text(f"Other findings: {listed}. --explain shows them", style="dim")
    delta = opinion.judged.delta
    if delta:
        yield Text(
            f"Against {delta['against']}: {delta['added']} added"
            f"{_examples(delta['addedExamples'])}, {delta['removed']} removed"
            f"{_examples(delta['removedExamples'])}"
        )
    for note in opinion.notes:
        yield Text(note, style="dim")
    yield Text(
        f"Policy {opinion.policy.short} ({opinion.policy_name}), stage {opinion.stage.name}", style="dim"
    )


def _examples(names: list[str]) -> str:
    return f" ({', '.join(names)})" if names else ""
