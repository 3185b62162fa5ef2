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
        """Read DescribeServiceRevisions. A digest is absent if ECS has not resolved the image yet."""
        with translated(_ABSENT, subject=arn):
            response = client("ecs").describe_service_revisions(serviceRevisionArns=[arn])
        if not response.get("serviceRevisions"):
            reasons = "; ".join(failure.get("reason", "") for failure in response.get("failures", ()))
            raise RecordNotFoundError(f"{arn}: ECS describes no such service revision {reasons}".strip())
        revision = response["serviceRevisions"][0]
        images = [
            container(image.get("containerName", ""), image) for image in revision.get("containerImages", ())
        ]
        return str(revision.get("taskDefinition", "")), images

    def written(self, task_definition: str) -> list[Container]:
        """Read DescribeTaskDefinition, once per ARN."""
        if task_definition not in self._written:
            with translated(_ABSENT, subject=task_definition):
                response = client("ecs").describe_task_definition(taskDefinition=task_definition)
            definitions = response["taskDefinition"].get("containerDefinitions", ())
            self._written[task_definition] = [container(one.get("name", ""), one) for one in definitions]
        return self._written[task_definition]


def container(name: str, description: Mapping[str, Any]) -> Container:
    """Return a container of any response or event of ECS. Raises `InvalidDigestError`."""
    digest = description.get("imageDigest")
    return Container(name, description.get("image", ""), Digest.parse(digest) if digest else None)
