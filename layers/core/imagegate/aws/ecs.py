"""Amazon ECS: which images a service revision has, and which containers a task definition names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagegate.aws.clients import client, translated
from imagegate.errors import AccessRefusedError, ImageGateError, RecordNotFoundError
from imagegate.oci.image import Digest
from imagegate.oci.reference import Container

# Amazon ECS API reference: a task definition or revision that does not exist is ClientException or
# InvalidParameterException; a cluster or service has errors of its own.
_ABSENT: Mapping[str, type[ImageGateError]] = {
    "AccessDeniedException": AccessRefusedError,
    **dict.fromkeys(
        (
            "ClientException",
            "InvalidParameterException",
            "ClusterNotFoundException",
            "ServiceNotFoundException",
        ),
        RecordNotFoundError,
    ),
}


class Ecs:
    """The account's services in this Region."""

    def __init__(self) -> None:
        # A task definition never changes under its ARN.
        self._written: dict[str, list[Container]] = {}

    def revision(self, arn: str) -> tuple[str, list[Container]]:
        """Source: DescribeServiceRevisions. A digest is absent where ECS has not resolved it (yet)."""
        with translated(_ABSENT, asked=arn):
            answer = client("ecs").describe_service_revisions(serviceRevisionArns=[arn])
        if not answer.get("serviceRevisions"):
            said = "; ".join(failure.get("reason", "") for failure in answer.get("failures", ()))
            raise RecordNotFoundError(f"{arn}: ECS describes no such service revision {said}".strip())
        found = answer["serviceRevisions"][0]
        images = [
            container(image.get("containerName", ""), image) for image in found.get("containerImages", ())
        ]
        return str(found.get("taskDefinition", "")), images

    def written(self, task_definition: str) -> list[Container]:
        """Source: DescribeTaskDefinition."""
        if task_definition not in self._written:
            with translated(_ABSENT, asked=task_definition):
                answer = client("ecs").describe_task_definition(taskDefinition=task_definition)
            found = answer["taskDefinition"].get("containerDefinitions", ())
            self._written[task_definition] = [container(one.get("name", ""), one) for one in found]
        return self._written[task_definition]


def container(name: str, said: Mapping[str, Any]) -> Container:
    """One container as ECS tells it, in any of its answers and events. Raises `InvalidDigestError`."""
    digest = said.get("imageDigest")
    return Container(name, said.get("image", ""), Digest.parse(digest) if digest else None)
