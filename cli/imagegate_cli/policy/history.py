"""The attempts of the last days, from the ledger, and the records of their decisions."""

from __future__ import annotations

from datetime import datetime
from fnmatch import fnmatchcase

from imagegate.errors import RejectedInputError
from imagegate.gate.decision_record import Decision
from imagegate.oci.image import ImageRef
from imagegate.release.release import Release
from imagegate_cli.output.spinner import Spinner
from imagegate_cli.stack import Stack


def last_decisions(
    stack: Stack, since: datetime, at: datetime, repository: str | None = None
) -> list[Release]:
    """Return the newest judged attempt of each image of that time, newest first. `repository` is a glob.

    Only one attempt of each image is in memory.
    """
    newest: list[Release] = []
    seen: set[ImageRef] = set()
    with Spinner("reading the ledger"):
        for attempt in stack.ledger.recent(since, at):
            is_wanted = repository is None or fnmatchcase(attempt.image.repository, repository)
            if is_wanted and attempt.decision is not None and attempt.image not in seen:
                seen.add(attempt.image)
                newest.append(attempt)
    return newest


def decision_of(stack: Stack, release: Release) -> Decision:
    """Read the record of the attempt's decision. Raises `RejectedInputError` if it is missing or unreadable."""
    if release.decision is None:
        raise RejectedInputError(f"{release.id} was not judged")
    return Decision.decode(stack.records.decision(release.decision))
