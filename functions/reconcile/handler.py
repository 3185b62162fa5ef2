"""On a schedule: find what no event announced. When an image is deleted: tell of it, where it had been released."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import wiring
from imagegate.events.eventbridge import IMAGE_ACTION, EcrImageAction, parse
from imagegate.log import log_line
from imagegate.workflow.await_scan import ScanCompleted
from imagegate.workflow.watch.reconcile import Reconcile

logger = Logger(json_serializer=log_line)


@cache
def step() -> Reconcile:
    completed = ScanCompleted(wiring.ecr(), wiring.ledger(), wiring.tasks(), wiring.starter())
    return Reconcile(
        images=wiring.ecr(),
        completed=completed,
        grants=wiring.grants(),
        records=wiring.records(),
        notifications=wiring.notifications(),
        policy=wiring.policy(),
        installed_at=wiring.installed_at(),
        versions=wiring.versions(),
    )


def on_deleted(event: dict[str, Any]) -> dict[str, Any]:
    image = parse(EcrImageAction, event).detail.image
    told = step().deletions.on_deleted(image, wiring.now())
    logger.info("image deleted", image=str(image), told=told)
    return {"told": told}


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    if event.get("detail-type") == IMAGE_ACTION:
        return on_deleted(event)
    found = asdict(step().run(wiring.now()))
    (logger.error if found["faults"] else logger.info)("reconciled", **found)
    return found
