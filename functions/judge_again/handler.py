"""Judge images in use again: on a schedule those that are due; for an event about an image, only note it."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache, partial
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import function_settings, log, step_wiring, wiring
from imagegate.aws import metrics
from imagegate.events.eventbridge import parse_finding
from imagegate.workflow.watch.announce_risks import AnnounceRisks
from imagegate.workflow.watch.images_in_use import ImagesInUse
from imagegate.workflow.watch.judge_again import JudgeAgain, JudgementPace
from imagegate.workflow.watch.look_again import LookAgain

logger = Logger(json_serializer=log.log_line)
# The time to judge one more image, to announce what was found, and to store it.
RESERVE_MS = 90_000


@cache
def step() -> JudgeAgain:
    scans, ledger, policy = wiring.scans(), wiring.ledger(), wiring.policy()
    parts: Any = {"images": wiring.images(), "ledger": ledger, "policy": policy}
    look = LookAgain(examine=step_wiring.examination(), scans=scans, records=wiring.records(), **parts)
    tasks, usage = wiring.ecs_tasks(), wiring.intelligence()
    in_use = partial(ImagesInUse, ledger=ledger, running=tasks, usage=usage, scans=scans, policy=policy)
    announce = AnnounceRisks(ledger, wiring.notifications())
    pace = JudgementPace(quiet=function_settings.quiet_time(), at_risk=function_settings.at_risk_pace())
    export = step_wiring.risk_export()
    return JudgeAgain(look=look, announce=announce, export=export, in_use=in_use, pace=pace, **parts)


@log.log_call(logger)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    if (images := parse_finding(event)) is not None:
        return {"noted": sum(step().note(image, wiring.now()) for image in images)}
    result = step().run(wiring.now(), lambda: context.get_remaining_time_in_millis() > RESERVE_MS)
    (logger.error if result.faults else logger.info)("images in use judged again", **asdict(result))
    metrics.emit_risks(result.at_risk, result.not_watched, result.fixed)
    return asdict(result)
