"""What approval messages link to. Looking changes nothing; pressing the button has `decide` asked, which decides."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import wiring
from imagegate.approval_page.html import confirmed, notice, page
from imagegate.approval_page.http import PageRequest, answer, parse_request, refused
from imagegate.errors import ImageGateError
from imagegate.log import log_line
from imagegate.workflow.decide.approval_page import ConfirmLink, ShowApproval

logger = Logger(json_serializer=log_line)


def show(request: PageRequest) -> dict[str, Any]:
    ports = wiring.ledger(), wiring.records(), wiring.grants(), wiring.ecr()
    view = ShowApproval(wiring.approval_links(), *ports).run(request.token, wiring.now())
    logger.info("shown", release=str(view.release.id), purpose=view.link.purpose, refusal=view.refusal)
    return answer(410 if view.refusal else 200, page(view, request.token))


def confirm(request: PageRequest) -> dict[str, Any]:
    step = ConfirmLink(wiring.approval_links(), wiring.link_decider())
    done = step.run(request.token, request.reason, wiring.now())
    logger.info("confirmed", release=str(done.link.release), choice=done.choice, by=done.link.approver)
    return answer(
        200, notice(confirmed(done.choice, done.link.stage, done.told, str(done.link.release.image)))
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    try:
        request = parse_request(event)
        return confirm(request) if request.confirms else show(request)
    except Exception as error:  # whatever it is, whoever followed the link must be told
        is_ours = isinstance(error, ImageGateError)  # then the message says enough: strangers call this, too
        logger.warning("refused", error=type(error).__name__, why=str(error), exc_info=not is_ours)
        return refused(error)
