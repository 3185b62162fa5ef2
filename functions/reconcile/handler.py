"""Find on a schedule what no event announced; handle deleted images, changed settings and stopped executions."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import clock, function_settings, log, step_wiring, wiring
from imagegate.aws import metrics
from imagegate.events.watched import parse_watched
from imagegate.workflow.watch.reconcile import Reconcile
from imagegate.workflow.watch.waits import measure_waits

logger = Logger(json_serializer=log.log_line)


@cache
def step() -> Reconcile:
    parts: Any = {"images": wiring.images(), "ledger": wiring.ledger(), "policy": wiring.policy()}
    parts |= {"grants": wiring.grants(), "records": wiring.records(), "versions": wiring.versions()}
    parts |= {"workers": wiring.workers(), "stopwatch": clock.stopwatch, "canary": function_settings.canary()}
    return Reconcile(
        completed=step_wiring.scan_completed(),
        stopped=step_wiring.stopped(),
        notifications=wiring.notifications(),
        installed_at=function_settings.installed_at(),
        settings=step_wiring.settings_watch,
        **parts,
    )


@log.log_call(logger)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    if about := parse_watched(event):
        logger.append_keys(about=str(about))
        return {"told": step().on_event(about, wiring.now())}
    if (reconciled := step().run(wiring.now())) is None:
        return {"busy": True}  # another run measures, too
    (logger.error if reconciled.faults else logger.info)("reconciled", **asdict(reconciled))
    metrics.emit_waits(**asdict(measure_waits(step().ledger, wiring.now())))
    metrics.emit_pass(reconciled.started, reconciled.stored_bytes, reconciled.canary_seconds)
    return asdict(reconciled)
