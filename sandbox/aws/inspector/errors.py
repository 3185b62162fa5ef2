"""Inspector's errors, as its model names them."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class InspectorError(ServiceException):
    """ValidationException."""

    code = "ValidationException"
    reason = "FIELD_VALIDATION_FAILED"


class NothingThereError(ServiceException):
    """ResourceNotFoundException."""

    code = "ResourceNotFoundException"
