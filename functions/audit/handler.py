"""Audit the registry in steps: list the repositories, audit one batch of them, put the report together."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import audit_wiring, log, wiring
from imagegate.events.step_requests import AuditRequest, AuditStep
from imagegate.ports.audit_runs import AuditBatch

if TYPE_CHECKING:
    from imagegate.workflow.audit.scheduled import ScheduledAudit

logger = Logger(json_serializer=log.log_line)


@cache
def step() -> ScheduledAudit:
    return audit_wiring.scheduled_audit()


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
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
