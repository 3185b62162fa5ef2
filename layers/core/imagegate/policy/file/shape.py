"""What all parts of the policy file have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """A mapping of the file. What is not given is None, or what the field says; what nobody knows is a fault."""

    # Built together with the whole when the first policy is read: each by itself would take more time.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)
