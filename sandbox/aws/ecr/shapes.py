"""The structures of ECR's JSON API, from what the index holds. Names as in AWS's service model."""

from __future__ import annotations

from typing import Any

from sandbox.registry import index
from sandbox.registry.manifests import StoredManifest
from sandbox.scanner import scans


def names(repo: Any) -> dict[str, Any]:
    return {"registryId": repo.registry_id, "repositoryName": repo.name}


def scanned(repo: Any, held: Any, wanted: dict[str, str]) -> dict[str, Any]:
    return names(repo) | {"imageId": index.image_id(held.image_digest, wanted.get("imageTag"))}


def image(repo: Any, held: Any, tag: str | None) -> dict[str, Any]:
    return names(repo) | {
        "imageId": index.image_id(held.image_digest, tag),
        "imageManifest": held.image_manifest,
        "imageManifestMediaType": held.image_manifest_media_type,
    }


def failure(wanted: dict[str, str], code: str, reason: str) -> dict[str, Any]:
    return {"imageId": wanted, "failureCode": code, "failureReason": reason}


def layer_failure(digest: str, code: str, what: str) -> dict[str, str]:
    return {
        "layerDigest": digest,
        "failureCode": code,
        "failureReason": f"Layer digest '{digest}' {what}",
    }


def details(repo: Any, held: Any) -> dict[str, Any]:
    manifest = index.manifest_of(held)
    shape = names(repo) | {
        "imageDigest": manifest.digest,
        "imageTags": list(held.image_tags) or None,
        "imageSizeInBytes": manifest.image_size,
        "imagePushedAt": held.image_pushed_at,
        "imageManifestMediaType": manifest.media_type,
        "artifactMediaType": manifest.artifact_type,
        "subjectManifestDigest": manifest.subject,
        "imageStatus": "ACTIVE",
    }
    known = {key: value for key, value in shape.items() if value is not None}
    return known | scans.summary(held)


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
