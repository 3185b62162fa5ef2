"""The EventBridge events that ECR sends, in the shapes that its guide prints."""

from __future__ import annotations

from typing import Any

from sandbox.registry.manifests import Manifest


def image_action(action: str, repository: Any, manifest: Manifest, tag: str | None) -> None:
    """`ECR Image Action`: PUSH or DELETE. The event of an untagged image has no image-tag."""
    detail = {
        "result": "SUCCESS",
        "repository-name": repository.name,
        "image-digest": manifest.digest,
        "action-type": action,
        "manifest-media-type": manifest.media_type,
    }
    if manifest.artifact_type:
        detail["artifact-media-type"] = manifest.artifact_type
    if tag:
        detail["image-tag"] = tag
    _emit("ECR Image Action", detail, [])


def image_scan(repository: Any, digest: str, tags: list[str], status: str, counts: dict[str, int]) -> None:
    """`ECR Image Scan`, sent when a basic scan has ended."""
    detail = {
        "scan-status": status,
        "repository-name": repository.name,
        "finding-severity-counts": counts,
        "image-digest": digest,
        "image-tags": tags,
    }
    _emit("ECR Image Scan", detail, [repository.arn])


def _emit(detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
    # Late: the module of the rules patches moto's events service, which not every user needs.
    from sandbox.aws import events

    events.emit("aws.ecr", detail_type, detail, resources)
