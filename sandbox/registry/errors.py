"""Errors in the form of the distribution specification, and ECR's exceptions turned into them."""

from __future__ import annotations

import json

from moto.core.exceptions import ServiceException
from werkzeug.wrappers import Response


class EcrError(ServiceException):  # type: ignore[misc] # moto is untyped
    """An exception of ECR's API: code and message. moto looks up its shape by the code.

    Not moto's own class, which it takes for one of a service called "core".
    """


class RegistryError(Exception):
    """An answer other than success: `{"errors": [{"code", "message", "detail"}]}`."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def response(self) -> Response:
        error = {"code": self.code, "message": self.message, "detail": None}
        body = json.dumps({"errors": [error]}) + "\n"
        response = Response(body, self.status, content_type="application/json")
        response.headers.update(self.headers)
        return response


_TRANSLATED = {
    "RepositoryNotFoundException": (404, "NAME_UNKNOWN"),
    "LayersNotFoundException": (404, "MANIFEST_BLOB_UNKNOWN"),
    "ReferencedImagesNotFoundException": (404, "MANIFEST_BLOB_UNKNOWN"),
    "ImageDigestDoesNotMatchException": (400, "DIGEST_INVALID"),
    "ImageTagAlreadyExistsException": (400, "TAG_INVALID"),
    "InvalidParameterException": (400, "MANIFEST_INVALID"),
    "UploadNotFoundException": (404, "BLOB_UPLOAD_UNKNOWN"),
    "InvalidLayerException": (400, "DIGEST_INVALID"),
    "EmptyUploadException": (400, "BLOB_UPLOAD_INVALID"),
    "InvalidLayerPartException": (416, "BLOB_UPLOAD_INVALID"),
}


def translate_error(error: ServiceException) -> RegistryError:
    if "Invalid JSON syntax" in error.message:  # seen on ECR
        return RegistryError(405, "UNSUPPORTED", error.message)
    status, code = _TRANSLATED.get(error.code, (400, "UNSUPPORTED"))
    return RegistryError(status, code, error.message)
