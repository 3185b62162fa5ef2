"""Executions of the release workflow: begin one, wake one that waits, request one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef


class Workflow(Protocol):
    """The release state machine."""

    def start(self, name: str, payload: dict[str, Any]) -> bool:
        """Start an execution. Return whether an execution of that name runs now; False if it has ended already."""


class RunningExecutions(Protocol):
    """Executions of the release state machine, for whoever looks for those that are missing."""

    def running(self) -> Iterator[str]:
        """Yield the names of the executions that run; eventually consistent."""

    def is_running(self, name: str) -> bool:
        """Return whether an execution of that name runs; False if it has ended, or was never started."""


class Tasks(Protocol):
    """Tasks of the state machine that wait with a token."""

    def wake(self, token: str, result: dict[str, Any]) -> bool:
        """Complete a waiting task. Return False if no task waits with that token any more."""


class Starter(Protocol):
    """The function `start_release`: it alone may start executions."""

    def request(self, image: ImageRef, tags: Iterable[str], reason: str) -> None:
        """Request a release. The function itself checks whether the reason holds, and which person is behind it."""
