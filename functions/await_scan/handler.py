"""The state machine waits for a scan: keep its token, and look once."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import wiring
from imagegate.events.eventbridge import AwaitScanRequest, parse
from imagegate.log import log_line
from imagegate.workflow.await_scan import AwaitScan

logger = Logger(json_serializer=log_line)


@cache
def step() -> AwaitScan:
    return AwaitScan(wiring.ecr(), wiring.ecr(), wiring.ledger(), wiring.tasks())


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    request = parse(AwaitScanRequest, event)
    waited = step().register(request.release.id, request.token, wiring.now())
    logger.info("waiting for the scan", release=str(request.release.id), ended=waited)
    return {"waited": waited and str(waited)}
