"""A pool of warm processes per function version: starts more under load, and ends them all."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.functions.function import Function, Invocation, InvocationResult
from sandbox.functions.unpacked import UnpackedCode
from sandbox.functions.worker import Worker, lambda_environment

_AT_ONCE = 4  # processes per function; more invocations wait, as on a small account's concurrency
Credentials = Callable[[str, str], Mapping[str, str]]  # role ARN, session name


class Pool:
    def __init__(self, state: Path, endpoint: str, credentials: Credentials) -> None:
        self._state = state
        self._endpoint = endpoint
        self._credentials = credentials
        self._code = UnpackedCode(state / "functions")
        self._lock = threading.Lock()
        self._idle: dict[str, list[Worker]] = defaultdict(list)
        self._all: set[Worker] = set()
        self._slots: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(_AT_ONCE))
        self._stopped = False
        (state / "logs").mkdir(parents=True, exist_ok=True)

    def invoke(self, function: Function, invocation: Invocation) -> InvocationResult:
        with self._lock:
            slot = self._slots[function.name]
        with slot:
            started = time.time()
            worker = self._warm(function) or self._start(function)
            cold = worker.cold
            outcome = worker.invoke(invocation)
            self._give_back(function, worker)
        self._record(function, invocation, started, cold=cold, error=outcome.error)
        return outcome

    def _warm(self, function: Function) -> Worker | None:
        with self._lock:
            while self._idle[function.identity]:
                worker = self._idle[function.identity].pop()
                if worker.alive:
                    return worker
                self._all.discard(worker)
                worker.stop()
        return None

    def _start(self, function: Function) -> Worker:
        task_root, opt = self._code.task_root(function.code), self._code.opt(function.layers)
        credentials = self._credentials(function.role, function.name)
        env = lambda_environment(function, task_root, opt, credentials, self._endpoint)
        worker = Worker(function, env, task_root, self._state / "logs" / f"{function.name}.log")
        with self._lock:
            self._all.add(worker)
            stopped = self._stopped
        if stopped:
            worker.stop()
        return worker

    def _give_back(self, function: Function, worker: Worker) -> None:
        with self._lock:
            if worker.alive and not self._stopped:
                self._idle[function.identity].append(worker)
                return
            self._all.discard(worker)
        worker.stop()

    def _record(
        self,
        function: Function,
        invocation: Invocation,
        started: float,
        *,
        cold: bool,
        error: str | None,
    ) -> None:
        line = {
            "function": function.name,
            "request_id": invocation.request_id,
            "start": round(started, 3),
            "seconds": round(time.time() - started, 3),
            "cold": cold,
            "error": error,
        }
        with self._lock, (self._state / "invocations.jsonl").open("a") as journal:
            journal.write(json.dumps(line) + "\n")

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            workers, self._all = self._all, set()
        for worker in workers:
            worker.stop()
        self._code.remove()
