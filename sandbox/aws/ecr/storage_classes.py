"""The archive of ECR: an archived image is stored, and nobody can pull it before it is restored.

Source: Amazon ECR user guide, "Archiving an image" and "Restoring an image"; the service model.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult

from sandbox.aws.ecr import shapes
from sandbox.aws.ecr.registry_settings import RegistrySettingsOperations
from sandbox.registry import index
from sandbox.registry.errors import EcrError


class StorageClassOperations(RegistrySettingsOperations):
    """The operation that archives and restores; restoring takes no time here."""

    def update_image_storage_class(self) -> ActionResult:
        repo, image_id = self._repository(), self._get_param("imageId")
        digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
        image = index.find(repo, digest=digest, tag=tag)
        if image is None:
            raise EcrError("ImageNotFoundException", f"{repo.name} has no such image")
        is_archived = self._get_param("targetStorageClass") == "ARCHIVE"
        if is_archived == (index.status_of(image) == "ARCHIVED"):
            message = f"The image is {index.status_of(image)} already"
            raise EcrError("ImageStorageClassUpdateNotSupportedException", message)
        image.archived_at = datetime.now(UTC) if is_archived else None
        image.activated_at = None if is_archived else datetime.now(UTC)
        shape = shapes.repository_names(repo) | {"imageId": index.image_id(image.image_digest, tag)}
        return ActionResult(shape | {"imageStatus": index.status_of(image)})


def with_status(images: list[Any], criteria: dict[str, str]) -> list[Any]:
    """Return the images with the status of a filter: without one, those that are active."""
    wanted = criteria.get("imageStatus", "ACTIVE")
    return [image for image in images if wanted in ("ANY", index.status_of(image))]
