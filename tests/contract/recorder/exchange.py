"""One call to AWS and its outcome."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Exchange:
    """`outcome` is "ok", an error code, or a status of the registry; for an observation "yes" or "no"."""

    call: str
    parameters: dict[str, Any]
    outcome: str
    answer: Any = None
    message: str | None = None  # for people: AWS may change its words, and nothing may depend on them

    @property
    def compared(self) -> tuple[Any, ...]:
        return self.call, self.parameters, self.outcome, self.answer

    def document(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value not in (None, {})}

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        return cls(**({"parameters": {}} | document))


def outcomes(exchanges: Iterable[Exchange]) -> tuple[str, ...]:
    return tuple(exchange.outcome for exchange in exchanges)


def summary(found: Iterable[str]) -> str:
    """Return the outcomes in short, for example `ok ×3, InvalidName`."""
    runs = [(name, len(list(group))) for name, group in groupby(found)]
    return ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in runs)
