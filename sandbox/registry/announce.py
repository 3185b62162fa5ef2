"""The EventBridge events that ECR and Inspector send, in the shapes that their guides print."""

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


def inspector_scan(repository: Any, digest: str, tags: list[str], counts: dict[str, int]) -> None:
    """`Inspector2 Scan`, sent when the first enhanced scan has ended. Inspector names repositories by ARN."""
    detail = {
        "scan-status": "INITIAL_SCAN_COMPLETE",
        "repository-name": repository.arn,
        "finding-severity-counts": counts | {"TOTAL": sum(counts.values())},
        "image-digest": digest,
        "image-tags": tags,
    }
    _emit("Inspector2 Scan", detail, [repository.arn])


def _emit(detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
    # Late: the module of the rules patches moto's events service, which not every user needs.
    from sandbox.aws import events

    source = "aws.inspector2" if detail_type.startswith("Inspector2") else "aws.ecr"
    events.emit(source, detail_type, detail, resources)
