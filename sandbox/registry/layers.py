"""Blobs of a repository and their uploads, for both APIs."""

from __future__ import annotations

import io
from typing import Any

from moto.ecr.exceptions import InvalidLayerPartException, UploadNotFoundException

from sandbox.registry.blobs import Upload
from sandbox.registry.errors import EcrError
from sandbox.registry.store import store


def begin(repo: Any) -> Upload:
    upload = store().blobs.upload()
    repo.uploads[upload.id] = upload
    return upload


def upload_of(repo: Any, upload_id: str) -> Upload:
    upload: Upload | None = repo.uploads.get(upload_id)
    if upload is None:
        raise UploadNotFoundException(upload_id, repo.name, repo.registry_id)
    return upload


def append_part(repo: Any, upload_id: str, first_byte: int, content: bytes) -> Upload:
    """Append a part; refuse it out of order, as ECR does, because it would change the layer."""
    upload = upload_of(repo, upload_id)
    if first_byte != upload.size:
        raise InvalidLayerPartException(repo.registry_id, repo.name, upload_id, upload.size - 1)
    upload.append(io.BytesIO(content))
    return upload


def finish(repo: Any, upload: Upload, expected: str | None) -> str:
    """Store the upload as a blob of this repository.

    Raises InvalidLayerException if the digest differs, EmptyUploadException for an upload without bytes.
    """
    if not upload.size:
        cancel(repo, upload)
        raise EcrError(
            "EmptyUploadException",
            f"The upload with id '{upload.id}' in the repository with name '{repo.name}' in registry with id "
            f"'{repo.registry_id}' cannot be completed because it does not have any parts",
        )
    if expected and expected != upload.digest:
        cancel(repo, upload)
        raise EcrError(
            "InvalidLayerException",
            f"The layer digest '{expected}' does not match that of the upload, '{upload.digest}'",
        )
    digest = store().blobs.finish(upload)
    repo.layers[digest] = upload.size
    repo.uploads.pop(upload.id, None)
    return digest


def cancel(repo: Any, upload: Upload) -> None:
    repo.uploads.pop(upload.id, None)
    upload.discard()


def mount(repo: Any, source: Any, digest: str) -> bool:
    """Add the blob of another repository to this one, where ECR allows it; return whether it did."""
    setting = store().account_settings.get("BLOB_MOUNTING", "ENABLED")
    is_same_key = source.encryption_configuration == repo.encryption_configuration
    is_cache = getattr(source, "is_cache", False)  # images that were pulled through cannot be mounted
    if setting != "ENABLED" or not is_same_key or is_cache or digest not in source.layers:
        return False
    repo.layers[digest] = source.layers[digest]
    return True
