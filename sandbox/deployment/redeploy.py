"""`python -m sandbox redeploy`: put another policy into the running sandbox, without losing what is in it.

It does what an update of the stack does for a new policy file: a new version of the layer, published by the custom
resource, and a new version of each function that uses it. The template stays as it was deployed.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
import uuid
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sandbox.session import NoSandboxError, Session, default_state, find_session, require_running

_PUBLISHED = "PublishedPolicy"
_LAYER = "PolicyLayer"
_PUBLISHER = "PublishPolicyFunction"
_DIGEST = "POLICY_DIGEST"


class RedeployError(Exception):
    """The policy was not deployed; the message says why."""


def redeploy(session: Session, stack: str, policy: Path) -> str:
    """Deploy the policy file; return its digest. Raises `RedeployError` if the stack refuses it."""
    api = session.client("lambda")
    listed = session.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    resources = {one["LogicalResourceId"]: one for one in listed}
    if _PUBLISHED not in resources:
        raise RedeployError(f"the stack {stack} has no policy")
    publisher = resources[_PUBLISHER]["PhysicalResourceId"]
    before = _current_layer(api, publisher)
    after = _publish_layer(api, before, policy)
    _update(api, publisher, before, after)
    try:
        digest = str(_publish_policy(session, api, stack, publisher)["Digest"])
    except RedeployError:
        _update(api, publisher, after, before)
        raise
    functions = [one for one in listed if one["ResourceType"] == "AWS::Lambda::Function"]
    for name in (one["PhysicalResourceId"] for one in functions):
        _update(api, name, before, after, digest)
    return digest


def _current_layer(api: Any, publisher: str) -> str:
    layers = api.get_function_configuration(FunctionName=publisher)["Layers"]
    return next(str(one["Arn"]) for one in layers if _LAYER in one["Arn"])


def _publish_layer(api: Any, arn: str, policy: Path) -> str:
    # Imported late: the libraries for templates are slow to import.
    from sandbox.deployment.template import zip_folder

    with TemporaryDirectory() as folder:
        (Path(folder) / "policy.yaml").write_bytes(policy.read_bytes())
        content = zip_folder(Path(folder))
    name = arn.split(":")[6]
    return str(api.publish_layer_version(LayerName=name, Content={"ZipFile": content})["LayerVersionArn"])


def _update(api: Any, function: str, before: str, after: str, digest: str | None = None) -> None:
    """Replace the layer and the policy's digest; publish a version and move the aliases to it."""
    configuration = api.get_function_configuration(FunctionName=function)
    layers = [after if one["Arn"] == before else one["Arn"] for one in configuration.get("Layers", [])]
    variables = configuration.get("Environment", {}).get("Variables", {})
    is_new = after in layers or (digest and _DIGEST in variables)
    if not is_new:
        return
    if digest and _DIGEST in variables:
        variables = variables | {_DIGEST: digest}
    api.update_function_configuration(
        FunctionName=function, Layers=layers, Environment={"Variables": variables}
    )
    version = api.publish_version(FunctionName=function)["Version"]
    for alias in api.list_aliases(FunctionName=function)["Aliases"]:
        api.update_alias(FunctionName=function, Name=alias["Name"], FunctionVersion=version)


def _publish_policy(session: Session, api: Any, stack: str, publisher: str) -> dict[str, str]:
    """Invoke the custom resource's function as CloudFormation does for an update; return its attributes."""
    url = f"{session.endpoint}/sandbox-api/cfn-response/{uuid.uuid4()}"
    event = {
        "RequestType": "Update",
        "ServiceToken": publisher,
        "ResponseURL": url,
        "StackId": f"arn:aws:cloudformation:{session.region}:123456789012:stack/{stack}/redeploy",
        "RequestId": str(uuid.uuid4()),
        "LogicalResourceId": _PUBLISHED,
        "PhysicalResourceId": "imagegate-policy",
        "ResourceType": "Custom::PublishedPolicy",
        "ResourceProperties": {"ServiceToken": publisher},
        "OldResourceProperties": {"ServiceToken": publisher},
    }
    api.invoke(FunctionName=publisher, Payload=json.dumps(event))
    with urllib.request.urlopen(url) as response:
        answer = json.loads(response.read())
    if answer.get("Status") != "SUCCESS":
        raise RedeployError(str(answer.get("Reason") or "the function ended without an answer"))
    data: dict[str, str] = answer["Data"]
    return data


def main(argv: Sequence[str]) -> int:
    """Run the command; return 0, or 2 after one line that says what is wrong."""
    # Imported late: only the command needs the errors of boto3.
    from botocore.exceptions import BotoCoreError, ClientError

    parser = argparse.ArgumentParser(prog="python -m sandbox redeploy", description=__doc__)
    parser.add_argument("--policy", type=Path, required=True, metavar="FILE")
    parser.add_argument("--state", type=Path, default=default_state(), help="the sandbox's folder")
    arguments = parser.parse_args(argv)
    try:
        variables = require_running(arguments.state)
        session = find_session(arguments.state)
        digest = redeploy(session, variables["IMAGEGATE_STACK"], arguments.policy)
    except (NoSandboxError, RedeployError, OSError) as error:
        print(f"redeploy: {error}", file=sys.stderr)
        return 2
    except (BotoCoreError, ClientError) as error:
        print(f"redeploy: the sandbox does not answer as it should: {error}", file=sys.stderr)
        return 2
    print(f"deployed {arguments.policy} as {digest}; releases that run keep their policy")
    return 0
