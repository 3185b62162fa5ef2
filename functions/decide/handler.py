"""Behind a function URL with IAM authentication: whoever calls proves it, and is recorded with what they decide."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import wiring
from imagegate.errors import ImageGateError
from imagegate.events.desk import Desk
from imagegate.events.requests import answer, asked, responded
from imagegate.log import log_line
from imagegate.workflow.decide.approve import DecideApproval
from imagegate.workflow.decide.break_glass import GrantBreakGlass
from imagegate.workflow.decide.order import OrderRelease
from imagegate.workflow.decide.revoke import RevokeSignatures
from imagegate.workflow.decide.rollback import PlanRollback, RollBack
from imagegate.workflow.decide.waive import Decide

logger = Logger(json_serializer=log_line)


def desk() -> Desk:
    grants, ledger, records, starter = wiring.grants(), wiring.ledger(), wiring.records(), wiring.starter()
    told, ecr, policy = wiring.notifications(), wiring.ecr(), wiring.policy
    signing = wiring.registry, wiring.signer
    return Desk(
        lambda: Decide(grants, ledger, records, starter, policy(), wiring.versions()),
        lambda: GrantBreakGlass(grants, ledger, starter, told),
        lambda: RevokeSignatures(ledger, *signing, wiring.intelligence(), told, policy()),
        lambda: DecideApproval(grants, ledger, records, ecr, starter, wiring.people(), told),
        wiring.approval_links,
        lambda: RollBack(PlanRollback(ecr, ledger, *signing, policy()), ledger, told),
        lambda: OrderRelease(grants, ledger, ecr, starter, policy()),
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    try:
        caller, request = asked(event, context.invoked_function_arn, wiring.caller_check(), wiring.now())
        status, told = 200, request.carry_out(desk(), caller.arn, wiring.now())
        logger.info("decided", caller=caller.arn, user_id=caller.user_id, **told)
    except ImageGateError as error:
        status, told = answer(error)
        logger.warning("refused", error=type(error).__name__, message_of_error=str(error))
    return responded(status, told)
