"""Executions, people, services and announcements in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from imagegate.errors import (
    RecordNotFoundError,
)
from imagegate.grants.approval_link import parse_link as parse_link
from imagegate.notices.message import Message
from imagegate.oci.image import ImageRef
from imagegate.oci.reference import Container


@dataclass
class FakeWorkflow:
    started: dict[str, dict[str, Any]] = field(default_factory=dict)
    woken: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    expired: set[str] = field(default_factory=set)  # tokens of tasks that timed out

    def start(self, name: str, payload: dict[str, Any]) -> bool:
        assert self.started.setdefault(name, payload) == payload, "one name, two inputs"
        return name not in self.ended

    def running(self) -> Iterator[str]:
        yield from self.started.keys() - self.ended

    def is_running(self, name: str) -> bool:
        return name in self.started and name not in self.ended

    def wake(self, token: str, result: dict[str, Any]) -> bool:
        waits = token not in self.woken and token not in self.expired
        self.woken.setdefault(token, result)
        return waits


@dataclass
class FakeStarter:
    requests: list[tuple[ImageRef, tuple[str, ...], str]] = field(default_factory=list)

    def request(self, image: ImageRef, tags: Iterable[str], reason: str, by: str = "") -> None:
        self.requests.append((image, tuple(tags), reason))


@dataclass
class FakePeople:
    known: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def tags(self, arn: str) -> Mapping[str, str]:
        self.asked.append(arn)
        return self.known.get(arn, {})


@dataclass
class FakeServices:
    """Amazon ECS: revisions as it tells them, task definitions as people wrote them."""

    revisions: dict[str, tuple[str, list[Container]]] = field(default_factory=dict)
    definitions: dict[str, list[Container]] = field(default_factory=dict)

    def revision(self, arn: str) -> tuple[str, list[Container]]:
        if arn not in self.revisions:
            raise RecordNotFoundError(f"{arn}: MISSING")
        return self.revisions[arn]

    def written(self, task_definition: str) -> list[Container]:
        if task_definition not in self.definitions:
            raise RecordNotFoundError(f"{task_definition}: no such task definition")
        return self.definitions[task_definition]


@dataclass
class FakeNotifications:
    messages: list[Message] = field(default_factory=list)

    def publish(self, announcement: Message) -> str:
        self.messages.append(announcement)
        return f"message-{len(self.messages)}"

    def send(self, announcement: Message) -> str:
        return self.publish(announcement)
