"""The attempts of the last days, from the ledger, and the records of their decisions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from imagegate.errors import RejectedInputError
from imagegate.gate.decision_record import Decision
from imagegate.oci.image import ImageRef
from imagegate.release.release import Release
from imagegate_cli.output.spinner import Spinner
from imagegate_cli.output.terminal import say
from imagegate_cli.stack import Stack

# A long period must not read the whole ledger.
_FIRST_READ, _READ_AT_MOST = 1_000, 16_000


def attempts_since(
    stack: Stack, since: datetime, at: datetime, *, at_most: int = _READ_AT_MOST
) -> list[Release]:
    """Return the attempts that began since then, newest first. Say so if there are more than `at_most`."""
    limit = min(_FIRST_READ, at_most)
    with Spinner("reading the ledger"):
        while True:
            attempts = stack.ledger.recent(limit, at)
            is_all = len(attempts) < limit or attempts[-1].started_at < since
            if is_all or limit >= at_most:
                break
            limit = min(limit * 4, at_most)
    if not is_all:
        first = f"{attempts[-1].started_at:%Y-%m-%d %H:%M} UTC"
        say(f"imagegate: only the newest {limit} attempts are looked at, since {first}", err=True)
    return [release for release in attempts if release.started_at >= since]


def last_decisions(attempts: Iterable[Release]) -> list[Release]:
    """Return the newest judged attempt of each image. `attempts` and the result have the newest first."""
    newest: dict[ImageRef, Release] = {}
    for attempt in attempts:
        if attempt.decision is not None:
            newest.setdefault(attempt.image, attempt)
    return list(newest.values())


def decision_of(stack: Stack, release: Release) -> Decision:
    """Read the record of the attempt's decision. Raises `RejectedInputError` if it is missing or unreadable."""
    if release.decision is None:
        raise RejectedInputError(f"{release.id} was not judged")
    return Decision.decode(stack.records.decision(release.decision))
