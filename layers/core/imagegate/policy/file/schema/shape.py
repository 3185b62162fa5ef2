"""The base of all shapes: each shape is a mapping of the policy file, in its long form.

The long form of a rule is `{value: …, action: …}`. Inheritance brings every rule into this form before it is validated.
"""

import os
from collections.abc import Callable
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from imagegate.policy.rules import Action, Rule

# Plugins of other packages have no part in reading a policy, and to look for them takes time.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

T = TypeVar("T")
U = TypeVar("U")


class Shape(BaseModel):
    """A mapping of the file. A key that is not given has the default of its field; an unknown key is a fault."""

    # Built together with the whole when the first policy is read: each by itself would take more time. So defaults
    # are made by `model_construct`, which builds nothing.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def _refuse_warn(value: object) -> object:
    if value == "warn":
        raise ValueError(
            "must be 'enforce' or 'off': a filter says which findings count, so there is nothing to warn of; "
            "let the limits warn"
        )
    return value


class RuleShape(Shape, Generic[T]):
    """A rule: a value that an image must satisfy, and the action if it does not."""

    value: T | None = Field(default=None, description="What must hold.")
    action: Literal["enforce", "warn", "off"] = Field(
        default="enforce",
        description="enforce: an image that does not satisfy the rule is blocked. warn: it gets a warning. "
        "off: the rule is not checked.",
    )

    def rule(self, convert: Callable[[T], U]) -> Rule[U] | None:
        """Return the rule with its converted value, or None if it has no value."""
        return None if self.value is None else Rule(convert(self.value), Action(self.action))


class FilterShape(Shape, Generic[T]):
    """A filter: it selects the findings that count against the limits."""

    value: T | None = Field(default=None, description="What the filter is.")
    action: Annotated[Literal["enforce", "off"], BeforeValidator(_refuse_warn)] = Field(
        default="enforce", description="enforce: the filter is used. off: it is not."
    )

    @property
    def active_value(self) -> T | None:
        return None if self.action == "off" else self.value


def rule(shape: RuleShape[T] | None, convert: Callable[[T], U]) -> Rule[U] | None:
    """Return the rule of a shape, or None if there is no shape or no value."""
    return shape.rule(convert) if shape else None


def switch(shape: RuleShape[bool] | None) -> Rule[bool] | None:
    """Return the rule of a switch, or None if it is `false`: then no fact is needed for it."""
    return shape.rule(bool) if shape and shape.value else None
