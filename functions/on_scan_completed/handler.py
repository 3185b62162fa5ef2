"""Wake the releases that wait for a scan which has ended, or whose image was deleted."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import function_settings, step_wiring, wiring
from imagegate.events.eventbridge import parse_scan
from imagegate.log import log_call, log_line

if TYPE_CHECKING:
    from imagegate.workflow.await_scan import ScanCompleted

logger = Logger(json_serializer=log_line)


@cache
def step() -> ScanCompleted:
    return step_wiring.scan_completed()


@log_call(logger)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    image = parse_scan(event)
    logger.append_keys(image=str(image))
    woken = step().on_scan(image, wiring.now() + function_settings.quiet_time())
    logger.info("scan completed", woken=woken)
    return {"woken": woken}
