"""Judge one image against the policy with which its release started."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import function_settings, log, step_wiring, wiring
from imagegate.aws import metrics
from imagegate.events.step_requests import JudgeRequest
from imagegate.workflow.judge import JudgeImage

logger = Logger(json_serializer=log.log_line)


@cache
def step() -> JudgeImage:
    examine = step_wiring.examination(
        second_look=function_settings.second_look(), timeout_share=function_settings.timeout_share()
    )
    images, ledger, records, grants = wiring.images(), wiring.ledger(), wiring.records(), wiring.grants()
    return JudgeImage(examine=examine, images=images, ledger=ledger, records=records, grants=grants)


@log.log_call(logger)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    release = JudgeRequest.parse(event).release.id
    logger.append_keys(release=str(release))
    now = wiring.now()
    judged = step().run(release, now)
    logger.info("image judged", **judged.as_json())
    if judged.verdict and judged.release:
        metrics.emit_verdict(judged.release, now)
    return judged.as_json()
