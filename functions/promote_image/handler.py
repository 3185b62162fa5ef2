"""Copy a released image with its evidence into the next stage's repository."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import wiring
from imagegate.events.eventbridge import PromoteRequest, parse
from imagegate.log import log_line
from imagegate.workflow.promote import PromoteImage

logger = Logger(json_serializer=log_line)
# What one blob more may need; then the state machine calls again.
RESERVE_MS = 60_000


@cache
def step() -> PromoteImage:
    ports = wiring.ecr(), wiring.ledger(), wiring.records(), wiring.registry()
    return PromoteImage(*ports, wiring.signer(), wiring.grants(), wiring.registry_at)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    release = parse(PromoteRequest, event).release.id
    promoted = step().run(release, lambda: context.get_remaining_time_in_millis() > RESERVE_MS, wiring.now())
    logger.info("promotion", release=str(release), **promoted.as_json())
    return promoted.as_json()
