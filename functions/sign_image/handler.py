"""Sign an image whose decision record is a pass. No other function may use the signing profiles."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import wiring
from imagegate.events.step_requests import SignRequest
from imagegate.log import log_line
from imagegate.workflow.sign import SignImage

logger = Logger(json_serializer=log_line)


@cache
def step() -> SignImage:
    return SignImage(
        images=wiring.ecr(),
        ledger=wiring.ledger(),
        records=wiring.records(),
        registry=wiring.registry(),
        signer=wiring.signer(),
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    digest = SignRequest.parse(event).digest
    signed = step().run(digest, wiring.now())
    logger.info("image signed", decision=str(digest), signature=str(signed.signature))
    return {"signature": str(signed.signature)}
