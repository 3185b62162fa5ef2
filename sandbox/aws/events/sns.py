"""SNS: moto keeps publications to itself; here people and tests can read them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from moto.sns.models import Topic

from sandbox.settings import Settings

_lock = threading.Lock()
_original_publish: Callable[..., str] = Topic.publish


def install(settings: Settings) -> None:
    """Append every publication to `messages.jsonl` in the sandbox's folder. Send no mail."""

    def publish(self: Topic, message: str, subject: str | None = None, *args: Any, **kwargs: Any) -> str:
        names = ("message_attributes", "group_id", "deduplication_id", "message_structure")
        kwargs |= dict(zip(names, args, strict=False))
        message_id = _original_publish(self, message, subject, **kwargs)
        attributes = kwargs.get("message_attributes") or {}
        _append(
            settings,
            {
                "topic_arn": self.arn,
                "message_id": message_id,
                "subject": subject,
                "message": message,
                "message_structure": kwargs.get("message_structure"),
                "attributes": {name: value.get("Value") for name, value in attributes.items()},
            },
        )
        return message_id

    Topic.publish = publish


def _append(settings: Settings, record: dict[str, Any]) -> None:
    settings.state.mkdir(parents=True, exist_ok=True)
    with _lock, (settings.state / "messages.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")
