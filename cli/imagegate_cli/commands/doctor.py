"""`imagegate doctor`: checks what the command line needs."""

from __future__ import annotations

import click

from imagegate_cli.context import CommandLine
from imagegate_cli.output.terminal import say, show_json


@click.command()
@click.option(
    "--json", "as_json", is_flag=True, help="Print one object: the checks with name, state and text."
)
@click.pass_obj
def doctor(command_line: CommandLine, *, as_json: bool) -> None:
    """Check credentials, clock, stack, permissions and scanner, and say what to do.

    Nothing is changed. A check is "unknown" if it needs something that another check reports as wrong, and "limited" if
    you may not use the commands that it names; it says which policy in docs/powers permits them.

    \b
    Exit codes:
      0  nothing is wrong
      1  something is wrong
      2  nothing could be checked
    """
    from imagegate_cli.diagnosis.checks import Diagnosis, exit_code

    results = []
    for result in Diagnosis(command_line).results():
        results.append(result)
        if not as_json:
            say(f"{result.state:<9}{result.name:<13}{result.text}")
    if as_json:
        show_json({"schema": "imagegate.doctor/v1", "checks": [result.as_json() for result in results]})
    raise click.exceptions.Exit(exit_code(results))
