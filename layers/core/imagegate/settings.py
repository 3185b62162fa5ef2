"""Settings from the environment, read when they are needed: importing a handler needs none."""

from __future__ import annotations

import os

from imagegate.errors import RejectedInputError


class MissingSettingError(RejectedInputError):
    """The template does not give this function what it needs."""


def setting(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise MissingSettingError(f"the environment variable {name} is not set on this function") from None
