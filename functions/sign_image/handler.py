"""Sign what a decision record says has passed. The only function that may use the signing profiles."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import wiring
from imagegate.events.eventbridge import SignRequest, parse
from imagegate.log import log_line
from imagegate.workflow.sign import SignImage

logger = Logger(json_serializer=log_line)


@cache
def step() -> SignImage:
    return SignImage(wiring.ecr(), wiring.ledger(), wiring.records(), wiring.registry(), wiring.signer())


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    digest = parse(SignRequest, event).digest
    signed = step().run(digest, wiring.now())
    logger.info("image signed", decision=str(digest), signature=str(signed.signature))
    return {"signature": str(signed.signature)}
