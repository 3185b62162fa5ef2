"""Lambda function URLs: moto keeps one per function, without a qualifier, and serves none of them.

Here each is a path of the AWS port. The caller must sign for `lambda` and may need both of AWS's permissions, on
exactly the function or alias that the URL belongs to. Left out: presigned requests, CORS, streamed answers, concurrency
limits.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from moto.awslambda.exceptions import (
    GenericResourcNotFound,
    InvalidParameterValueException,
    LambdaClientError,
    UnknownFunctionException,
)
from moto.awslambda.models import LambdaBackend
from moto.awslambda.responses import LambdaResponse
from werkzeug.wrappers import Request, Response

from sandbox.aws import awslambda
from sandbox.aws.iam.enforcement import signing_key
from sandbox.aws.iam.policies import is_permitted
from sandbox.aws.iam.principals import find_principal
from sandbox.aws.iam.resource_arns import ServiceCall, function_arn
from sandbox.aws.iam.resource_policies import statements_on
from sandbox.aws.patching import Patches
from sandbox.functions import Invocation, payloads
from sandbox.settings import ACCOUNT, Settings

PREFIX = "/sandbox-url/"
_SETTABLE = ("AuthType", "Cors", "InvokeMode")
_patches = Patches()


@dataclass(slots=True)
class _Url:
    """One function URL; `arn` is qualified if the URL belongs to an alias."""

    arn: str
    address: str
    config: dict[str, Any]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: str = field(default_factory=lambda: _now())
    modified: str = field(default_factory=lambda: _now())

    def to_dict(self) -> dict[str, Any]:
        return {
            "FunctionUrl": f"{self.address}{PREFIX}{self.id}/",
            "FunctionArn": self.arn,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "InvokeMode": "BUFFERED",
            **self.config,
        }


class _State:
    settings: Settings
    urls: dict[str, _Url]  # key: ARN


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _settings_of(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in _SETTABLE if body.get(name)}


# The API


class _UrlExistsError(LambdaClientError):
    code = 409


def _create(self: LambdaBackend, arn: str, body: dict[str, Any]) -> _Url:
    self.get_function(arn)
    qualifier = arn.split(":")[7:]
    if qualifier and qualifier[0] not in (alias.name for alias in self.list_aliases(arn.split(":")[6])):
        raise InvalidParameterValueException(
            "Function URLs belong to a function or an alias, not to a version"
        )
    if arn in _State.urls:
        message = f"FunctionUrlConfig exists for this Lambda function: {arn}"
        raise _UrlExistsError("ResourceConflictException", message)
    _State.urls[arn] = _Url(arn, _State.settings.endpoint, _settings_of(body))
    return _State.urls[arn]


def _get(self: LambdaBackend, arn: str) -> _Url:
    self.get_function(arn)
    if arn not in _State.urls:
        raise GenericResourcNotFound()
    return _State.urls[arn]


def _update(self: LambdaBackend, arn: str, body: dict[str, Any]) -> _Url:
    url = self.get_function_url_config(arn)
    url.config |= _settings_of(body)
    url.modified = _now()
    return url


def _delete(self: LambdaBackend, arn: str) -> None:
    self.get_function_url_config(arn)
    del _State.urls[arn]


def _arn(response: LambdaResponse) -> str:
    name = unquote(response.path.rstrip("/").split("/")[-2])
    parameters = {"FunctionName": name, "Qualifier": response.querystring.get("Qualifier", [None])[0]}
    return function_arn(ServiceCall("lambda", "", parameters, response.current_account, response.region))


def _response_create(self: LambdaResponse) -> tuple[int, dict[str, Any], str]:
    url = self.backend.create_function_url_config(_arn(self), self.json_body)
    return 201, {"status": 201}, json.dumps(url.to_dict())


def _response_get(self: LambdaResponse) -> str:
    return json.dumps(self.backend.get_function_url_config(_arn(self)).to_dict())


def _response_update(self: LambdaResponse) -> str:
    url = self.backend.update_function_url_config(_arn(self), self.json_body)
    return json.dumps(url.to_dict())


def _response_delete(self: LambdaResponse) -> tuple[int, dict[str, Any], str]:
    self.backend.delete_function_url_config(_arn(self))
    return 204, {"status": 204}, "{}"


# The URLs


def serve(request: Request) -> Response:
    """Answer a request below `PREFIX`: authenticate the caller, then invoke the function."""
    target = request.environ["REQUEST_URI"]  # as sent and signed, not decoded
    path, _, query = target.partition("?")
    url_id, _, rest = path.removeprefix(PREFIX).partition("/")
    url = next((url for url in _State.urls.values() if url.id == url_id), None)
    answer = _invoke_function(url, request, target, f"/{rest}", query) if url else payloads.forbidden()
    return Response(answer.body, answer.status, headers=list(answer.headers))


def _invoke_function(
    url: _Url, request: Request, target: str, path: str, query: str
) -> payloads.FunctionResponse:
    body, caller = request.get_data(), None
    if url.config["AuthType"] == "AWS_IAM":
        caller = _caller(url, request.method, target, body, request.headers)
        if not caller:
            return payloads.forbidden()
    elif not _is_public(url):
        return payloads.forbidden()
    call = payloads.FunctionRequest(
        method=request.method,
        path=path,
        query=query,
        headers=tuple(request.headers.items()),
        body=body,
        protocol=request.environ["SERVER_PROTOCOL"],
        source=request.remote_addr or "",
    )
    request_id = str(uuid.uuid4())
    event = json.dumps(payloads.make_event(call, url.id, request_id, caller)).encode()
    try:
        return payloads.answer(awslambda.run(url.arn, Invocation(event, url.arn, request_id)))
    except UnknownFunctionException:
        return payloads.forbidden()  # deleted, and its URL with it


def _needs(url: _Url) -> list[tuple[str, dict[str, str]]]:
    """Return the permissions that the caller needs: both of them since October 2025, the second with a condition key of
    its own.
    """
    own = {"lambda:FunctionUrlAuthType": url.config["AuthType"], "lambda:FunctionArn": url.arn}
    via = {"lambda:InvokedViaFunctionUrl": "true"}
    return [("lambda:InvokeFunctionUrl", own), ("lambda:InvokeFunction", via)]


def _caller(url: _Url, method: str, target: str, body: bytes, headers: Any) -> dict[str, str] | None:
    """Return who signed the request and may call: the event's `authorizer.iam`."""
    key_id = signing_key(method, target, body, headers, "lambda")
    principal = find_principal(key_id) if key_id else None
    if not key_id or not principal:
        return None
    if any(principal.refused(action, url.arn, context) for action, context in _needs(url)):
        return None
    return {
        "accessKey": key_id,
        "accountId": ACCOUNT,
        "callerId": principal.id,
        "userArn": principal.arn,
        "userId": principal.id,
    }


def _is_public(url: _Url) -> bool:
    """Return whether anyone may call. AuthType NONE skips the signature; the function's policy must still allow
    everybody.
    """
    public = [one for one in statements_on(url.arn) if one.get("Principal") in ("*", {"AWS": "*"})]
    return all(is_permitted(public, action, url.arn, context) for action, context in _needs(url))


def install(settings: Settings) -> None:
    _State.settings, _State.urls = settings, {}
    for name, on_backend, on_response in (
        ("create", _create, _response_create),
        ("get", _get, _response_get),
        ("update", _update, _response_update),
        ("delete", _delete, _response_delete),
    ):
        _patches.set(LambdaBackend, f"{name}_function_url_config", on_backend)
        _patches.set(LambdaResponse, f"{name}_function_url_config", on_response)


def stop() -> None:
    _patches.undo()
