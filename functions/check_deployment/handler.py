"""Check the images of a deployment before Amazon ECS starts it, and those of each task that runs."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import deadline, function_settings, log, wiring
from imagegate.events.ecs import parse_hook, parse_task
from imagegate.workflow.watch import deployment as watch

logger = Logger(json_serializer=log.log_line)
CHECK_SECONDS, TELL_SECONDS = 20.0, 10.0


def judge() -> watch.JudgeContainers:
    images, ledger, grants = wiring.images(), wiring.ledger(), wiring.grants()
    policy, allowed = wiring.policy(), function_settings.allowed_images()
    return watch.JudgeContainers(images=images, ledger=ledger, grants=grants, policy=policy, allowed=allowed)


def answer(event: dict[str, Any]) -> watch.HookAnswer:
    revision = None
    try:
        revision = parsed = parse_hook(event)
        check = watch.CheckDeployment(services=wiring.ecs(), judge=judge())
        return deadline.within(CHECK_SECONDS, lambda: check.run(parsed, wiring.now()))
    except Exception as error:  # ECS must have an answer, whatever the fault is
        logger.exception("deployment not checked")
        return watch.not_checked(revision, error, function_settings.on_error())


@log.log_call(logger)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    logger.append_keys(about=event.get("resources", event.get("resourceArn")))
    tell = watch.SendOnce(ledger=wiring.ledger(), notifications=wiring.notifications())
    if "detail-type" in event:
        find = watch.FindDrift(services=wiring.ecs(), judge=judge(), tell=tell)
        drift = find.run(parse_task(event), wiring.now())
        logger.info("task checked", refused=[one.subject for one in drift.rulings], told=drift.told)
        return {"refused": len(drift.rulings), "told": drift.told}
    hook_answer = answer(event)
    logger.info("deployment checked", status=hook_answer.status, reason=hook_answer.reason)
    try:
        deadline.within(TELL_SECONDS, lambda: tell.run(hook_answer.alerts, wiring.now()))
    except Exception:  # the answer does not depend on the messages
        logger.exception("nobody was told")
    return hook_answer.as_json()
