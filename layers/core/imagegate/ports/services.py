"""Services around the gate: Amazon ECS runs images, IAM knows people, SNS and EventBridge carry announcements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from imagegate.notices.message import Message
    from imagegate.oci.reference import Container


class Services(Protocol):
    """Services and task definitions of Amazon ECS."""

    def revision(self, arn: str) -> tuple[str, list[Container]]:
        """Return the ARN of a service revision's task definition, and the images that ECS has resolved for it.

        Raises `RecordNotFoundError`.
        """

    def written(self, task_definition: str) -> list[Container]:
        """Return the containers of a task definition as people wrote them. Raises `RecordNotFoundError`."""


class People(Protocol):
    """Users and roles in IAM."""

    def tags(self, arn: str) -> Mapping[str, str]:
        """Return the tags of a user, or of the role of a session; empty if there are none, or if it is gone."""


class Notifications(Protocol):
    """Announcements: by SNS to people and their tools, by EventBridge to deployers."""

    def publish(self, announcement: Message) -> str:
        """Publish to both. Return the SNS message id."""

    def send(self, announcement: Message) -> str:
        """Send by SNS only, what events have told already. Return the SNS message id."""


class SecurityHub(Protocol):
    """AWS Security Hub of this account and Region."""

    def send(self, findings: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """Create the findings, or replace those of the same ids. Return the ids that are refused, and why.

        Raises `AccessRefusedError` if Security Hub is not enabled, or if the permission is missing.
        """


class Mails(Protocol):
    """The topic of the people who approve by mail."""

    def send(self, announcement: Message) -> str:
        """Send to people only, never to deployers: the links in it give power. Return the SNS message id."""
