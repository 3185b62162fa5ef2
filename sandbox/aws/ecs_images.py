"""Images and tasks of Amazon ECS in the sandbox: digests come from the sandbox's registry."""

from __future__ import annotations

from typing import Any

from moto.ecs.models import ecs_backends

from sandbox.registry.store import store
from sandbox.settings import ACCOUNT, REGION


def images_of(task_definition: str) -> list[dict[str, str]]:
    """Return the images, with digests where the sandbox's registry knows them, as ECS has them for images in ECR."""
    definition = ecs_backends[ACCOUNT][REGION].describe_task_definition(task_definition)
    images = []
    for container in definition.container_definitions:
        digest = _digest(container["image"])
        known = {"imageDigest": digest} if digest else {}
        images.append({"containerName": container["name"], "image": container["image"], **known})
    return images


def _digest(image: str) -> str | None:
    name, _, digest = image.partition("@")
    registry, _, path = name.partition("/")
    if digest:
        return digest
    if registry != f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com":
        return None
    repository, _, tag = path.partition(":")
    stored = store().backend.repositories.get(repository)
    tagged = (one for one in (stored.images if stored else []) if (tag or "latest") in one.image_tags)
    return next((str(one.image_digest) for one in tagged), None)


def describe_task(arn: str, cluster: str, group: str, images: list[dict[str, str]]) -> dict[str, Any]:
    """Return a running task as DescribeTasks has it."""
    containers = [
        {"name" if name == "containerName" else name: value for name, value in image.items()}
        for image in images
    ]
    return {
        "taskArn": arn,
        "clusterArn": cluster,
        "group": group,
        "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING",
        "containers": containers,
    }
