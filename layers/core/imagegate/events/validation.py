"""Checks what comes in from outside against its model, and names every field at fault."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from imagegate.errors import InvalidEventError

Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], event: object) -> Model:
    """Return the event as `model`. Raises `InvalidEventError` that names every field at fault."""
    try:
        return model.model_validate(event)
    except ValidationError as error:
        raise InvalidEventError(f"not a valid {model.__name__}: {list_faults(error)}") from error


def list_faults(error: ValidationError) -> str:
    """Return each field at fault with its message, separated by semicolons."""
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
