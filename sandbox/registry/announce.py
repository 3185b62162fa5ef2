"""The EventBridge events that ECR and Inspector send, in the shapes that their guides print."""

from __future__ import annotations

from typing import Any

from sandbox.registry.manifests import StoredManifest
from sandbox.registry.store import hooks

SOURCE_REGION = "eu-west-1"  # source region of replicas


def image_action(action: str, repository: Any, manifest: StoredManifest, tag: str | None) -> None:
    """Send `ECR Image Action`: PUSH or DELETE. The event of an untagged image has no image-tag."""
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


def arrival(how: str, repository: Any, manifest: StoredManifest, tag: str | None) -> None:
    """Send the event of an image that arrived by `push`, `replication` or `pull-through`; for others none."""
    senders = {"push": _push, "replication": _replication, "pull-through": _pull_through}
    if how in senders:
        senders[how](repository, manifest, tag)


def _push(repository: Any, manifest: StoredManifest, tag: str | None) -> None:
    image_action("PUSH", repository, manifest, tag)


def _replication(repository: Any, manifest: StoredManifest, tag: str | None) -> None:
    """Send `ECR Replication Action`, in the target registry. Children and evidence have no image-tag."""
    detail = {
        "result": "SUCCESS",
        "repository-name": repository.name,
        "image-digest": manifest.digest,
        "source-account": repository.registry_id,
        "action-type": "REPLICATE",
        "source-region": SOURCE_REGION,
    }
    _emit("ECR Replication Action", detail | ({"image-tag": tag} if tag else {}), [repository.arn])


def _pull_through(repository: Any, manifest: StoredManifest, tag: str | None) -> None:
    """Send `ECR Pull Through Cache Action`, once for the tag that was pulled."""
    if not tag:
        return
    detail = {
        "rule-version": "1",
        "sync-status": "SUCCESS",
        "ecr-repository-prefix": repository.name.partition("/")[0],
        "repository-name": repository.name,
        "upstream-registry-url": "public.ecr.aws",
        "image-tag": tag,
        "image-digest": manifest.digest,
    }
    _emit("ECR Pull Through Cache Action", detail, [repository.arn])


def image_scan(repository: Any, digest: str, tags: list[str], status: str, counts: dict[str, int]) -> None:
    """Send `ECR Image Scan`, the end of a basic scan."""
    detail = {
        "scan-status": status,
        "repository-name": repository.name,
        "finding-severity-counts": counts,
        "image-digest": digest,
        "image-tags": tags,
    }
    _emit("ECR Image Scan", detail, [repository.arn])


def inspector_scan(repository: Any, digest: str, tags: list[str], counts: dict[str, int]) -> None:
    """Send `Inspector2 Scan`, the end of the first enhanced scan. Inspector names repositories by ARN."""
    detail = {
        "scan-status": "INITIAL_SCAN_COMPLETE",
        "repository-name": repository.arn,
        "finding-severity-counts": counts | {"TOTAL": sum(counts.values())},
        "image-digest": digest,
        "image-tags": tags,
    }
    _emit("Inspector2 Scan", detail, [repository.arn])


def inspector_finding(repository: Any, digest: str, tags: list[str], finding: dict[str, Any]) -> None:
    """Send `Inspector2 Finding`, one for each finding. `finding`: in Inspector's form."""
    image = {
        "repositoryName": repository.name,
        "imageHash": digest,
        "imageTags": tags,
        "registry": repository.registry_id,
    }
    arn = f"{repository.arn}/{digest}"
    resource = {
        "details": {"awsEcrContainerImage": image},
        "id": arn,
        "type": "AWS_ECR_CONTAINER_IMAGE",
    }
    named = (
        "findingArn",
        "severity",
        "status",
        "title",
        "type",
        "fixAvailable",
        "packageVulnerabilityDetails",
    )
    detail = {name: finding[name] for name in named if name in finding} | {"resources": [resource]}
    _emit("Inspector2 Finding", detail, [arn])


def _emit(detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
    source = "aws.inspector2" if detail_type.startswith("Inspector2") else "aws.ecr"
    hooks().emit(source, detail_type, detail, resources)
