"""Keep the token of a state machine that waits for a scan, and look at the scan once."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import wiring
from imagegate.events.step_requests import AwaitScanRequest
from imagegate.log import log_call, log_line
from imagegate.workflow.await_scan import AwaitScan

logger = Logger(json_serializer=log_line)


@cache
def step() -> AwaitScan:
    return AwaitScan(
        images=wiring.images(), scans=wiring.scans(), ledger=wiring.ledger(), tasks=wiring.tasks()
    )


@log_call(logger)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    request = AwaitScanRequest.parse(event)
    logger.append_keys(release=str(request.release.id))
    waited = step().register(request.release.id, request.token, wiring.now())
    logger.info("waiting for the scan", ended=waited)
    return {"waited": waited and str(waited)}
