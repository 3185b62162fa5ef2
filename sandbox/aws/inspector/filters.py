"""Filter criteria of Inspector's listings.

Rules where AWS's guides are silent: one value of a criterion must match, and none of its negated values may. Unknown
criteria are refused instead of ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from sandbox.aws.inspector.errors import InspectorError

T = TypeVar("T")
Criteria = Mapping[str, Callable[[T], str | None]]
_MOST_VALUES = 10
_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "EQUALS": lambda have, wanted: have == wanted,
    "PREFIX": lambda have, wanted: have.startswith(wanted),
    "NOT_EQUALS": lambda have, wanted: have != wanted,
}


def filter_items(
    items: Iterable[T], filters: Mapping[str, Any], criteria: Criteria[T], comparisons: Collection[str]
) -> list[T]:
    """Return the items that match the criteria. Raises `InspectorError` for a criterion that is unknown here."""
    for name, values in filters.items():
        _check(name, values, criteria, comparisons)
    return [
        item
        for item in items
        if all(_meets(criteria[name](item) or "", values) for name, values in filters.items())
    ]


def _check(name: str, values: Any, criteria: Criteria[T], comparisons: Collection[str]) -> None:
    if name not in criteria:
        known = ", ".join(criteria)
        raise InspectorError(f"the sandbox does not filter findings by {name}, only by: {known}")
    if not 1 <= len(values) <= _MOST_VALUES:
        raise InspectorError(f"filterCriteria.{name} must have between 1 and {_MOST_VALUES} members")
    for value in values:
        if value.get("comparison") not in comparisons or not value.get("value"):
            raise InspectorError(f"filterCriteria.{name}: not a comparison with a value: {value}")


def _meets(have: str, values: list[dict[str, str]]) -> bool:
    results = [(v["comparison"], _COMPARISONS[v["comparison"]](have, v["value"])) for v in values]
    wanted = [holds for comparison, holds in results if comparison != "NOT_EQUALS"]
    return all(holds for comparison, holds in results if comparison == "NOT_EQUALS") and (
        any(wanted) or not wanted
    )
