"""Manifests, tags and referrers of the distribution API."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from moto.core.exceptions import ServiceException
from werkzeug.wrappers import Response

from sandbox.registry import index
from sandbox.registry.blobs import SHA256
from sandbox.registry.errors import RegistryError
from sandbox.registry.front import RegistryRequest, location, route
from sandbox.registry.manifests import MAX_MANIFEST_BYTES, OCI_INDEX, StoredManifest, sha256
from sandbox.registry.paging import page

_REFERENCE = r"manifests/(?P<target>[^/]+)"
REFERRERS_PAGE = 50
ARRIVAL = "Sandbox-Arrival"  # of `python -m sandbox arrive`: no push, so no push event


@route("GET", _REFERENCE)
@route("HEAD", _REFERENCE)
def get_manifest(call: RegistryRequest) -> Response:
    call.require("BatchGetImage")
    image = _find(call)
    if index.status_of(image) != "ACTIVE":
        raise RegistryError(404, "MANIFEST_UNKNOWN", f"{call.target} is in the archive of {call.repo.name}")
    response = Response(image.image_manifest.encode())
    response.headers["Content-Type"] = image.image_manifest_media_type
    response.headers["Docker-Content-Digest"] = image.image_digest
    return response


@route("PUT", _REFERENCE)
def put_manifest(call: RegistryRequest) -> Response:
    call.require("PutImage")
    content = call.request.stream.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise RegistryError(413, "MANIFEST_INVALID", f"larger than {MAX_MANIFEST_BYTES} bytes")
    manifest = _store(call, _text(content))
    response = Response(status=201)
    response.headers["Location"] = location(call.repo.name, "manifests", manifest.digest)
    response.headers["Docker-Content-Digest"] = manifest.digest
    if manifest.subject:
        response.headers["OCI-Subject"] = manifest.subject
    return response


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise RegistryError(400, "MANIFEST_INVALID", "manifest is not UTF-8") from error


def _store(call: RegistryRequest, text: str) -> StoredManifest:
    tag, digest = (None, call.target) if ":" in call.target else (call.target, None)
    media_type = call.request.mimetype or None
    arrival = call.request.headers.get(ARRIVAL, "push")
    try:
        image = index.put_image(
            call.repo,
            text,
            media_type=media_type,
            tag=tag,
            digest=digest,
            arrival=arrival,
            caller=call.caller,
        )
    except ServiceException as error:
        if error.code != "ImageAlreadyExistsException":
            raise
        # In the protocol, pushing the same manifest again succeeds; it sends no event.
        image = index.find(call.repo, digest=sha256(text.encode()))
    return index.manifest_of(image)


@route("DELETE", _REFERENCE)
def delete_manifest(call: RegistryRequest) -> Response:
    call.require("BatchDeleteImage")
    image = _find(call)
    is_tag = ":" not in call.target
    if not is_tag and (parents := index.referencing(call.repo, image.image_digest)):
        raise RegistryError(409, "DENIED", f"referenced by manifest list: {', '.join(parents)}")
    index.delete_image(call.repo, image, call.target if is_tag else None)
    return Response(status=202)


def _find(call: RegistryRequest) -> Any:
    key = "digest" if ":" in call.target else "tag"
    image = index.find(call.repo, **{key: call.target})
    if not image:
        message = f"Requested image not found: {call.repo.name} has no {key} {call.target}"
        raise RegistryError(404, "MANIFEST_UNKNOWN", message)
    return image


@route("GET", "tags/list")
def list_tags(call: RegistryRequest) -> Response:
    call.require("ListImages")
    last, limit = call.request.args.get("last", ""), call.request.args.get("n", type=int)
    tags = sorted((tag for image in list(call.repo.images) for tag in image.image_tags), key=_sort_key)
    tags = [tag for tag in tags if _sort_key(tag) > _sort_key(last)]
    page_items = tags if limit is None else tags[:limit]
    response = _json({"name": call.repo.name, "tags": page_items})
    if page_items and len(page_items) < len(tags):
        _link(response, call, n=limit, last=page_items[-1])
    return response


def _sort_key(tag: str) -> tuple[str, str]:
    """Return the sort key of a tag: case-insensitive (distribution specification, "Listing Tags")."""
    return tag.lower(), tag


@route("GET", r"referrers/(?P<target>[^/]+)")
def list_referrers(call: RegistryRequest) -> Response:
    call.require("BatchGetImage")
    if not SHA256.fullmatch(call.target):
        raise RegistryError(400, "DIGEST_INVALID", f"not a sha256 digest: {call.target!r}")
    artifact_types = call.request.args.getlist("artifactType")
    manifests = index.referrers(call.repo, call.target, artifact_types)
    page_items, token = page(manifests, call.request.args.get("nextToken"), REFERRERS_PAGE)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [_descriptor(manifest) for manifest in page_items],
    }
    response = _json(document, OCI_INDEX)
    if artifact_types:
        response.headers["OCI-Filters-Applied"] = "artifactType"
    if token:
        _link(response, call, artifactType=artifact_types, nextToken=token)
    return response


def _descriptor(manifest: StoredManifest) -> dict[str, Any]:
    descriptor = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": manifest.size,
        "artifactType": manifest.artifact_type,
        "annotations": dict(manifest.annotations),
    }
    return {key: value for key, value in descriptor.items() if value}


def _json(document: Any, media_type: str = "application/json") -> Response:
    response = Response(json.dumps(document))
    response.headers["Content-Type"] = media_type
    return response


def _link(response: Response, call: RegistryRequest, **query: Any) -> None:
    response.headers["Link"] = f'<{call.request.path}?{urlencode(query, doseq=True)}>; rel="next"'
