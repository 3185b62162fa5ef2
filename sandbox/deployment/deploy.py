"""The deployment of a SAM template into the sandbox, with a check that everything in it exists afterwards."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.exceptions import ClientError

from sandbox.clients import client
from sandbox.deployment import template as templates
from sandbox.deployment.existence import missing_resources
from sandbox.settings import Settings

Credentials = Mapping[str, str]
_BUCKET = "sandbox-packages"
_SCALED = ("SECOND_LOOK_SECONDS", "SCAN_TIMEOUT_SHARE", "QUIET_SECONDS", "AT_RISK_SECONDS")
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class DeployError(Exception):
    """The stack is not as the template says. The message names the resource and the reason."""


@dataclass(frozen=True, slots=True)
class DeployedStack:
    stack: str
    outputs: dict[str, str]
    resources: dict[str, str]  # logical id to physical id


def machine_architecture() -> str:
    return _ARCHITECTURES.get(platform.machine().lower(), "x86_64")


def deploy(
    settings: Settings,
    credentials: Credentials,
    *,
    template: Path | None = None,
    parameters: dict[str, str] | None = None,
    optional_parameters: dict[str, str] | None = None,
) -> DeployedStack:
    """Deploy the template. `parameters` override all others; optional ones need not be in the template. Raises
    DeployError.
    """
    path = template or settings.root / "template.yaml"
    definition = _prepare_template(settings, credentials, path)
    values = _parameters(definition, parameters or {}, optional_parameters or {})
    stack_id = _create(settings, credentials, definition, values)
    return _check_stack(settings, credentials, definition, stack_id)


def _prepare_template(settings: Settings, credentials: Credentials, path: Path) -> templates.Template:
    s3 = client(settings, credentials, "s3")
    s3.create_bucket(Bucket=_BUCKET, CreateBucketConfiguration={"LocationConstraint": settings.region})

    def upload(content: bytes) -> dict[str, str]:
        key = templates.object_key(content)
        s3.put_object(Bucket=_BUCKET, Key=key, Body=content)
        return {"Bucket": _BUCKET, "Key": key}

    template = templates.read(path)
    _scale_waits(template, settings.time_scale)
    with TemporaryDirectory() as folder:
        if settings.policy is not None:
            shutil.copyfile(settings.policy, Path(folder) / "policy.yaml")
            template["Resources"]["PolicyLayer"]["Properties"]["ContentUri"] = folder
        packaged = templates.package_files(template, path.parent, upload)
    return templates.translate(packaged, settings.region)


def _scale_waits(template: templates.Template, scale: float) -> None:
    """Scale the variables with which functions measure waits, as the state machine's waits are scaled."""
    for resource in template["Resources"].values():
        variables = (resource.get("Properties") or {}).get("Environment", {}).get("Variables", {})
        for name in _SCALED:
            if name in variables:
                variables[name] = str(float(variables[name]) * scale)


def _parameters(
    definition: templates.Template, given: dict[str, str], optional: dict[str, str]
) -> list[dict[str, str]]:
    known = definition.get("Parameters") or {}
    own = {"Architecture": machine_architecture(), **optional}
    values = {**{name: value for name, value in own.items() if name in known}, **given}
    try:
        checked = templates.check_parameters(definition, values)
    except ValueError as error:
        raise DeployError(str(error)) from error
    return [{"ParameterKey": k, "ParameterValue": v} for k, v in checked.items()]


def _create(
    settings: Settings,
    credentials: Credentials,
    definition: templates.Template,
    parameters: list[dict[str, str]],
) -> str:
    api = client(settings, credentials, "cloudformation")
    try:
        created = api.create_stack(
            StackName=settings.stack,
            TemplateBody=json.dumps(definition),
            Parameters=parameters,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            OnFailure="DO_NOTHING",
        )
    except ClientError as error:
        raise DeployError(error.response["Error"]["Message"]) from error
    return str(created["StackId"])


def _check_stack(
    settings: Settings, credentials: Credentials, definition: templates.Template, stack_id: str
) -> DeployedStack:
    api = client(settings, credentials, "cloudformation")
    stack = api.describe_stacks(StackName=stack_id)["Stacks"][0]
    if stack["StackStatus"] != "CREATE_COMPLETE":
        raise DeployError(_reason(api, stack_id) or stack["StackStatus"])
    if missing := missing_resources(settings, definition, stack_id):
        raise DeployError("deployed, but not there: " + "; ".join(missing))
    listed = api.describe_stack_resources(StackName=stack_id)["StackResources"]
    return DeployedStack(
        settings.stack,
        {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])},
        {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in listed},
    )


def _reason(api: Any, stack_id: str) -> str:
    events = api.describe_stack_events(StackName=stack_id)["StackEvents"]
    reasons = (
        event["ResourceStatusReason"] for event in events if event["ResourceStatus"].endswith("FAILED")
    )
    return next(reasons, "")
