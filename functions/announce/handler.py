"""Close a release, and send its outcome to people and deployers."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import step_wiring, wiring
from imagegate.aws import metrics
from imagegate.events.step_requests import AnnounceRequest
from imagegate.log import log_call, log_line
from imagegate.notices.announcement import explain_fault

logger = Logger(json_serializer=log_line)


step = cache(step_wiring.announcing)


@log_call(logger)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    request = AnnounceRequest.parse(event)
    logger.append_keys(release=str(request.release.id))
    fault = explain_fault(request.error, request.cause)
    now = wiring.now()
    announced = step().run(request.release.id, request.outcome, fault, now)
    logger.info("release", **announced.as_log())
    if announced.release:
        metrics.emit_ending(announced.release, now)
    return {"route": str(announced.route), "outcome": str(announced.outcome)}
