"""On a schedule: find what no event announced."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate.adapters import wiring
from imagegate.steps.await_scan import Reconcile, ScanCompleted

logger = Logger()


@cache
def step() -> Reconcile:
    return Reconcile(ScanCompleted(wiring.ecr(), wiring.ledger(), wiring.tasks(), wiring.starter()))


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    woken = step().run()
    logger.info("reconciled", woken=woken)
    return {"woken": woken}
