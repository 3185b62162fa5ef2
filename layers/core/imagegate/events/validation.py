"""Checks what comes in from outside against its model, and names the field at fault."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from imagegate.errors import InvalidEventError

Model = TypeVar("Model", bound=msgspec.Struct)


def parse(model: type[Model], event: object) -> Model:
    """Return the event as `model`. Raises `InvalidEventError` that names the field at fault."""
    try:
        return msgspec.convert(event, model)
    except (msgspec.ValidationError, UnicodeError) as error:  # half a surrogate pair
        raise InvalidEventError(f"not a valid {model.__name__}: {error}") from error
