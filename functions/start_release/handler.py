"""A push, or a request with a reason that holds: allocate the attempt and start its execution."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import log, wiring
from imagegate.events.eventbridge import is_request, parse_arrival, parse_pushed, parse_request
from imagegate.release.release import Release
from imagegate.release.start import Ignore
from imagegate.workflow.reasons import CheckReason, StartRequested
from imagegate.workflow.start import StartRelease

logger = Logger(json_serializer=log.log_line)
metrics = Metrics()


@cache
def step() -> StartRelease:
    ports = wiring.ecr(), wiring.ledger(), wiring.workflow(), wiring.records()
    return StartRelease(*ports, wiring.policy(), wiring.installed_at(), wiring.registry)


def start(event: dict[str, Any], function_arn: str) -> Release | Ignore:
    if is_request(event, function_arn):
        check = CheckReason(wiring.grants(), wiring.ledger(), wiring.records(), wiring.policy())
        return StartRequested(check, step()).run(*parse_request(event), wiring.now())
    if pushed := parse_pushed(event):
        return step().on_pushed_by(*pushed)
    return step().on_push(parse_arrival(event), wiring.now())


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    result = start(event, context.invoked_function_arn)
    if isinstance(result, Ignore):
        logger.info("ignored", why=result.why, detail=event.get("detail", event.get("request")))
        metrics.add_metric("Ignored", MetricUnit.Count, 1)
        return {"ignored": result.why}
    started = {"release": str(result.image), "attempt": result.attempt, "reason": str(result.reason)}
    logger.info("release started", **started)
    metrics.add_metric("Started", MetricUnit.Count, 1)
    return started
