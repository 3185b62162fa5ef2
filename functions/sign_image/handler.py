"""Sign an image whose decision record is a pass. No other function may use the signing profiles."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import wiring
from imagegate.events.step_requests import SignRequest
from imagegate.log import log_call, log_line
from imagegate.workflow.sign import SignImage

logger = Logger(json_serializer=log_line)


@cache
def step() -> SignImage:
    return SignImage(
        images=wiring.images(),
        ledger=wiring.ledger(),
        records=wiring.records(),
        registry=wiring.registry(),
        signer=wiring.signer(),
    )


@log_call(logger)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    digest = SignRequest.parse(event).digest
    logger.append_keys(decision=str(digest))
    signed = step().run(digest, wiring.now())
    logger.info("image signed", release=str(signed.release), signature=str(signed.signature))
    return {"signature": str(signed.signature)}
