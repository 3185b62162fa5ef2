"""The tools of a probe: calls that are recorded, calls that only prepare, and resources that will be removed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import jmespath  # type: ignore[import-untyped]
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.contract.recorder.exchange import Exchange
from tests.contract.recorder.sanitise import Sanitiser
from tests.contract.recorder.throwaway import ThrowAway

# One word per service: a refusal for lack of the caller's permission says nothing about AWS.
DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
    "DENIED",
}
_THROTTLED = {
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "SlowDown",
    "ServiceUnavailable",
}
# Operations that change nothing, and answers to tokens that nobody gave.
_READING = (
    *(
        "Get",
        "Describe",
        "List",
        "BatchGet",
        "BatchCheck",
        "Head",
        "Query",
        "Lookup",
        "Simulate",
        "Validate",
        "Test",
    ),
    *("GenerateCredentialReport", "SendTask"),
)
T = TypeVar("T")


class ForeignError(Exception):
    """The call would change something that is not of this run."""


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: str
    content: dict[str, Any] = field(default_factory=dict)


@dataclass
class Bench:
    """One run. `scope` is the current behaviour."""

    session: Any
    account: str
    partition: str
    run: str
    sanitiser: Sanitiser
    source: str  # AWS, or the hosts of the requests
    is_loopback: bool
    scope: str = ""
    exchanges: list[Exchange] = field(default_factory=list)
    _clients: dict[str, Any] = field(default_factory=dict)
    _shared: dict[str, Any] = field(default_factory=dict)
    _names: int = 0

    def __post_init__(self) -> None:
        self.pause = 0.05 if self.is_loopback else 2.0
        self.throw_away = ThrowAway(self.pause)

    @property
    def region(self) -> str:
        return str(self.session.region_name)

    def begin(self, scope: str) -> None:
        self.scope, self.exchanges, self._names = scope, [], 0

    def name(self) -> str:
        """Return a name of this run, which differs from run to run only in its beginning."""
        self._names += 1
        return f"{self.run}-{self.scope}-{self._names}"

    def shared(self, what: str, make: Callable[[], Any]) -> Any:
        """Make a resource once per run, because tables and roles take their time."""
        if what not in self._shared:
            self._shared[what] = make()
        return self._shared[what]

    def arn(self, service: str, resource: str) -> str:
        place = {"iam": f":{self.account}", "s3": ":"}.get(service, f"{self.region}:{self.account}")
        return f"arn:{self.partition}:{service}:{place}:{resource}"

    def client(self, service: str, attempts: int = 5) -> Any:
        key = f"{service} {attempts}"
        if key not in self._clients:
            # Wrong parameters are part of the probes; a loopback address takes no host prefix.
            config = Config(
                parameter_validation=False,
                inject_host_prefix=not self.is_loopback,
                retries={"mode": "standard", "total_max_attempts": attempts},
            )
            self._clients[key] = self.session.client(service, config=config)
        return self._clients[key]

    def do(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make a call that only prepares: it is not recorded. Raises ClientError."""
        return self._call(self.client(service), operation, parameters)

    def _ask(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Send a call once: boto3 would retry some expected answers, such as LimitExceededException."""
        client = self.client(service, attempts=1)
        return self.until_accepted(_THROTTLED, lambda: self._call(client, operation, parameters))

    def configure(self, operation: str, **parameters: Any) -> None:
        """Change a setting of the registry of a sandbox. Raises ForeignError for AWS."""
        if not self.is_loopback:
            raise ForeignError(f"{operation} changes the account")
        getattr(self.client("ecr"), xform_name(operation))(**parameters)

    def refuse_foreign(self, operation: str, parameters: dict[str, Any]) -> None:
        """Raise ForeignError unless the call only reads, or names something of this run."""
        text = json.dumps(parameters, default=str)
        names = (self.run, self.run.replace("-", "_"))
        is_empty = not any(parameters.values())
        if not (is_empty or operation.startswith(_READING) or any(name in text for name in names)):
            raise ForeignError(f"{operation} names nothing of {self.run}")

    def _call(self, client: Any, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self.refuse_foreign(operation, parameters)
        answer = getattr(client, xform_name(operation))(**parameters)
        return {key: value for key, value in answer.items() if key != "ResponseMetadata"}

    def make(
        self, what: str, remove: Callable[[], Any], service: str, operation: str, **parameters: Any
    ) -> dict[str, Any]:
        """Make a resource that is removed at the end."""
        self.throw_away.add(what, remove)
        try:
            return self.do(service, operation, **parameters)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                self.throw_away.forget(what)
            raise

    def ask(
        self,
        service: str,
        operation: str,
        *,
        show: str = "",
        hide: Sequence[str] = (),
        may_be_denied: bool = False,
        **parameters: Any,
    ) -> Answer:
        """Send and record a call.

        `show` (JMESPath) is the part of the answer that the behaviour is about; `hide` names parameters that are new in
        every run.
        """
        call = f"{service}:{operation}"
        sent = self.sanitiser.sent(parameters | {name: f"<{name}>" for name in hide})
        try:
            content = _read(self._ask(service, operation, parameters))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in DENIED and not may_be_denied:
                raise
            message = self.sanitiser.text(error.response["Error"].get("Message", ""))
            self.exchanges.append(Exchange(call, sent, code, message=message))
            return Answer(code)
        shown = jmespath.search(show, content) if show else None
        self.exchanges.append(Exchange(call, sent, "ok", self.sanitiser.value(shown)))
        return Answer("ok", content)

    def observe(self, fact: str, is_so: bool) -> None:
        self.exchanges.append(Exchange(fact, {}, "yes" if is_so else "no"))

    def until(self, check: Callable[[], Any], seconds: float = 60) -> Any:
        """Wait for a condition without recording, as times differ; return the last answer, even a falsy one."""
        deadline = time.monotonic() + seconds
        while not (found := check()) and time.monotonic() < deadline:
            time.sleep(self.pause)
        return found

    def until_accepted(self, codes: set[str], act: Callable[[], T], seconds: float = 60) -> T:
        """Repeat a call until AWS accepts it: new roles and policies are not known everywhere at once."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return act()
            except ClientError as error:
                if error.response["Error"]["Code"] not in codes or time.monotonic() > deadline:
                    raise
            time.sleep(self.pause)


def _read(answer: dict[str, Any]) -> dict[str, Any]:
    """Read a streamed body to bytes."""
    return {key: value.read() if hasattr(value, "read") else value for key, value in answer.items()}
