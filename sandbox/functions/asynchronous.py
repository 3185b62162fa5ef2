"""Asynchronous invocation: the caller does not wait; two retries; then the failure destination.

Envelope: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from sandbox.functions.function import Function, Invocation, InvocationResult
from sandbox.functions.pool import Pool

_RETRY_DELAYS = (60.0, 120.0)  # seconds, in AWS
Deliver = Callable[[Function, str, str], None]  # function, destination ARN, record
logger = logging.getLogger(__name__)


def failure_record(
    function: Function, invocation: Invocation, outcome: InvocationResult, attempts: int
) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    qualified = invocation.arn if invocation.arn.count(":") > 6 else f"{invocation.arn}:$LATEST"
    return {
        "version": "1.0",
        "timestamp": now,
        "requestContext": {
            "requestId": invocation.request_id,
            "functionArn": qualified,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": attempts,
        },
        "requestPayload": json.loads(invocation.payload or b"null"),
        "responseContext": {
            "statusCode": 200,
            "executedVersion": function.version,
            "functionError": "Unhandled",
        },
        "responsePayload": outcome.decoded(),
    }


class AsynchronousInvoker:
    def __init__(self, pool: Pool, deliver: Deliver, time_scale: float) -> None:
        self._pool = pool
        self._deliver = deliver
        self._time_scale = time_scale
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="lambda-async")
        self._stopped = threading.Event()

    def submit(self, function: Function, invocation: Invocation) -> None:
        if not self._stopped.is_set():
            self._threads.submit(self._run, function, invocation)

    def _run(self, function: Function, invocation: Invocation) -> None:
        try:
            self._attempt(function, invocation)
        except Exception:
            # Nobody waits for the result of this thread.
            logger.exception("asynchronous invocation of %s", function.name)

    def _attempt(self, function: Function, invocation: Invocation) -> None:
        for attempt in range(1, function.retries + 2):
            outcome = self._pool.invoke(function, invocation)
            if outcome.error is None or self._stopped.is_set():
                return
            if attempt <= function.retries:
                self._stopped.wait(_RETRY_DELAYS[attempt - 1] * self._time_scale)
        if function.on_failure:
            record = failure_record(function, invocation, outcome, function.retries + 1)
            self._deliver(function, function.on_failure, json.dumps(record))

    def stop(self) -> None:
        self._stopped.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
