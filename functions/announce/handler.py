"""Close a release, and send its outcome to people and deployers."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import wiring
from imagegate.events.step_requests import AnnounceRequest
from imagegate.log import log_line
from imagegate.notices.announcement import explain_fault
from imagegate.workflow.announce import AnnounceRelease

logger = Logger(json_serializer=log_line)
metrics = Metrics()


@cache
def step() -> AnnounceRelease:
    return AnnounceRelease(
        ledger=wiring.ledger(),
        records=wiring.records(),
        notifications=wiring.notifications(),
        links=wiring.approval_links,
        mails=wiring.approval_mails,
    )


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    request = AnnounceRequest.parse(event)
    fault = explain_fault(request.error, request.cause)
    announced = step().run(request.release.id, request.outcome, fault, wiring.now())
    logger.info("release", release=str(request.release.id), route=announced.route, outcome=announced.outcome)
    metrics.add_metric(str(announced.outcome).capitalize(), MetricUnit.Count, 1)
    return {"route": str(announced.route), "outcome": str(announced.outcome)}
