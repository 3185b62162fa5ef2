"""The checks of `imagegate doctor`. They only read; no check stops the others."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from imagegate import __version__
from imagegate.errors import ImageGateError
from imagegate.grants.power import Power
from imagegate.policy.policy import Scanner
from imagegate_cli.context import CommandLine
from imagegate_cli.diagnosis.permissions import VERB_CHECKS, VerbCheck
from imagegate_cli.durations import span
from imagegate_cli.faults import CANNOT_TELL, CannotTellError, explain
from imagegate_cli.stack import Stack

# "Troubleshoot Signature Version 4 signed requests" (IAM user guide): AWS refuses a request that is older.
_MOST_SKEW = timedelta(minutes=5)
_CONNECT_SECONDS = 3.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_WRONG = 1
_ANY_APPLICATION = "doctor"  # permissions are by the names of repositories; none has to exist
# The commands that need what a check reads.
_VERBS = {
    "ledger": "status, list, stats, release",
    "records": "verify, judge, policy",
    "grants": "decide list, judge",
    "registry": "status, verify, release --import",
    "scanner": "judge",
    "coverage": "judge",
}


class CheckState(StrEnum):
    """The state of a check."""

    OK = "ok"
    WRONG = "wrong"
    LIMITED = "limited"  # the caller may not use some commands; the installation is right
    UNKNOWN = "unknown"  # it needs something that another check reports as wrong


@dataclass(frozen=True, slots=True)
class DiagnosisResult:
    """The result of one check. `text` has the facts, or what to do."""

    name: str
    state: CheckState
    text: str

    def as_json(self) -> dict[str, str]:
        return {"name": self.name, "state": str(self.state), "text": self.text}


def exit_code(results: list[DiagnosisResult]) -> int:
    """Return 0 if nothing is wrong, 1 if something is, and 2 if nothing could be checked."""
    states = {result.state for result in results}
    if CheckState.OK not in states:
        return CANNOT_TELL
    return _WRONG if CheckState.WRONG in states else 0


class _FaultError(Exception):
    """Something is wrong; the message says what to do."""


class _LimitedError(Exception):
    """The caller may not use some commands; the message names what permits them."""


class _UncheckedError(Exception):
    """The check needs something that is missing."""


@dataclass
class Diagnosis:
    """One run of all checks. Later checks use what earlier ones found."""

    command_line: CommandLine
    _stack: Stack | None = field(default=None, init=False)
    _headers: dict[str, str] = field(default_factory=dict, init=False)  # of the response of STS
    _has_credentials: bool = field(default=False, init=False)

    def results(self) -> Iterator[DiagnosisResult]:
        """Run the checks and yield their results."""
        checks: dict[str, Callable[[], str]] = {
            "credentials": self._check_credentials,
            "clock": self._check_clock,
            "stack": self._check_stack,
            "version": self._check_version,
            "ledger": self._check_ledger,
            "records": self._check_records,
            "grants": self._check_grants,
            "registry": self._check_registry,
            "scanner": self._check_scanner,
            "coverage": self._check_coverage,
            "decisions": self._check_decisions,
            **{one.name: partial(self._check_verbs, one) for one in VERB_CHECKS},
        }
        if sandbox := _loopback_endpoint():
            yield _result("sandbox", lambda: _check_sandbox(sandbox))
        for name, check in checks.items():
            yield _result(name, check)

    def _check_credentials(self) -> str:
        from botocore.exceptions import ClientError

        from imagegate.aws.clients import client

        try:
            response = client("sts").get_caller_identity()
        except ClientError as error:
            # A refusal has the time of AWS, too.
            self._headers = _headers_of(error.response)
            raise
        self._headers, self._has_credentials = _headers_of(response), True
        return f"you are {response['Arn']}"

    def _check_clock(self) -> str:
        server = _date_in(self._headers)
        if server is None:
            raise _UncheckedError("AWS did not say its time")
        skew = self.command_line.clock() - server
        if abs(skew) <= _MOST_SKEW:
            return f"differs from that of AWS by {span(abs(skew).total_seconds())}"
        side = "ahead of" if skew > timedelta() else "behind"
        difference = span(abs(skew).total_seconds())
        raise _FaultError(
            f"is {difference} {side} that of AWS, which refuses signatures after 5 minutes: set it"
        )

    def _check_stack(self) -> str:
        if not self._has_credentials:
            raise _UncheckedError("it needs credentials")
        self._stack = self.command_line.stack
        return f"{self._stack.name} in {self._stack.region}, account {self._stack.account}"

    def _check_version(self) -> str:
        deployed = self._found().outputs.get("Version")
        if deployed is None:
            raise _UncheckedError("the stack does not say its version: deploy it again")
        if deployed != __version__:
            raise _FaultError(
                f"the stack has {deployed}, this command {__version__}: deploy it again, or install {deployed}"
            )
        return f"{deployed}, of the stack and of this command"

    def _check_ledger(self) -> str:
        _ = self._found().installed_at  # reads the ledger
        return f"can be read: {_VERBS['ledger']}"

    def _check_records(self) -> str:
        stages = self._found().policy.stages
        return f"can be read: {_VERBS['records']} (stages: {', '.join(stages)})"

    def _check_grants(self) -> str:
        next(iter(self._found().grants.waivers()), None)
        return f"can be read: {_VERBS['grants']}"

    def _check_registry(self) -> str:
        from imagegate.aws.clients import client

        self._found()
        client("ecr").describe_repositories(maxResults=1)
        return f"can be read: {_VERBS['registry']}"

    def _check_scanner(self) -> str:
        stack = self._found()
        wanted, used = stack.policy.scanner, stack.scans.scanner()
        if wanted is used:
            return f"{used}, as in the policy"
        command = f"aws ecr put-registry-scanning-configuration --scan-type {wanted.upper()}"
        raise _FaultError(
            f"ECR uses {used}, the policy says {wanted}: change the policy, or {command} --rules …"
        )

    def _check_coverage(self) -> str:
        from imagegate.aws.clients import client

        if self._found().policy.scanner is not Scanner.ENHANCED:
            return "not needed: the policy's scanner is basic"
        client("inspector2").list_coverage(maxResults=1)
        return f"of Amazon Inspector can be read: {_VERBS['coverage']}"

    def _check_decisions(self) -> str:
        stack = self._found()
        missing = [str(power) for power in Power if power.output not in stack.outputs]
        if missing:
            raise _FaultError(f"the stack has no URL for {', '.join(missing)}: deploy it again")
        return "the URLs are known; only a decision shows whether you may use them"

    def _check_verbs(self, check: VerbCheck) -> str:
        stage = next(iter(self._found().policy.stages.values()))
        if missing := check.missing(stage.repositories.repository_of(_ANY_APPLICATION)):
            raise _LimitedError(f"{missing}; {check.verbs}: needs {check.policies}")
        return f"can be read: {check.verbs}"

    def _found(self) -> Stack:
        if self._stack is None:
            raise _UncheckedError("it needs the stack")
        return self._stack


def _result(name: str, check: Callable[[], str]) -> DiagnosisResult:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return DiagnosisResult(name, CheckState.OK, check())
    except _UncheckedError as error:
        return DiagnosisResult(name, CheckState.UNKNOWN, str(error))
    except _LimitedError as error:
        return DiagnosisResult(name, CheckState.LIMITED, str(error))
    except _FaultError as error:
        return DiagnosisResult(name, CheckState.WRONG, str(error))
    except (ImageGateError, CannotTellError, BotoCoreError, ClientError) as error:
        needed = f" (needed by {_VERBS[name]})" if name in _VERBS else ""
        return DiagnosisResult(name, CheckState.WRONG, explain(error) + needed)


def _loopback_endpoint() -> str:
    """Return the AWS endpoint if it is on this machine, as the sandbox's is; else an empty text."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    return endpoint if urlsplit(endpoint).hostname in _LOOPBACK else ""


def _check_sandbox(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), _CONNECT_SECONDS).close()
    except OSError as error:
        raise _FaultError(
            f"does not answer at {endpoint}: run make sandbox, then source .sandbox/env"
        ) from error
    return f"answers at {endpoint}"


def _headers_of(response: Any) -> dict[str, str]:
    headers: dict[str, str] = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers


def _date_in(headers: dict[str, str]) -> datetime | None:
    """Return the time in the header `Date`, or None if it has none."""
    try:
        date = parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return date if date.tzinfo else None
