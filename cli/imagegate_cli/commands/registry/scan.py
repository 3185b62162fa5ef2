"""`imagegate scan`: a scan of one image, on request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from imagegate.findings.finding import Severity
from imagegate_cli.context import CommandLine
from imagegate_cli.durations import DurationType
from imagegate_cli.faults import CANNOT_TELL
from imagegate_cli.output.spinner import Spinner
from imagegate_cli.output.terminal import say, show_json
from imagegate_cli.reference import ReferenceType, RepositoryReference
from imagegate_cli.releases.exit_codes import TIMED_OUT
from imagegate_cli.releases.find import image_of, missing
from imagegate_cli.releases.waiting import Deadline, WaitTimeoutError

if TYPE_CHECKING:
    from imagegate_cli.inventory.rescan import RequestedScan, ScanResult
    from imagegate_cli.stack import Stack

_REFUSED = "ECR scans an image once in 24 hours: the result is that of the last scan"
_BY_ITSELF = (
    "Amazon Inspector scans by itself, after a push and for each new vulnerability; nobody can start a scan"
)
_WORST = 1


@click.command()
@click.argument("reference", type=ReferenceType(), metavar="REPOSITORY:TAG")
@click.option("--wait", is_flag=True, help="Wait for the result.")
@click.option(
    "--threshold",
    type=click.Choice([str(one) for one in Severity], case_sensitive=False),
    help="Wait, and exit with 1 if there is a finding of this severity or a higher one.",
)
@click.option("--timeout", type=DurationType(), default="15m", show_default=True, help="How long to wait.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects, one for each platform.")
@click.pass_obj
def scan(
    command_line: CommandLine,
    reference: RepositoryReference,
    *,
    wait: bool,
    threshold: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Scan an image again now, and say what is found.

    Under basic scanning it starts a scan of each platform, which ECR permits once in 24 hours; the scan after the push
    counts. Under enhanced scanning Amazon Inspector scans by itself, and the state of its scan is shown. It judges
    nothing and releases nothing: imagegate judge says whether the image would pass.

    \b
    Exit codes:
      0    a scan runs, or its result has nothing at --threshold or above
      1    there are findings at --threshold or above
      2    there is no result, or imagegate cannot tell
      124  not over within --timeout
    """
    from imagegate_cli.inventory.rescan import look, request_scans

    stack = command_line.stack
    image = image_of(stack, reference) if reference.names_an_image else None
    if image is None:
        raise (
            missing(stack, reference) if reference.tag else click.UsageError("name an image: REPOSITORY:TAG")
        )
    scans = request_scans(stack, image)
    is_late = wait or threshold is not None
    results = _wait(stack, scans, timeout) if is_late else look(stack, scans)
    _show(results, as_json=as_json)
    raise click.exceptions.Exit(_exit_code(results, threshold) if is_late else 0)


def _wait(stack: Stack, scans: list[RequestedScan], timeout: float) -> list[ScanResult]:
    """Return the results when all scans are over, or the states at the end of the time."""
    from imagegate_cli.inventory.rescan import look

    def look_for_all() -> list[ScanResult] | None:
        results = look(stack, scans)
        return results if all(one.is_over for one in results) else None

    with Spinner("waiting for the scan"):
        try:
            return Deadline.after(timeout).poll(look_for_all)
        except WaitTimeoutError:
            return look(stack, scans)


def _exit_code(results: Sequence[ScanResult], threshold: str | None) -> int:
    if threshold and any(one.is_known and one.reaches(Severity(threshold)) for one in results):
        return _WORST
    if not all(one.is_over for one in results):
        return TIMED_OUT
    return 0 if all(one.is_known for one in results) else CANNOT_TELL


def _show(results: Sequence[ScanResult], *, as_json: bool) -> None:
    from imagegate_cli.inventory.rescan import ScanRequest

    if as_json:
        return show_json([one.as_json() for one in results])
    from imagegate_cli.output import screen

    table = screen.plain_table(["PLATFORM", "DIGEST", "SCAN", "ENDED", "FINDINGS"])
    for one in results:
        ended = (one.status.scanned_at or "-") if one.is_over else "-"
        table.add_row(
            one.scan.platforms or "-", str(one.scan.image.digest), str(one.scan.request), ended, one.findings
        )
    screen.console().print(table)
    requests = {one.scan.request for one in results}
    if ScanRequest.REFUSED in requests:
        say(_REFUSED, err=True)
    if ScanRequest.BY_ITSELF in requests:
        say(_BY_ITSELF, err=True)
    return None
