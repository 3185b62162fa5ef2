"""Services of AWS that answer by functions. Each request and each answer is checked against the service's own model."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session
from botocore.validate import validate_parameters

Answer = Callable[[dict[str, Any]], dict[str, Any]]
_COMMON = {"AccessDeniedException", "AccessDenied", "ThrottlingException"}


class ModelledAws:
    """Clients whose operations are answered here. An operation without an answer fails the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._clients: dict[str, Any] = {}
        monkeypatch.setattr("imagegate.aws.clients.client", self.client)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            made = Session().create_client(
                service, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b"
            )
            made.meta.events.register(f"provide-client-params.{service}", _keep)
            made.meta.events.register(f"before-call.{service}", self._answer)
            self._clients[service] = made
        return self._clients[service]

    def _answer(self, model: Any, context: Any, **_more: Any) -> Any:
        name, params = f"{model.service_model.service_name}:{model.name}", context["asked"]
        self.requests.append((name, params))
        try:
            response = self.answers[name](params)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            assert code in {shape.error_code for shape in model.error_shapes} | _COMMON, code
            raise
        validate_parameters(response, model.output_shape)
        return SimpleNamespace(status_code=200, headers={}), response

    def numbers(self, name: str) -> int:
        """Count the requests of one operation."""
        return sum(operation == name for operation, _ in self.requests)


def refused(client: Any, operation: str, code: str, message: str = "no") -> Exception:
    """Return the error of that code, as the client of the service raises it."""
    kind = client.exceptions.from_code(code)
    error: Exception = kind({"Error": {"Code": code, "Message": message}}, operation)
    return error


def _keep(params: dict[str, Any], context: dict[str, Any], **_more: Any) -> None:
    context["asked"] = params


@pytest.fixture
def modelled(monkeypatch: pytest.MonkeyPatch) -> ModelledAws:
    return ModelledAws(monkeypatch)
