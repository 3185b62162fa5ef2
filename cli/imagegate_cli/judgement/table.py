"""The opinion as a table in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table

from imagegate.gate.verdict import Reason
from imagegate.policy.rules import Action
from imagegate.text import one_line
from imagegate_cli.judgement.opinion import (
    Line,
    Opinion,
    VulnerabilityText,
    count_not_counting,
    counts_text,
    decision_text,
    explanations,
    headline,
    severity_text,
)
from imagegate_cli.output.screen import Text, coloured

_MOST = 40
_MOST_EXPLAINED = 10
_SEVERITIES = {"CRITICAL": "bold red", "HIGH": "red", "MEDIUM": "yellow"}


def render_opinion(opinion: Opinion, width: int, *, explain: bool) -> RenderableType:
    """Render the reasons, the remedies and the findings: those that count, or all with `explain`."""
    return Group(*_parts(opinion, width, explain=explain))


def _parts(opinion: Opinion, width: int, *, explain: bool) -> Iterator[RenderableType]:
    heading = Text()
    heading.append_text(coloured(str(opinion.outcome)))
    heading.append(headline(opinion).removeprefix(str(opinion.outcome)))
    yield heading
    yield _reasons(opinion.judged.verdict.reasons)
    yield from _remedies(opinion)
    lines = opinion.lines()
    lines_shown = lines if explain else [line for line in lines if line.counts and line.is_told]
    if lines_shown:
        yield Text()
        yield _findings(lines_shown if explain else lines_shown[:_MOST], width)
    if len(lines_shown) > _MOST and not explain:
        yield Text(f"… and {len(lines_shown) - _MOST} more; --explain shows all")
    yield from _explanations(explanations(lines_shown, None if explain else _MOST_EXPLAINED))
    yield from _footer(opinion, explain=explain)


def _reasons(reasons: Sequence[Reason]) -> Table:
    """Render each reason as a mark and a sentence that wraps beside it."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for reason in reasons:
        mark = Text("  ! ", "yellow") if reason.action is not Action.ENFORCE else Text("  ✗ ", "red")
        if reason.is_unknown:
            mark = Text("  ? ", "bold red")
        grid.add_row(mark, f"{reason.message}  [{reason.rule}]")
    return grid


def _remedies(opinion: Opinion) -> Iterator[RenderableType]:
    texts = opinion.advice
    if texts:
        yield Text()
        yield Text("What would make it pass:", style="bold")
        yield from (Padding(Text(text), (0, 0, 0, 2)) for text in texts)


def _explanations(described: Sequence[VulnerabilityText]) -> Iterator[RenderableType]:
    if described:
        yield Text()
        yield Text("In the words of the scanner:", style="bold")
        for one in described:
            text = f"{one.vulnerability}: {one_line(one.description)} {one.url or ''}".rstrip()
            yield Padding(Text(text), (0, 0, 0, 2))


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
        severity = Text(severity_text(finding), style=_SEVERITIES.get(str(finding.severity), ""))
        more = (_layer(line), (line.seen_at or "")[:10]) if width >= 110 else ()
        cells = (finding.vulnerability, packages, fixes, *more, decision_text(line))
        table.add_row(severity, *cells)
    return table


def _layer(line: Line) -> str:
    origins = dict.fromkeys(origin for origin in line.origin if origin != "unknown")
    return ", ".join(origins)


def _footer(opinion: Opinion, *, explain: bool) -> Iterator[RenderableType]:
    within = sum(line.counts and not line.is_told for line in opinion.lines())
    others = {"within a limit": within, **count_not_counting(opinion)}
    yield Text()
    yield from (Text(f"Findings: {text}", style="dim") for text in counts_text(opinion))
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
