"""EventBridge: moto reaches few targets, in the caller's thread, and ignores most of a rule.

Here every matching enabled rule delivers from a small pool of threads: to Lambda, Step Functions, SQS and SNS, with the
rule's input, retries, dead-letter queue and permissions. The other patches call `emit` to send the events of AWS
services; quirks lose, copy, delay and swap those events.

Source: EventBridge guide, "Event retry policy and dead-letter queues", "Input transformation".
"""

from __future__ import annotations

import json
import queue
import re
import threading
import time
import traceback
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.events.models import Rule, events_backends

from sandbox.aws.events import targets
from sandbox.settings import Settings

_WORKERS = 8
_SWAP_SECONDS = 2.0  # how long an event waits for another one to swap with
_SHORTEST_SCHEDULE = 2.0
_UNITS = {"minute": 60, "hour": 3600, "day": 86400}
_OPTIONAL = {"image-tag", "manifest-media-type", "artifact-media-type"}
_OTHER_ARRIVALS = {"ECR Replication Action", "ECR Pull Through Cache Action"}
_QUIRKY = {"aws.ecr", "aws.ecs", "aws.inspector2"}

_Jobs = queue.SimpleQueue[tuple[Rule, list[dict[str, Any]]] | None]

_settings: Settings
_jobs: _Jobs = queue.SimpleQueue()
_lock = threading.Lock()
_held: list[dict[str, Any]] = []
_stopped = threading.Event()
_original_send = Rule.send_to_targets


# Sending


def emit(
    source: str,
    detail_type: str,
    detail: dict[str, Any],
    resources: list[str],
    *,
    time: datetime | None = None,
) -> None:
    """Send an event to the default bus as an AWS service does. Return at once, never raise."""
    try:
        event = envelope(source, detail_type, detail, resources, time)
        if source in _QUIRKY:
            _send_with_quirks(event)
        else:
            _send([event])
    except Exception:  # noqa: BLE001 - who announces must not fail because of it
        _log(f"not sent: {source} {detail_type}\n{traceback.format_exc()}")


