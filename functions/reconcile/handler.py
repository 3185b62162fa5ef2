"""Find on a schedule what no event announced. For a deleted image, tell people if it had been released."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import clock, log, wiring
from imagegate.aws import metrics
from imagegate.events.eventbridge import parse_deletion
from imagegate.workflow.watch.reconcile import Reconcile
from imagegate.workflow.watch.waits import measure_waits

logger = Logger(json_serializer=log.log_line)


@cache
def step() -> Reconcile:
    return Reconcile(
        images=wiring.ecr(),
        ledger=wiring.ledger(),
        completed=wiring.scan_completed(),
        grants=wiring.grants(),
        records=wiring.records(),
        notifications=wiring.notifications(),
        policy=wiring.policy(),
        installed_at=wiring.installed_at(),
        versions=wiring.versions(),
        workers=wiring.workers(),
        stopwatch=clock.stopwatch,
        canary=wiring.canary(),
    )


@log.log_call(logger)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    if image := parse_deletion(event):
        logger.append_keys(image=str(image))
        logger.info("image deleted", told=(told := step().deletions.on_deleted(image, wiring.now())))
        return {"told": told}
    if (reconciled := step().run(wiring.now())) is None:
        return {"busy": True}  # another run measures, too
    (logger.error if reconciled.faults else logger.info)("reconciled", **asdict(reconciled))
    metrics.emit_waits(**asdict(measure_waits(step().ledger, wiring.now())))
    metrics.emit_pass(reconciled.started, reconciled.stored_bytes, reconciled.canary_seconds)
    return asdict(reconciled)
