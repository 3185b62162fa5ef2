"""`imagegate stats`: the measures of a period."""

from __future__ import annotations

from datetime import timedelta

import click

from imagegate_cli.context import CommandLine, now
from imagegate_cli.durations import PeriodType
from imagegate_cli.output.spinner import Spinner
from imagegate_cli.output.terminal import print_content, say, show_json


@click.command()
@click.option(
    "--since", type=PeriodType(), default="90d", show_default=True, help="Attempts that began since then."
)
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)
@click.pass_obj
def stats(command_line: CommandLine, /, *, since: timedelta, form: str) -> None:
    """Print measures of the releases: scanned, signed, outcomes, times.

    They come from the ledger, by stage: shares of scanned and signed releases, CRITICAL findings by week, times to
    verdict,
    promotion, fix and rollback. The last column says how many attempts a number counts, of how many; a number
    is not known where nothing was counted. Medians and p90 are exact to two per cent.
    """
    from imagegate_cli.measures.measure import measure

    stack, at = command_line.stack, now()
    with Spinner("reading the ledger") as spinner:
        measures = measure(stack.ledger, stack.policy, at - since, at, spinner.step)
    if form == "json":
        return show_json([one.as_json() for one in measures])
    if form == "csv":
        return print_content(_csv([one.as_json() for one in measures]))
    if not measures:
        return say("no attempt began in this time", err=True)
    from imagegate_cli.output import screen

    table = screen.plain_table(["MEASURE", "STAGE", "VALUE", "COUNTED"])
    for one in measures:
        table.add_row(*one.row)
    return screen.console().print(table)


def _csv(rows: list[dict[str, object]]) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, ["measure", "stage", "unit", "value", "counted", "of"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
