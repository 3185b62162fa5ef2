"""At deployment: check the policy file, store it, create the signing profiles. A fault fails the deployment."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from imagegate import __version__, wiring
from imagegate.canonical_json import timestamp
from imagegate.events.cloudformation import CustomResourceRequest, respond, settings_digest
from imagegate.events.validation import parse
from imagegate.log import log_call, log_line
from imagegate.policy.file.load import parse_file
from imagegate.settings import setting
from imagegate.workflow.publish import PublishPolicy

logger = Logger(json_serializer=log_line)


def publish(request: CustomResourceRequest) -> dict[str, str]:
    """Publish the policy; return the attributes of the custom resource. Raises `InvalidPolicyError`."""
    parser = partial(parse_file, prefix=setting("REPOSITORY_PREFIX"), today=wiring.now().date())
    step = PublishPolicy(records=wiring.records(), signer=wiring.signer(), scans=wiring.scans(), parse=parser)
    policy, parsed = step.run(Path(setting("POLICY_FILE")).read_bytes())
    installed_at = wiring.notices().installed_at(wiring.now())
    data = {"Digest": str(policy.digest), "Parsed": f"{policy.digest} {parsed}", "Version": __version__}
    return {**data, "InstalledAt": timestamp(installed_at), "Settings": settings_digest(request)}


@log_call(logger)
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    request = parse(CustomResourceRequest, event)
    data: dict[str, str] = {}
    reason = ""
    try:
        # Policies and profiles stay when the stack is deleted: signatures must stay verifiable.
        data = {} if request.RequestType == "Delete" else publish(request)
    except Exception as error:
        # CloudFormation needs a response to every fault, or it waits for an hour.
        logger.exception("the policy was not published")
        reason = f"{error} (log stream {context.log_stream_name})"
    respond(request, "imagegate-policy", data, reason)
