"""SQS: moto forgets a queue's policy whenever another attribute of the queue is set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.sqs.models import Queue

from sandbox.settings import Settings

_original_set: Callable[..., None] = Queue._set_attributes


def _set_attributes(self: Queue, attributes: dict[str, Any], now: float | None = None) -> None:
    policy = attributes.get("Policy", getattr(self, "policy", None))
    _original_set(self, attributes, now)
    self.policy = policy


def install(_settings: Settings) -> None:
    Queue._set_attributes = _set_attributes
