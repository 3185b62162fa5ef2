"""Start a release: for a push, or for a request whose reason the grants, the ledger or the policy prove."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import function_settings, log, wiring
from imagegate.events.arrivals import parse_start
from imagegate.release.start import Ignore
from imagegate.workflow.reasons import StartOnEvent
from imagegate.workflow.start import StartRelease

logger = Logger(json_serializer=log.log_line)


@cache
def step() -> StartOnEvent:
    start = StartRelease(
        images=wiring.images(),
        ledger=wiring.ledger(),
        workflow=wiring.workflow(),
        records=wiring.records(),
        policy=wiring.policy(),
        installed_at=function_settings.installed_at(),
        registry=wiring.registry,
    )
    return StartOnEvent(start=start, grants=wiring.grants())


@log.log_call(logger)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    request = parse_start(event, context.invoked_function_arn)
    logger.append_keys(image=str(request.image))
    result = step().run(request, wiring.now())
    if isinstance(result, Ignore):
        logger.info("ignored", why=result.why, detail=event.get("detail", event.get("request")))
        return {"ignored": result.why}
    started: dict[str, Any] = {"release": str(result.image), "attempt": result.attempt}
    started["reason"] = str(result.reason)
    workflow = {"execution": result.execution_name}  # by which the workflow's own log names it
    logger.info("release started", **started | workflow | {"release": str(result.id)})
    return started
