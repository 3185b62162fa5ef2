"""Makes an evidence pack for `imagegate audit --evidence`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagegate.text import counted
from imagegate_cli.context import now, pauses
from imagegate_cli.evidence_pack.archive import write_pack
from imagegate_cli.evidence_pack.collect import CollectPack
from imagegate_cli.output.spinner import Spinner
from imagegate_cli.output.terminal import say

if TYPE_CHECKING:
    from imagegate_cli.evidence_pack.period import AuditPeriod
    from imagegate_cli.stack import Stack


def make_pack(stack: Stack, path: Path, period: AuditPeriod, size: int) -> None:
    """Write the pack, and say its digest and number of samples. Raises `CannotTellError` if it cannot be written."""
    from imagegate.aws.ecr.registry import own_registry

    with Spinner("collecting evidence") as spinner:
        collect = CollectPack(
            stack=stack,
            registry=own_registry(),
            access=lambda verb, repository: _permissions(stack, verb, repository),
            activity=_calls,
            step=spinner.step,
        )
        head, members = collect.run(period, size, now())
    digest = write_pack(path, head, members)
    say(f"wrote {path}: {counted(len(head['samples']), 'sample')} of the releases of {period}", err=True)
    say(f"manifest {digest}: tell it to the auditor in another way than the file", err=True)


def _permissions(stack: Stack, verb: str, repository: str) -> list[Any]:
    from imagegate.aws import clients
    from imagegate_cli.access.permissions import PER_SECOND, find_permissions
    from imagegate_cli.request_pace import RequestPace

    pace = RequestPace(PER_SECOND, pauses().sleep)
    permissions = find_permissions(stack, clients.client, verb, repository, pace, lambda: None)
    return [one.as_json() for one in permissions]


def _calls(since: datetime, until: datetime) -> list[Any]:
    """Return a bounded sample: one page of each event."""
    from imagegate.aws import clients
    from imagegate_cli.access.trail import EVENTS, PER_SECOND, read_calls
    from imagegate_cli.request_pace import RequestPace

    pace = RequestPace(PER_SECOND, pauses().sleep)
    calls = read_calls(clients.client("cloudtrail"), EVENTS, since, until, pace, lambda: None, most_pages=1)
    return [call.as_json() for call in calls]
