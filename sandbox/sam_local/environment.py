"""The environment with which `sam local invoke` runs functions in Docker against this sandbox.

sam local gives a function only the variables that its template names, and `template.yaml` names neither endpoint nor
credentials. A container also cannot reach this machine's loopback. So the sandbox writes a template of its own with
these names and the deployed code, a relay beside that code (see `relay`), and a file with the values.
"""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.deployment import template as templates
from sandbox.deployment.deploy import DeployedStack, machine_architecture
from sandbox.functions.unpacked import UnpackedCode
from sandbox.sam_local import relay
from sandbox.settings import Settings

if TYPE_CHECKING:
    from sandbox.functions import Function

# Files in the state folder, which samconfig.toml names.
ENVIRONMENT = "sam-env.json"
TEMPLATE = "sam-template.json"
_CODE = "sam-code"
_RELAY = "relay"
_ADDED = (
    *("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "AWS_LAMBDA_EXEC_WRAPPER",
)


def write(settings: Settings, deployment: DeployedStack, template: Path) -> Callable[[], None]:
    """Write the template, the values and the relays; return the function that removes them."""
    definition = templates.read(template)
    functions = {
        name: _deployed_function(settings, deployment.resources[name])
        for name, resource in definition["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function" and name in deployment.resources
    }
    undo = ExitStack()
    unpacked = UnpackedCode(settings.state / _CODE)
    undo.callback(unpacked.remove)
    code = {name: unpacked.task_root(function.code) for name, function in functions.items()}
    for folder in set(code.values()):
        undo.callback(_open_relay(settings, folder / f".{_RELAY}"))
    values = {name: _variables(settings, function) for name, function in functions.items()}
    local = _local(definition, template.resolve().parent, code)
    for name, content in ((ENVIRONMENT, values), (TEMPLATE, local)):
        path = settings.state / name
        undo.callback(path.unlink, missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=2))
    return undo.close


def _deployed_function(settings: Settings, name: str) -> Function:
    # Imported late: they import moto, which reads the environment then.
    from moto.awslambda.utils import get_backend

    from sandbox.aws.awslambda import describe

    return describe(get_backend(settings.account, settings.region).get_function(name))


def _open_relay(settings: Settings, folder: Path) -> Callable[[], None]:
    folder.mkdir()
    wrapper = folder / _RELAY
    shutil.copyfile(relay.__file__, wrapper)
    wrapper.chmod(0o755)
    undo = ExitStack()
    for port in (settings.aws_port, settings.registry_port):
        listener = undo.enter_context(relay.listen(folder / f"{port}.sock"))
        undo.callback(listener.shutdown, socket.SHUT_RDWR)  # wakes the thread that waits in it
        connect = partial(relay.to_loopback, port)
        threading.Thread(target=relay.relay, args=(listener, connect), daemon=True).start()
    return undo.close


def _variables(settings: Settings, function: Function) -> dict[str, str]:
    from sandbox.aws.iam.principals import role_credentials

    credentials = role_credentials(function.role, function.name)
    values = (
        *(settings.endpoint, settings.region, settings.region),
        *(credentials[f"aws_{key}"] for key in ("access_key_id", "secret_access_key", "session_token")),
        f"/var/task/.{_RELAY}/{_RELAY}",
    )
    return {**function.variables, **dict(zip(_ADDED, values, strict=True))}


def _local(definition: templates.Template, folder: Path, code: dict[str, Path]) -> templates.Template:
    """Return the template for this machine: deployed code, layers as `sam build` built them there, the added names."""
    parameters = definition.get("Parameters") or {}
    if "Architecture" in parameters:
        parameters["Architecture"]["Default"] = machine_architecture()
    for name, resource in definition["Resources"].items():
        properties: dict[str, Any] = resource.setdefault("Properties", {})
        if name in code:
            properties["CodeUri"] = str(code[name])
            variables = properties.setdefault("Environment", {}).setdefault("Variables", {})
            variables.update(dict.fromkeys(_ADDED, ""))
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            is_built = "BuildMethod" in resource.get("Metadata", {})
            built = f".aws-sam/build/{name}" if is_built else properties["ContentUri"]
            properties["ContentUri"] = str(folder / built)
    return definition
