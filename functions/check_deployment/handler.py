"""Amazon ECS asks before it starts a deployment, and tells when a task runs: has every image passed its gate?"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import log, wiring
from imagegate.deadline import within
from imagegate.events.ecs import parse_hook, parse_task
from imagegate.workflow.deployment import CheckDeployment, HookAnswer, JudgeContainers, TellOnce, not_checked
from imagegate.workflow.drift import FindDrift

logger = Logger(json_serializer=log.log_line)
CHECK_SECONDS, TELL_SECONDS = 20.0, 10.0


@cache
def judge() -> JudgeContainers:
    ports = wiring.ecr(), wiring.ledger(), wiring.grants()
    return JudgeContainers(*ports, wiring.policy(), wiring.allowed_images())


def answer(event: dict[str, Any]) -> HookAnswer:
    deployment = None
    try:
        deployment = asked = parse_hook(event)
        return within(CHECK_SECONDS, lambda: CheckDeployment(wiring.ecs(), judge()).run(asked, wiring.now()))
    except Exception as error:  # whatever it is, ECS must have an answer
        logger.exception("deployment not checked")
        return not_checked(deployment, error, wiring.on_error())


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    tell = TellOnce(wiring.ledger(), wiring.notifications())
    if "detail-type" in event:
        drift = FindDrift(wiring.ecs(), judge(), tell).run(parse_task(event), wiring.now())
        logger.info("task looked at", refused=[one.subject for one in drift.rulings], told=drift.told)
        return {"refused": len(drift.rulings), "told": drift.told}
    answered = answer(event)
    logger.info("deployment checked", status=answered.status, reason=answered.reason)
    try:
        within(TELL_SECONDS, lambda: tell.run(answered.alerts, wiring.now()))
    except Exception:  # the answer stands
        logger.exception("nobody was told")
    return answered.as_json()
