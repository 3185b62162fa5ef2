"""The work of each function as functions/*/handler.py does it: the steps over ports that are given here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from imagegate.events.step_requests import (
    AnnounceRequest,
    AwaitScanRequest,
    JudgeRequest,
    PromoteRequest,
    SignRequest,
)
from imagegate.events.validation import parse
from imagegate.findings.scan import SECOND_LOOK
from imagegate.notices.announcement import explain_fault
from imagegate.oci.image import ImageRef
from imagegate.release.release import ReleaseId, StartReason
from imagegate.release.start import Push
from imagegate.workflow.announce import AnnounceRelease
from imagegate.workflow.await_scan import AwaitScan, ScanCompleted
from imagegate.workflow.examination.examine import ExamineImage
from imagegate.workflow.examination.scan_wait import why_never
from imagegate.workflow.judge import JudgeImage
from imagegate.workflow.promote import PromoteImage
from imagegate.workflow.sign import SignImage
from imagegate.workflow.start import StartRelease
from imagegate.workflow.stopped import ResumeStopped
from imagegate.workflow.watch.reconcile import Reconcile


@dataclass(frozen=True, slots=True)
class Event:
    """On its way to a function."""

    function: str
    image: ImageRef
    tags: tuple[str, ...] = ()
    at: datetime | None = None
    reason: str = ""
    attempt: int = 0
    copies: int = 1
    deliveries: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A function that is stopped before a port call. `answers`: the results of its ports so far."""

    function: str
    now: datetime
    event: Event | None = None
    execution: str = ""
    task: int = 0
    payload: str = ""
    answers: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Lambdas:
    """`parts`: all that a step may be made of, by the names of its fields."""

    parts: Mapping[str, Any]
    blobs_a_call: int | None = None

    def run(self, call: Call) -> Any:
        return _FUNCTIONS[call.function](self, call)

    def step(self, kind: Any) -> Any:
        names = _parts(kind)
        inner: dict[str, Any] = {"completed": self.step(ScanCompleted)} if "completed" in names else {}
        if "stopped" in names:
            inner["stopped"] = self.step(ResumeStopped)
        if "announcing" in names:
            inner["announcing"] = self.step(AnnounceRelease)
        if "examine" in names:
            inner["examine"] = self.step(ExamineImage)
        if kind is ExamineImage:  # asks for these only where it needs them
            inner |= {name: partial(self.parts.get, name) for name in ("registry", "signer", "intelligence")}
            inner |= {"second_look": SECOND_LOOK, "timeout_share": 1, "why_never": why_never}
        if "registry_at" in names:  # no stage here is in another account
            inner["registry_at"] = self.parts.get
        if "new_repositories" in names:
            inner["new_repositories"] = lambda _: self.parts["images"]
        parts = {**self.parts, **inner}
        return kind(**{name: parts[name] for name in names if name in parts or names[name]})

    def has_time(self) -> Callable[[], bool]:
        if self.blobs_a_call is None:
            return lambda: True
        left = iter([True] * self.blobs_a_call)
        return lambda: next(left, False)


@cache
def _parts(kind: Any) -> dict[str, bool]:
    """Return the parts of a step, and whether it needs them: others have a default."""
    return {part.name: part.default is MISSING for part in fields(kind)}


def _pushed(lambdas: Lambdas, call: Call) -> Any:
    assert call.event is not None
    assert call.event.at is not None
    for tag in call.event.tags:
        lambdas.step(StartRelease).on_push(Push(call.event.image, call.event.at, "SUCCESS", tag), call.now)


def _requested(lambdas: Lambdas, call: Call) -> Any:
    assert call.event is not None
    reason = StartReason(call.event.reason)
    lambdas.step(StartRelease).on_request(call.event.image, call.event.tags, reason, call.now)


def _scanned(lambdas: Lambdas, call: Call) -> Any:
    assert call.event is not None
    lambdas.step(ScanCompleted).on_scan(call.event.image, call.now + timedelta(minutes=10))


def _stopped(lambdas: Lambdas, call: Call) -> Any:
    assert call.event is not None
    lambdas.step(Reconcile).on_event(ReleaseId(call.event.image, call.event.attempt), call.now)


def _reconcile(lambdas: Lambdas, call: Call) -> Any:
    lambdas.step(Reconcile).run(call.now)


def _await_scan(lambdas: Lambdas, call: Call) -> Any:
    request = parse(AwaitScanRequest, json.loads(call.payload))
    lambdas.step(AwaitScan).register(request.release.id, request.token, call.now)


def _judge_image(lambdas: Lambdas, call: Call) -> Any:
    request = parse(JudgeRequest, json.loads(call.payload))
    return lambdas.step(JudgeImage).run(request.release.id, call.now).as_json()


def _sign_image(lambdas: Lambdas, call: Call) -> Any:
    request = parse(SignRequest, json.loads(call.payload))
    signed = lambdas.step(SignImage).run(request.digest, call.now)
    return signed.as_json() if hasattr(signed, "as_json") else {"signature": str(signed.signature)}


def _promote_image(lambdas: Lambdas, call: Call) -> Any:
    request = parse(PromoteRequest, json.loads(call.payload))
    return lambdas.step(PromoteImage).run(request.release.id, lambdas.has_time(), call.now).as_json()


def _announce(lambdas: Lambdas, call: Call) -> Any:
    request = parse(AnnounceRequest, json.loads(call.payload))
    fault = explain_fault(request.error, request.cause)
    announced = lambdas.step(AnnounceRelease).run(request.release.id, request.outcome, fault, call.now)
    return {"route": str(announced.route), "outcome": str(announced.outcome)}


_FUNCTIONS: Mapping[str, Callable[[Lambdas, Call], Any]] = {
    "pushed": _pushed,
    "requested": _requested,
    "scanned": _scanned,
    "stopped": _stopped,
    "reconcile": _reconcile,
    "${AwaitScanFunction}": _await_scan,
    "${JudgeImageFunction}": _judge_image,
    "${SignImageFunction}": _sign_image,
    "${PromoteImageFunction}": _promote_image,
    "${AnnounceFunction}": _announce,
}
