"""The page that approval messages link to. Opening it changes nothing; its button makes it call `decide`."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import log, wiring
from imagegate.approval_page import http
from imagegate.approval_page.html import confirmed, notice_page, page
from imagegate.errors import ImageGateError
from imagegate.workflow.decide.approval_page import ConfirmLink, ShowApproval

logger = Logger(json_serializer=log.log_line)


def show(token: str) -> dict[str, Any]:
    links, ledger, records = wiring.approval_links(), wiring.ledger(), wiring.records()
    grants, images = wiring.grants(), wiring.images()
    step = ShowApproval(links=links, ledger=ledger, records=records, grants=grants, images=images)
    view = step.run(token, wiring.now())
    logger.append_keys(release=str(view.release.id))
    logger.info("shown", purpose=view.link.purpose, refusal=view.refusal)
    return http.html_response(410 if view.refusal else 200, page(view, token))


def confirm(token: str, reason: str) -> dict[str, Any]:
    step = ConfirmLink(links=wiring.approval_links(), decider=wiring.link_decider())
    done = step.run(token, reason, wiring.now())
    logger.info("confirmed", release=str(done.link.release), choice=done.choice, by=done.link.approver)
    text = confirmed(done.choice, done.link.stage, done.response, str(done.link.release.image))
    return http.html_response(200, notice_page(text))


@log.log_call(logger)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    try:
        match http.parse_request(event):
            case http.ShowPage(token):
                return show(token)
            case http.ConfirmDecision(token, reason):
                return confirm(token, reason)
    except Exception as error:  # a person followed the link: the page tells them about every fault
        is_ours = isinstance(error, ImageGateError)  # its message is enough; strangers can cause these
        logger.warning("refused", error=type(error).__name__, why=str(error), exc_info=not is_ours)
        return http.error_response_page(error)
