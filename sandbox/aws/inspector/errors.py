"""Inspector's errors, named as in its model."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class InspectorError(ServiceException):
    """Inspector's ValidationException."""

    code = "ValidationException"
    reason = "FIELD_VALIDATION_FAILED"


class ReportNotFoundError(ServiceException):
    """Inspector's ResourceNotFoundException."""

    code = "ResourceNotFoundException"