def envelope(
    source: str,
    detail_type: str,
    detail: dict[str, Any],
    resources: list[str],
    moment: datetime | None = None,
) -> dict[str, Any]:
    """Return a full event as AWS prints it in its guides."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": _settings.account,
        "time": (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": _settings.region,
        "resources": resources,
        "detail": json.loads(json.dumps(detail)),
    }


def _send(events: list[dict[str, Any]]) -> None:
    """Send events; those of one call reach each rule in their order."""
    bus = events_backends[_settings.account][_settings.region].event_buses["default"]
    for rule in list(bus.rules.values()):
        wanted = [event for event in events if _wants(rule, event)]
        if wanted:
            _jobs.put((rule, wanted))


def _wants(rule: Rule, event: dict[str, Any]) -> bool:
    """Return whether a rule matches; moto lets a rule without a pattern, which is a scheduled one, match everything."""
    pattern = rule.event_pattern
    return bool(rule.state == "ENABLED" and pattern.get_pattern() and pattern.matches_event(event))


def _send_with_quirks(event: dict[str, Any]) -> None:
    quirks = _settings.quirks
    if _is_lost(event):
        return _log(f"lost: {event['detail-type']} {event['id']}")
    if quirks.omit_optional_event_fields:
        event["detail"] = {k: v for k, v in event["detail"].items() if k not in _OPTIONAL}
    if quirks.event_delay_seconds > 0:
        return _start_timer(quirks.event_delay_seconds, lambda: _copy_and_swap(event))
    for delay in _settings.disturbance.deliveries(event):
        _start_timer(delay, lambda: _copy_and_swap(event)) if delay else _copy_and_swap(event)
    return None


def _is_lost(event: dict[str, Any]) -> bool:
    quirks = _settings.quirks
    if event["detail-type"] in {"ECR Image Scan", "Inspector2 Scan"}:
        return quirks.lose_scan_events
    is_push = event["detail-type"] == "ECR Image Action" and event["detail"].get("action-type") == "PUSH"
    return quirks.lose_push_events and (is_push or event["detail-type"] in _OTHER_ARRIVALS)


def _copy_and_swap(event: dict[str, Any]) -> None:
    copies = [event] * max(1, _settings.quirks.event_copies)
    if not _settings.quirks.swap_events:
        return _send(copies)
    with _lock:
        earlier, _held[:] = list(_held), [] if _held else copies
    if earlier:
        return _send(copies + earlier)
    return _start_timer(_SWAP_SECONDS, lambda: _release(copies))


def _release(events: list[dict[str, Any]]) -> None:
    with _lock:
        alone = _held == events
        if alone:
            _held.clear()
    if alone:
        _send(events)


def _start_timer(seconds: float, action: Any) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


def _send_to_targets(self: Rule, original_event: Any, transform_input: bool = True) -> None:
    """Deliver the half-filled event that moto's PutEvents and replays pass here."""
    event = {key: value for key, value in original_event.items() if key != "ingestion-time"}
    if not _wants(self, event):
        return
    if not transform_input or "replay-name" in event:
        _original_send(self, original_event, transform_input)
        return
    if not isinstance(event["time"], str):
        moment = datetime.fromtimestamp(float(event["time"]), UTC)
        event["time"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    _jobs.put((self, [event]))


# Delivering


def _run_worker(jobs: _Jobs) -> None:
    while (job := jobs.get()) is not None:
        rule, events = job
        for event in events:
            for target in list(rule.targets):
                _deliver(rule, target, event)


def _deliver(rule: Rule, target: dict[str, Any], event: dict[str, Any]) -> None:
    what = f"{event['detail-type']} {event['id']} by {rule.name} to {target['Arn']}"
    try:
        _hand_over(rule, target, event)
        _log(f"delivered: {what}")
    except targets.UndeliverableError as error:
        _log(f"undeliverable: {what}: {error.code} {error}")
        _send_to_dead_letters(rule, target, event, error)
    except Exception:  # noqa: BLE001 - one bad target must not stop the pool
        _log(f"failed: {what}\n{traceback.format_exc()}")


def _hand_over(rule: Rule, target: dict[str, Any], event: dict[str, Any]) -> None:
    if target["Arn"].split(":")[2] != "events":
        return targets.deliver(rule, target, event)
    # moto keeps archives and other buses: each is a rule that matches.
    copy = Rule(rule.name, rule.account_id, rule.region_name, *[None] * 4, rule.event_bus_name, None)
    copy.targets = [target]
    return _original_send(copy, event | {"ingestion-time": time.time()}, transform_input=False)


def _send_to_dead_letters(
    rule: Rule,
    target: dict[str, Any],
    event: dict[str, Any],
    error: targets.UndeliverableError,
) -> None:
    try:
        targets.send_to_dead_letters(rule, target, event, error)
    except targets.UndeliverableError as lost:
        _log(f"gone: {event['id']}: {lost}")


# Schedules


def _tick(stopped: threading.Event) -> None:
    due: dict[str, float] = {}
    while not stopped.wait(0.25):
        try:
            _run_due(due)
        except Exception:  # noqa: BLE001 - a rule in the making must not stop the others
            _log(f"schedule:\n{traceback.format_exc()}")


def _run_due(due: dict[str, float]) -> None:
    now = time.monotonic()
    buses = events_backends[_settings.account][_settings.region].event_buses
    for rule in list(buses["default"].rules.values()):
        seconds = interval(rule.scheduled_expression)
        if rule.state != "ENABLED" or seconds is None:
            due.pop(rule.arn, None)
        elif now >= due.setdefault(rule.arn, now + seconds):
            due[rule.arn] = now + seconds
            _jobs.put((rule, [envelope("aws.events", "Scheduled Event", {}, [rule.arn])]))


def interval(expression: str | None) -> float | None:
    """Return the scaled seconds between two runs of `rate(…)`, or None for cron expressions, which never run."""
    match = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression or "")
    if not match:
        return None
    return max(_SHORTEST_SCHEDULE, int(match[1]) * _UNITS[match[2]] * _settings.time_scale)


def _log(line: str) -> None:
    folder = _settings.state / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    with _lock, (folder / "events.log").open("a") as file:
        file.write(f"{stamp} {line}\n")


def install(settings: Settings) -> None:
    """Start the pool and the ticker for this sandbox."""
    global _settings, _jobs, _stopped
    stop()
    _held.clear()
    _settings, _jobs, _stopped = settings, queue.SimpleQueue(), threading.Event()
    targets.install(settings)
    Rule.send_to_targets = _send_to_targets
    for number in range(_WORKERS):
        threading.Thread(target=_run_worker, args=(_jobs,), name=f"events-{number}", daemon=True).start()
    threading.Thread(target=_tick, args=(_stopped,), name="events-ticker", daemon=True).start()


def stop() -> None:
    """End the threads; drop what is queued."""
    _stopped.set()
    for _ in range(_WORKERS):
        _jobs.put(None)
