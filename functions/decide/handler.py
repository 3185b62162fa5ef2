"""Decide: a function URL with IAM authentication. The caller proves who they are, and is recorded with the decision."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import log, wiring
from imagegate.aws import metrics
from imagegate.errors import ImageGateError
from imagegate.events.decide_call import error_response, http_response, parse_call
from imagegate.workflow.decide.carry_out import CarryOutDecision

logger = Logger(json_serializer=log.log_line)


def step() -> CarryOutDecision:
    return CarryOutDecision(
        grants=wiring.grants(),
        ledger=wiring.ledger(),
        records=wiring.records(),
        images=wiring.images(),
        starter=wiring.starter(),
        notifications=wiring.notifications(),
        policy=wiring.policy,
        registry=wiring.registry,
        signer=wiring.signer,
        usage=wiring.intelligence,
        people=wiring.people,
        links=wiring.approval_links,
        versions=wiring.versions,
    )


@log.log_call(logger)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    try:
        check = wiring.caller_check()
        caller, decision = parse_call(event, context.invoked_function_arn, check, wiring.now())
        logger.append_keys(caller=caller.arn, **decision.about())
        status, body = 200, step().run(decision.as_request(), caller.arn, wiring.now())
        metrics.emit_rollback(body)
        logger.info("decided", user_id=caller.user_id, **body)
    except ImageGateError as error:
        status, body = error_response(error)
        logger.warning("refused", error=type(error).__name__, message_of_error=str(error))
    return http_response(status, body)
