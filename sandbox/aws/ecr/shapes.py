"""The structures of ECR's JSON API, made from the index. Names as in AWS's service model."""

from __future__ import annotations

from typing import Any

from sandbox.registry import index
from sandbox.registry.manifests import StoredManifest
from sandbox.scanner import scans


def repository_names(repo: Any) -> dict[str, Any]:
    return {"registryId": repo.registry_id, "repositoryName": repo.name}


def scan_names(repo: Any, stored: Any, image_id: dict[str, str]) -> dict[str, Any]:
    return repository_names(repo) | {"imageId": index.image_id(stored.image_digest, image_id.get("imageTag"))}


def image(repo: Any, stored: Any, tag: str | None) -> dict[str, Any]:
    return repository_names(repo) | {
        "imageId": index.image_id(stored.image_digest, tag),
        "imageManifest": stored.image_manifest,
        "imageManifestMediaType": stored.image_manifest_media_type,
    }


def failure(image_id: dict[str, str], code: str, reason: str) -> dict[str, Any]:
    return {"imageId": image_id, "failureCode": code, "failureReason": reason}


def layer_failure(digest: str, code: str, reason: str) -> dict[str, str]:
    return {
        "layerDigest": digest,
        "failureCode": code,
        "failureReason": f"Layer digest '{digest}' {reason}",
    }


def details(repo: Any, stored: Any) -> dict[str, Any]:
    manifest = index.manifest_of(stored)
    shape = repository_names(repo) | {
        "imageDigest": manifest.digest,
        "imageTags": list(stored.image_tags) or None,
        "imageSizeInBytes": manifest.image_size,
        "imagePushedAt": stored.image_pushed_at,
        "imageManifestMediaType": manifest.media_type,
        "artifactMediaType": manifest.artifact_type,
        "subjectManifestDigest": manifest.subject,
        "imageStatus": index.status_of(stored),
        "lastArchivedAt": getattr(stored, "archived_at", None),
        "lastActivatedAt": getattr(stored, "activated_at", None),
    }
    present = {key: value for key, value in shape.items() if value is not None}
    return present | scans.scan_summary(stored)


def referrer(manifest: StoredManifest) -> dict[str, Any]:
    shape = {
        "digest": manifest.digest,
        "mediaType": manifest.media_type,
        "artifactType": manifest.artifact_type,
        "size": manifest.size,
        "annotations": dict(manifest.annotations),
        "artifactStatus": "ACTIVE",
    }
    return {key: value for key, value in shape.items() if value}
