"""How versions compare, as judging needs it: each ecosystem has its own rules, and a library knows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# Whether a version satisfies constraints such as `>=2.0, <2.17.1` in an ecosystem; None: it cannot be told.
Satisfies = Callable[[str, str, str | None], bool | None]
# Which of two versions is the later one, in an ecosystem; None: it cannot be told.
Later = Callable[[str, str, str | None], str | None]


@dataclass(frozen=True, slots=True)
class Versions:
    """How versions compare: given from outside, for each ecosystem has its own rules."""

    satisfies: Satisfies
    later: Later
