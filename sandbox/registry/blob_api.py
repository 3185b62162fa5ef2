"""Blobs and uploads of the distribution API, streamed both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.registry import index, layers
from sandbox.registry.blobs import SHA256, Upload, chunks
from sandbox.registry.errors import RegistryError
from sandbox.registry.front import RegistryRequest, location, page, route
from sandbox.registry.store import store

_BLOB = r"blobs/(?P<target>[^/]+:[^/]+)"
_UPLOADS = r"blobs/uploads/?"
_UPLOAD = r"blobs/uploads/(?P<target>[0-9a-f-]{36})"
_CONTENT_RANGE = re.compile(r"(?:bytes )?(\d+)-(\d+)(?:/.*)?")


@route("HEAD", _BLOB)
def head_blob(call: RegistryRequest) -> Response:
    call.require("BatchCheckLayerAvailability")
    response = Response(status=200, headers=_blob_headers(call))
    response.content_length = call.repo.layers[call.target]
    return response


@route("GET", _BLOB)
def get_blob(call: RegistryRequest) -> Response:
    call.require("GetDownloadUrlForLayer")
    headers = _blob_headers(call)
    return _file(call.request, store().blobs.path(call.target), headers)


@page("/layers/")
def download(request: Request) -> Response:
    """Answer the URL of GetDownloadUrlForLayer; its token is the permission."""
    match = re.fullmatch(r"/layers/(?P<name>.+)/(?P<digest>[^/]+)", request.path)
    owner = store().token_owner(request.args.get("token", ""))
    if not match or not owner:
        raise RegistryError(403, "DENIED", "this download address has expired or is wrong")
    repo = index.repository(match["name"])
    call = RegistryRequest(request, repo, match["digest"], owner)
    return _file(request, store().blobs.path(call.target), _blob_headers(call))


@route("DELETE", _BLOB)
def delete_blob(call: RegistryRequest) -> Response:
    call.require("BatchDeleteImage")
    _blob_headers(call)
    del call.repo.layers[call.target]
    return Response(status=202)


def _blob_headers(call: RegistryRequest) -> dict[str, str]:
    if call.target not in call.repo.layers:
        message = f"{call.repo.name} has no blob {call.target}"
        raise RegistryError(404, "BLOB_UNKNOWN", message)
    return {
        "Docker-Content-Digest": call.target,
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
    }


def _file(request: Request, path: Path, headers: dict[str, str]) -> Response:
    size = path.stat().st_size
    first, end = 0, size
    byte_range = request.range
    if byte_range:
        limits = byte_range.range_for_length(size)
        if limits is None:
            raise RegistryError(416, "SIZE_INVALID", f"the blob has {size} bytes")
        first, end = limits
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    sent = first + (end - first) // 2 if _breaks() else end
    response = Response(_read(path, first, sent), status=206 if byte_range else 200, headers=headers)
    response.content_length = end - first
    return response


def _breaks() -> bool:
    every = store().settings.quirks.break_blobs_every
    store().fetches += 1
    return bool(every) and store().fetches % every == 0


def _read(path: Path, first: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        yield from chunks(file, end - first)


@route("POST", _UPLOADS)
def start_upload(call: RegistryRequest) -> Response:
    call.require("InitiateLayerUpload")
    arguments = call.request.args
    if "mount" in arguments and _try_mount(call, arguments["mount"], arguments.get("from")):
        return _created_response(call, arguments["mount"])
    upload = layers.begin(call.repo)
    if "digest" in arguments:
        call.require("CompleteLayerUpload")
        return _finish(call, upload, arguments["digest"])
    return _upload_response(call, upload, 202)


def _try_mount(call: RegistryRequest, digest: str, source_name: str | None) -> bool:
    """Mount the blob if possible; return False in any other case, and the client uploads it."""
    source: Any = store().backend.repositories.get(source_name)
    if source is None:
        return False
    try:
        call.require("GetDownloadUrlForLayer", repository=source)
    except RegistryError:
        return False
    return layers.mount(call.repo, source, digest)


@route("PATCH", _UPLOAD)
def append_to_upload(call: RegistryRequest) -> Response:
    call.require("UploadLayerPart")
    if not store().settings.quirks.keep_first_chunk_only:
        return _upload_response(call, _append(call), 202)
    upload = layers.upload_of(call.repo, call.target)
    if upload.size:
        call.request.stream.read()  # and drop it
    else:
        _append(call)
    return _upload_response(call, upload, 201)


@route("PUT", _UPLOAD)
def finish_upload(call: RegistryRequest) -> Response:
    call.require("CompleteLayerUpload")
    if call.request.content_length:
        call.require("UploadLayerPart")
    digest = call.request.args.get("digest", "")
    return _finish(call, layers.upload_of(call.repo, call.target), digest)


@route("GET", _UPLOAD)
def upload_status(call: RegistryRequest) -> Response:
    call.require("UploadLayerPart")
    return _upload_response(call, layers.upload_of(call.repo, call.target), 204)


@route("DELETE", _UPLOAD)
def cancel_upload(call: RegistryRequest) -> Response:
    call.require("UploadLayerPart")
    layers.cancel(call.repo, layers.upload_of(call.repo, call.target))
    return Response(status=204)


def _append(call: RegistryRequest, upload: Upload | None = None) -> Upload:
    upload = upload or layers.upload_of(call.repo, call.target)
    if given := call.request.headers.get("Content-Range"):
        match = _CONTENT_RANGE.fullmatch(given)
        if not match or int(match[1]) != upload.size:
            message = f"Content-Range {given} does not follow the {upload.size} bytes received"
            raise RegistryError(416, "BLOB_UPLOAD_INVALID", message, **_position(call, upload))
    upload.append(call.request.stream)
    return upload


def _finish(call: RegistryRequest, upload: Upload, digest: str) -> Response:
    if not SHA256.fullmatch(digest):
        raise RegistryError(400, "DIGEST_INVALID", f"not a sha256 digest: {digest!r}")
    _append(call, upload)
    layers.finish(call.repo, upload, digest)
    return _created_response(call, digest)


def _created_response(call: RegistryRequest, digest: str) -> Response:
    response = Response(status=201)
    response.headers["Location"] = location(call.repo.name, "blobs", digest)
    response.headers["Docker-Content-Digest"] = digest
    return response


def _upload_response(call: RegistryRequest, upload: Upload, status: int) -> Response:
    response = Response(status=status)
    for name, value in _position(call, upload).items():
        response.headers[name.replace("_", "-")] = value
    return response


def _position(call: RegistryRequest, upload: Upload) -> dict[str, str]:
    return {
        "Location": location(call.repo.name, "blobs", "uploads", upload.id),
        "Docker_Upload_UUID": upload.id,
        "Range": f"0-{max(upload.size - 1, 0)}",
    }
