"""Check the images of a deployment before Amazon ECS starts it, and those of each task that runs."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import log, wiring
from imagegate.deadline import within
from imagegate.events.ecs import parse_hook, parse_task
from imagegate.workflow.watch import deployment as watch

logger = Logger(json_serializer=log.log_line)
CHECK_SECONDS, TELL_SECONDS = 20.0, 10.0


@cache
def judge() -> watch.JudgeContainers:
    ports = wiring.ecr(), wiring.ledger(), wiring.grants()
    return watch.JudgeContainers(*ports, wiring.policy(), wiring.allowed_images())


def answer(event: dict[str, Any]) -> watch.HookAnswer:
    revision = None
    try:
        revision = parsed = parse_hook(event)
        check = watch.CheckDeployment(wiring.ecs(), judge())
        return within(CHECK_SECONDS, lambda: check.run(parsed, wiring.now()))
    except Exception as error:  # ECS must have an answer, whatever the fault is
        logger.exception("deployment not checked")
        return watch.not_checked(revision, error, wiring.on_error())


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    tell = watch.TellOnce(wiring.ledger(), wiring.notifications())
    if "detail-type" in event:
        drift = watch.FindDrift(wiring.ecs(), judge(), tell).run(parse_task(event), wiring.now())
        logger.info("task looked at", refused=[one.subject for one in drift.rulings], told=drift.told)
        return {"refused": len(drift.rulings), "told": drift.told}
    answered = answer(event)
    logger.info("deployment checked", status=answered.status, reason=answered.reason)
    try:
        within(TELL_SECONDS, lambda: tell.run(answered.alerts, wiring.now()))
    except Exception:  # the answer does not depend on the messages
        logger.exception("nobody was told")
    return answered.as_json()
