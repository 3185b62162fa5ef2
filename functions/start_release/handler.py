"""A push, or a request by an operator: allocate the attempt and start its execution."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate.adapters import log, wiring
from imagegate.adapters.events import CLOUDTRAIL, CloudTrailPutImage, StartEnvelope, parse, parse_arrival
from imagegate.domain.release import Ignore, Release
from imagegate.steps.start import StartRelease

logger = Logger(json_serializer=log.log_line)
metrics = Metrics()


@cache
def step() -> StartRelease:
    ports = wiring.ecr(), wiring.ledger(), wiring.workflow(), wiring.records()
    return StartRelease(*ports, wiring.policy(), wiring.installed_at())


def start(event: dict[str, Any]) -> Release | Ignore:
    if event.get("detail-type") == CLOUDTRAIL:
        pushed = parse(CloudTrailPutImage, event).pushed
        noted = pushed is not None and step().on_pushed_by(*pushed)
        return Ignore("who pushed it is noted" if noted else "nobody need know who pushed it")
    if "request" in event:
        request = parse(StartEnvelope, event).request
        asked = request.image, request.tags, request.reason
        return step().on_request(*asked, wiring.now(), request.by)
    return step().on_push(parse_arrival(event), wiring.now())


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    result = start(event)
    if isinstance(result, Ignore):
        logger.info("ignored", why=result.why, detail=event.get("detail", event.get("request")))
        metrics.add_metric("Ignored", MetricUnit.Count, 1)
        return {"ignored": result.why}
    started = {"release": str(result.image), "attempt": result.attempt, "reason": str(result.reason)}
    logger.info("release started", **started)
    metrics.add_metric("Started", MetricUnit.Count, 1)
    return started
