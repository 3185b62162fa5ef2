"""AWS Lambda: run functions in processes of the sandbox; moto wants Docker and waits for asynchronous invocations.

moto also loses layers and qualifiers. Added here: `Qualifier` and alias ARNs, asynchronous retries and failure
destinations. The CloudFormation types of Lambda are in `cfn`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.awslambda.responses import LambdaResponse
from moto.awslambda.utils import get_backend

from sandbox.aws.iam.principals import role_credentials
from sandbox.aws.iam.resource_arns import ServiceCall, function_arn
from sandbox.aws.patching import Patches
from sandbox.clients import client
from sandbox.functions import DeployedArchive, Function, Invocation, InvocationResult, Pool
from sandbox.functions.asynchronous import AsynchronousInvoker
from sandbox.settings import Settings

_EMPTY_EVENT = b"{}"
_patches = Patches()


class _Runtime:
    """The state of the patched methods; `install` sets it."""

    pool: Pool
    asynchronous: AsynchronousInvoker
    settings: Settings


def describe(fn: LambdaFunction) -> Function:
    """Return the parts of moto's function object that the pool needs."""
    backend = get_backend(fn.account_id, fn.region)
    layers = [backend.layers_versions_by_arn(layer["Arn"]) for layer in fn.layers]
    config = fn.event_invoke_config[-1].config if fn.event_invoke_config else {}
    logging = getattr(fn, "logging_config", {})
    qualified = fn.function_arn.count(":") > 6
    return Function(
        name=fn.function_name,
        version=str(fn.version) if qualified else "$LATEST",
        arn=fn.function_arn,
        role=fn.role,
        handler=fn.handler,
        runtime=fn.run_time,
        timeout=float(fn.timeout),
        memory=int(fn.memory_size),
        variables=fn.environment_vars,
        code=DeployedArchive(fn.code_sha_256, fn.code_bytes),
        layers=tuple(DeployedArchive(layer.code_sha_256, layer.code_bytes) for layer in layers),
        log_group=logging.get("LogGroup", fn.logs_group_name),
        log_format=logging.get("LogFormat", "Text"),
        retries=int(config.get("MaximumRetryAttempts", 2)),
        on_failure=config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"),
    )


def _run(
    fn: LambdaFunction, arn: str, body: Any, request: Mapping[str, str], response: dict[str, str]
) -> bytes:
    payload = (body.encode() if isinstance(body, str) else body) or _EMPTY_EVENT
    kind = {name.lower(): value for name, value in request.items()}.get("x-amz-invocation-type")
    function, invocation = describe(fn), Invocation(payload, arn)
    response["x-amz-executed-version"] = function.version
    if kind == "DryRun":
        return b""
    if kind == "Event":
        _Runtime.asynchronous.submit(function, invocation)
        return b""
    outcome: InvocationResult = _Runtime.pool.invoke(function, invocation)
    if outcome.error:
        response["x-amz-function-error"] = "Unhandled"
    return outcome.payload


def run(arn: str, invocation: Invocation) -> InvocationResult:
    """Invoke a function for a caller inside the sandbox; the ARN may end with a version or an alias."""
    settings = _Runtime.settings
    fn = get_backend(settings.account, settings.region).get_function(arn)
    return _Runtime.pool.invoke(describe(fn), invocation)


def _function_invoke(self: LambdaFunction, body: Any, request: Any, response: Any) -> bytes:
    return _run(self, self.function_arn, body, request, response)


def _backend_invoke(
    self: LambdaBackend, name: str, qualifier: str | None, body: Any, request: Any, response: Any
) -> bytes:
    parameters = {"FunctionName": name, "Qualifier": qualifier}
    arn = function_arn(ServiceCall("lambda", "Invoke", parameters, self.account_id, self.region_name))
    return _run(self.get_function(arn), arn, body, request, response)


def _response_invoke(self: LambdaResponse) -> tuple[int, dict[str, str], bytes]:
    name = unquote(self.path.rstrip("/").rsplit("/", 2)[-2])
    qualifier = self.querystring.get("Qualifier", [None])[0]
    headers: dict[str, str] = {"content-type": "application/json"}
    payload = self.backend.invoke(name, qualifier, self.body, self.headers, headers)
    kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
    status = {"Event": 202, "DryRun": 204}.get(kind, 200)
    return status, {**headers, "status": str(status)}, payload


def _invoke_lambda(self: LambdaFunction, event: str | None = None) -> tuple[str, bool, str]:
    """Replace moto's extension point for callers inside moto."""
    invocation = Invocation((event or "{}").encode(), self.function_arn)
    outcome = _Runtime.pool.invoke(describe(self), invocation)
    return outcome.payload.decode(), outcome.error is not None, ""


def _deliver(function: Function, destination: str, record: str) -> None:
    """Send the record to the destination with the function's own role, as Lambda does."""
    credentials = role_credentials(function.role, function.name)
    service, name = destination.split(":")[2], destination.split(":")[5]
    api = client(_Runtime.settings, credentials, service)
    if service == "sqs":
        url = f"{_Runtime.settings.endpoint}/{_Runtime.settings.account}/{name}"
        api.send_message(QueueUrl=url, MessageBody=record)
    elif service == "sns":
        api.publish(TopicArn=destination, Message=record)
    else:
        api.invoke(FunctionName=destination, InvocationType="Event", Payload=record)


def install(settings: Settings) -> None:
    _Runtime.settings = settings
    _Runtime.pool = Pool(settings.state, settings.endpoint, role_credentials)
    _Runtime.asynchronous = AsynchronousInvoker(_Runtime.pool, _deliver, settings.time_scale)
    _patches.set(LambdaFunction, "_invoke_lambda", _invoke_lambda)
    _patches.set(LambdaFunction, "invoke", _function_invoke)
    _patches.set(LambdaBackend, "invoke", _backend_invoke)
    _patches.set(LambdaResponse, "invoke", _response_invoke)


def stop() -> None:
    """End every process."""
    _Runtime.asynchronous.stop()
    _Runtime.pool.stop()
    _patches.undo()
