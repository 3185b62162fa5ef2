"""Check whether an image has an SBOM, and attach the one that Amazon Inspector exported."""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import wiring
from imagegate.events.step_requests import AttachSbomRequest
from imagegate.log import log_call, log_line
from imagegate.settings import setting
from imagegate.workflow.attach_sbom import AttachSbom

logger = Logger(json_serializer=log_line)


@cache
def step() -> AttachSbom:
    return AttachSbom(
        images=wiring.images(),
        ledger=wiring.ledger(),
        records=wiring.records(),
        registry=wiring.registry(),
        scans=wiring.scans(),
        exports=wiring.sbom_exports(),
        repositories=setting("REPOSITORIES"),
    )


@log_call(logger)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    request = AttachSbomRequest.parse(event)
    logger.append_keys(release=str(request.release.id))
    export = request.export.export if request.export else None
    attached = step().run(request.release.id, export)
    logger.info("sbom", route=attached.route, note=attached.note)
    return attached.as_json()
