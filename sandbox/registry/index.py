"""Images and tags of a repository: the rules of PutImage, deletion and referrers, for both APIs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.ecr.models import Image

from sandbox.registry import announce, wildcard
from sandbox.registry.errors import EcrError
from sandbox.registry.manifests import InvalidManifestError, StoredManifest, parse_manifest
from sandbox.registry.store import hooks, store

_BEFORE_THE_GATE = timedelta(days=30)  # age of an image that arrives as one from before the installation
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


def repository(name: str, registry_id: str | None = None) -> Any:
    """Return moto's repository. Raises RepositoryNotFoundException if there is none."""
    return store().backend._get_repository(name, registry_id)


def status_of(image: Any) -> str:
    """Return ACTIVE, or ARCHIVED for an image that nobody can pull."""
    return "ARCHIVED" if getattr(image, "archived_at", None) else "ACTIVE"


def manifest_of(image: Any) -> StoredManifest:
    return parse_manifest(image.image_manifest, image.image_manifest_media_type)


def find(repo: Any, *, digest: str | None = None, tag: str | None = None) -> Any | None:
    """Return the image that has this digest, this tag, or both, or None if there is none."""
    for image in list(repo.images):
        is_match = digest in (None, image.image_digest) and (not tag or tag in image.image_tags)
        if is_match:
            return image
    return None


def put_image(
    repo: Any,
    text: str,
    *,
    media_type: str | None = None,
    tag: str | None = None,
    digest: str | None = None,
    arrival: str = "push",
    caller: str = "",
) -> Any:
    """Store the manifest, move the tag, notify EventBridge and the scanner. Errors are ECR's.

    `caller` is the access key that pushes; without it ECR signs nothing.
    """
    with store().lock:
        manifest = _accept(repo, text, media_type, tag, digest)
        present = find(repo, digest=manifest.digest)
        image = present or _add(repo, manifest, arrival)
        if tag:
            _move_tag(repo, image, tag)
        repo.is_cache = arrival == "pull-through" or getattr(repo, "is_cache", False)
    announce.arrival(arrival, repo, manifest, tag)
    if not present:
        hooks().image_added(repo, image, manifest, caller)
    if tag and manifest.children and store().settings.quirks.tag_on_child:
        _tag_first_child(repo, manifest, tag)
    return image


def _tag_first_child(repo: Any, manifest: StoredManifest, tag: str) -> None:
    """Move the tag of an index to its first platform, as seen with buildx on ECR."""
    with store().lock:
        child = find(repo, digest=manifest.children[0])
        if not child or is_immutable(repo, tag):
            return
        _move_tag(repo, child, tag)
    announce.image_action("PUSH", repo, manifest_of(child), tag)


def _accept(
    repo: Any, text: str, media_type: str | None, tag: str | None, digest: str | None
) -> StoredManifest:
    if tag and not TAG.fullmatch(tag):
        raise invalid("imageTag", f"must satisfy regular expression '{TAG.pattern}'")
    try:
        manifest = parse_manifest(text, media_type)
    except InvalidManifestError as error:
        raise invalid("ImageManifest", str(error)) from error
    if manifest.has_config_annotations and store().settings.quirks.refuse_config_annotations:
        raise invalid("ImageManifest", "Invalid JSON syntax")
    if digest and digest != manifest.digest:
        raise EcrError(
            "ImageDigestDoesNotMatchException",
            f"The specified image digest '{digest}' does not match the digest "
            f"'{manifest.digest}' that was calculated for the image",
        )
    _check_references(repo, manifest)
    _check_tag(repo, manifest, tag)
    return manifest


