"""On a schedule: find what no event announced."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate.adapters import wiring
from imagegate.steps.await_scan import ScanCompleted
from imagegate.steps.reconcile import Reconcile

logger = Logger()


@cache
def step() -> Reconcile:
    completed = ScanCompleted(wiring.ecr(), wiring.ledger(), wiring.tasks(), wiring.starter())
    return Reconcile(wiring.ecr(), completed, wiring.policy(), wiring.installed_at())


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    found = step().run(wiring.now())
    logger.info("reconciled", woken=found.woken, started=found.started)
    return {"woken": found.woken, "started": found.started}
