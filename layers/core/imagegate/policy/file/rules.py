"""What all rules of the policy file have in common: `{value: …, action: …}`, the long form, as merging leaves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field

from imagegate.policy.file.shape import Shape
from imagegate.policy.rules import Action, Rule

T = TypeVar("T")
U = TypeVar("U")


def _never_warns(value: object) -> object:
    if value == "warn":
        raise ValueError(
            "must be 'enforce' or 'off': a filter says which findings count, so there is nothing to warn of; "
            "let the limits warn"
        )
    return value


class RuleShape(Shape, Generic[T]):
    """A rule: a value that must hold, and what is done where it does not."""

    value: T | None = Field(default=None, description="What must hold.")
    action: Literal["enforce", "warn", "off"] = Field(
        default="enforce",
        description="enforce: what does not hold blocks. warn: it is only said. off: nobody looks.",
    )


class FilterShape(Shape, Generic[T]):
    """A filter: it says which findings count against the limits."""

    value: T | None = Field(default=None, description="What the filter is.")
    action: Annotated[Literal["enforce", "off"], BeforeValidator(_never_warns)] = Field(
        default="enforce", description="enforce: the filter is used. off: it is not."
    )

    @property
    def on(self) -> T | None:
        return None if self.action == "off" else self.value


def rule(shape: RuleShape[T] | None, convert: Callable[[T], U]) -> Rule[U] | None:
    """None where nothing gives a value."""
    if shape is None or shape.value is None:
        return None
    return Rule(convert(shape.value), Action(shape.action))


def switch(shape: RuleShape[bool] | None) -> Rule[bool] | None:
    """`false` is no rule: nothing has to be known for it."""
    return rule(shape, bool) if shape and shape.value else None