def _check_references(repo: Any, manifest: StoredManifest) -> None:
    present = {image.image_digest for image in repo.images}
    where = f"pushing image into repository with name '{repo.name}' do not exist"
    if missing := [digest for digest, _ in manifest.blobs if digest not in repo.layers]:
        digests = ", ".join(missing)
        message = f"Layers with digests '[{digests}]' required for {where}"
        raise EcrError("LayersNotFoundException", message)
    if missing := [digest for digest in manifest.children if digest not in present]:
        digests = ", ".join(missing)
        message = f"Images with digests '[{digests}]' required for {where}"
        raise EcrError("ReferencedImagesNotFoundException", message)


def _check_tag(repo: Any, manifest: StoredManifest, tag: str | None) -> None:
    present = find(repo, digest=manifest.digest)
    if present and (not tag or tag in present.image_tags):
        raise EcrError(
            "ImageAlreadyExistsException",
            f"Image with digest '{manifest.digest}' and tag '{tag}' already exists in the "
            f"repository with name '{repo.name}' in registry with id '{repo.registry_id}'",
        )
    if tag and find(repo, tag=tag) and is_immutable(repo, tag):
        raise EcrError(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{repo.name}' repository "
            "and cannot be overwritten because the tag is immutable.",
        )


def is_immutable(repo: Any, tag: str) -> bool:
    """Return whether the tag is immutable; exclusion filters invert the repository's setting for matching tags."""
    mode = str(getattr(repo.image_tag_mutability, "value", repo.image_tag_mutability))
    filters = repo.image_tag_mutability_exclusion_filters or []
    is_excluded = any(wildcard.matches(f["filter"], tag) for f in filters)
    return mode.startswith("IMMUTABLE") != is_excluded


def _add(repo: Any, manifest: StoredManifest, arrival: str) -> Any:
    image = Image(repo.account_id, None, manifest.text, repo.name, manifest.media_type, manifest.digest)
    image.image_pushed_at = datetime.now(UTC) - (
        _BEFORE_THE_GATE if arrival == "before-the-gate" else timedelta()
    )
    image.stored_at = time.monotonic()
    repo.images.append(image)
    return image


def _move_tag(repo: Any, image: Any, tag: str) -> None:
    for other in repo.images:
        remove_tag(other, tag)
    image.update_tag(tag)


def remove_tag(image: Any, tag: str) -> None:
    image.remove_tag(tag)
    if not image.image_tags:
        image.image_tag = None


def delete_image(repo: Any, image: Any, tag: str | None = None) -> list[dict[str, str]]:
    """Remove one tag (and the image with its last tag), or the image with all its tags."""
    with store().lock:
        tags: list[str | None] = [tag] if tag else list(image.image_tags) or [None]
        for removed in filter(None, tags):
            remove_tag(image, removed)
        if not image.image_tags and not referencing(repo, image.image_digest):
            repo.images.remove(image)
    manifest = manifest_of(image)
    for removed_tag in tags:
        announce.image_action("DELETE", repo, manifest, removed_tag)
    return [image_id(image.image_digest, removed_tag) for removed_tag in tags]


def referencing(repo: Any, digest: str) -> list[str]:
    """Return the digests of the indexes that list this image: ECR does not delete it while they exist."""
    return [i.image_digest for i in repo.images if digest in manifest_of(i).children]


def referrers(repo: Any, digest: str, artifact_types: Iterable[str] = ()) -> list[StoredManifest]:
    """Return the manifests whose subject is this digest, in the order of their push."""
    types = set(artifact_types)
    delay = store().settings.quirks.referrer_listing_delay_seconds
    visible = [i for i in list(repo.images) if time.monotonic() - i.stored_at >= delay]
    manifests = [m for m in map(manifest_of, visible) if m.subject == digest]
    return [m for m in manifests if not types or m.artifact_type in types]


def image_id(digest: str, tag: str | None) -> dict[str, str]:
    return {"imageDigest": digest} | ({"imageTag": tag} if tag else {})


def invalid(parameter: str, reason: str) -> EcrError:
    return EcrError(
        "InvalidParameterException",
        f"Invalid parameter at '{parameter}' failed to satisfy constraint: '{reason}'",
    )
