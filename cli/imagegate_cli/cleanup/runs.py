"""The plans that the command line names by one digest."""

from __future__ import annotations

from collections.abc import Iterator

from imagegate.cleanup.plan import CleanupPlan, CleanupRun, InvalidPlanError
from imagegate.oci.image import Digest
from imagegate.ports.cleanup import CleanupRecords


def read_plans(records: CleanupRecords, name: Digest) -> Iterator[tuple[Digest, CleanupPlan]]:
    """Yield the plans of a run, or the one plan of that name. Raises `InvalidPlanError` or `RecordNotFoundError`."""
    content = records.cleanup(name)
    try:
        yield name, CleanupPlan.read(content)
    except InvalidPlanError:
        for digest in CleanupRun.read(content).plans.values():
            yield digest, CleanupPlan.read(records.cleanup(digest))
