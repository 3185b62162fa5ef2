"""Audit the registry in steps: list the repositories, audit a batch, report. On a schedule, clean up."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import audit_wiring, log, wiring
from imagegate.events.eventbridge import SCHEDULED
from imagegate.events.step_requests import AuditRequest, AuditStep
from imagegate.ports.audit_runs import AuditBatch

if TYPE_CHECKING:
    from imagegate.workflow.audit.scheduled import ScheduledAudit

logger = Logger(json_serializer=log.log_line)
# The time to clean up one more repository.
RESERVE_MS = 300_000


@cache
def step() -> ScheduledAudit:
    return audit_wiring.scheduled_audit()


@log.log_call(logger)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    if event.get("detail-type") == SCHEDULED:
        left = context.get_remaining_time_in_millis
        done = audit_wiring.scheduled_cleanup().run(wiring.now(), lambda: left() > RESERVE_MS)
        logger.info("cleaned up", is_over=bool(done and done["after"] is None))
        return {"refused": done["refused"] if done else []}
    request = AuditRequest.parse(event)
    if request.step is AuditStep.BEGIN:
        key = step().begin(request.run)
        logger.info("audit begun", run=request.run, batches=key)
        return {"batches": key}
    if request.batch is not None:
        batch = AuditBatch(request.batch.number, tuple(request.batch.repositories))
        step().audit(request.run, batch)
        logger.info("repositories audited", run=request.run, batch=batch.number)
        return {}
    report = step().finish(request.run, wiring.now())
    unread = len({one.resource.arn for one in report.results.not_assessed})
    logger.info("audit finished", run=request.run, findings=len(report.findings), not_assessed=unread)
    return {"findings": len(report.findings), "notAssessed": unread}
