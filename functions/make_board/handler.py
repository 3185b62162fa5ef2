"""Make the board anew after something has happened, once for all that happens meanwhile; and on a schedule."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import function_settings, log, wiring
from imagegate.board.html import board_page
from imagegate.settings import setting
from imagegate.workflow.board.make import MakeBoard
from imagegate.workflow.board.read import ReadBoard

logger = Logger(json_serializer=log.log_line)


@cache
def step() -> MakeBoard:
    ledger = wiring.ledger()
    read = ReadBoard(
        stack=setting("STACK_NAME"),
        ledger=ledger,
        records=wiring.records(),
        grants=wiring.grants(),
        policy=wiring.policy(),
        each=wiring.workers().pool.map,
    )
    return MakeBoard(
        turns=ledger,
        read=read,
        render=board_page,
        pages=wiring.board_pages(),
        quiet=function_settings.quiet_time(),
        sleep=time.sleep,
        now=wiring.now,
    )


@log.log_call(logger)
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    board = step().run()
    number = len(board.applications) if board else 0
    logger.info("board", made=board is not None, applications=number)
    return {"made": board is not None, "applications": number}
