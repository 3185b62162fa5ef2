"""Settings from the environment, read on first use: to import a handler needs none."""

from __future__ import annotations

import os

from imagegate.errors import RejectedInputError


class MissingSettingError(RejectedInputError):
    """The template does not set a variable that this function needs."""


def setting(name: str) -> str:
    """Return an environment variable. Raises `MissingSettingError`."""
    try:
        return os.environ[name]
    except KeyError:
        raise MissingSettingError(f"the environment variable {name} is not set on this function") from None
