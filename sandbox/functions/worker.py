"""One process of one function version: Lambda's execution environment.

Its interpreter starts without `site` and so without .pth files: it cannot import the checkout, only the deployed code
and the locked dependencies.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from sandbox.functions.function import Function, Invocation, InvocationResult
from sandbox.functions.runtime_api import Delivered, RuntimeApi

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
_INIT_SECONDS = 60.0  # AWS gives 10 s; a busy laptop may need more


def lambda_environment(
    function: Function, task_root: Path, opt: Path, credentials: Mapping[str, str], endpoint: str
) -> dict[str, str]:
    """Return the variables that Lambda sets, and none of the shell that started the sandbox."""
    region = function.arn.split(":")[3]
    dependencies = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    own = {
        name: str(opt) + value.removeprefix("/opt") if value.startswith("/opt/") else value
        for name, value in function.variables.items()
    }
    return {
        **own,
        "AWS_ACCESS_KEY_ID": credentials["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": credentials["aws_secret_access_key"],
        "AWS_SESSION_TOKEN": credentials["aws_session_token"],
        "AWS_ENDPOINT_URL": endpoint,
        # Ignore the developer's own profiles.
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d')}/[{function.version}]",
        "AWS_LAMBDA_LOG_FORMAT": function.log_format.upper(),
        "LAMBDA_TASK_ROOT": str(task_root),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "_HANDLER": function.handler,
        "PYTHONPATH": ":".join([str(task_root), str(opt / "python"), *dependencies]),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
    }


class Worker:
    def __init__(self, function: Function, env: dict[str, str], task_root: Path, log: Path) -> None:
        self._timeout = function.timeout
        self._api = RuntimeApi(function.timeout)
        self.cold = True
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-P", str(_BOOTSTRAP)],
                cwd=task_root,
                env={**env, "AWS_LAMBDA_RUNTIME_API": self._api.address},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        status = self._process.wait()
        reason = f"exit status {status}" if status >= 0 else f"signal: {-status}"
        message = f"Runtime exited with error: {reason}"
        self._api.events.put(InvocationResult.failure("Runtime.ExitError", message))

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def invoke(self, invocation: Invocation) -> InvocationResult:
        """Invoke the function; never raise. If the outcome ended the process, the worker is no longer alive."""
        self._api.send(invocation)
        try:
            first = self._api.events.get(timeout=_INIT_SECONDS)
            if isinstance(first, Delivered):
                outcome = self._api.events.get(timeout=self._timeout)
            else:
                outcome = first
                self.stop()  # it failed to start
        except queue.Empty:
            self.stop()
            message = f"Task timed out after {self._timeout:.2f} seconds"
            outcome = InvocationResult.failure("Sandbox.Timedout", message)
        self.cold = False
        assert isinstance(outcome, InvocationResult)
        return _add_request_id(outcome, invocation)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._api.close()


def _add_request_id(outcome: InvocationResult, invocation: Invocation) -> InvocationResult:
    """Add the request id to errors that the runtime could not report itself, as Lambda does."""
    if outcome.error not in ("Runtime.ExitError", "Sandbox.Timedout"):
        return outcome
    message = str(outcome.decoded()["errorMessage"])
    return InvocationResult.failure(outcome.error, f"RequestId: {invocation.request_id} Error: {message}")
