"""Copy a released image with its evidence into the next stage's repository."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import step_wiring, wiring
from imagegate.events.step_requests import PromoteRequest
from imagegate.log import log_call, log_line
from imagegate.workflow.promote import PromoteImage

logger = Logger(json_serializer=log_line)
# The time that one more blob may need. With less left, the state machine calls the function again.
RESERVE_MS = 60_000


@cache
def step() -> PromoteImage:
    return PromoteImage(
        images=wiring.images(),
        ledger=wiring.ledger(),
        records=wiring.records(),
        registry=wiring.registry(),
        signer=wiring.signer(),
        grants=wiring.grants(),
        registry_at=wiring.registry_at,
        new_repositories=step_wiring.settings_comparison,
    )


@log_call(logger)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    release = PromoteRequest.parse(event).release.id
    logger.append_keys(release=str(release))
    promoted = step().run(release, lambda: context.get_remaining_time_in_millis() > RESERVE_MS, wiring.now())
    logger.info("promotion", **promoted.as_json())
    return promoted.as_json()
