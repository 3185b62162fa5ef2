"""The evaluation of IAM policy statements: an explicit Deny wins, and what nobody allows is refused.

No I/O. A condition that is not understood counts against the caller: it never satisfies an Allow and always satisfies a
Deny.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

Statement = Mapping[str, Any]
Context = Mapping[str, str | Sequence[str]]  # a list for a key with several values


@cache
def _pattern(text: str, *, ignore_case: bool) -> re.Pattern[str]:
    body = re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(body, re.IGNORECASE | re.DOTALL if ignore_case else re.DOTALL)


def matches(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    return _pattern(pattern, ignore_case=ignore_case).fullmatch(value) is not None


def _arn_matches(pattern: str, value: str) -> bool:
    """Compare part by part, as ArnLike does: a `*` does not cross a colon of the first five parts."""
    patterns, values = pattern.split(":", 5), value.split(":", 5)
    return len(patterns) == len(values) and all(map(matches, patterns, values))


def _is_in_network(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda want, have: want == have,
    "StringEqualsIgnoreCase": lambda want, have: want.lower() == have.lower(),
    "StringLike": matches,
    "ArnEquals": _arn_matches,
    "ArnLike": _arn_matches,
    "IpAddress": _is_in_network,
    "Bool": lambda want, have: want.lower() == have.lower(),
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
}


def _as_list(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in values]


def _condition_holds(operator: str, key: str, wanted: Any, context: Context) -> bool | None:
    """Return whether the condition holds, or None if its operator or key is not understood."""
    have = {name.lower(): value for name, value in context.items()}.get(key.lower())
    if operator == "Null":
        return (have is None) == (_as_list(wanted) == ["true"])
    if operator.startswith("ForAllValues:"):
        values = (
            [] if have is None else [have] if isinstance(have, str) else have
        )  # with no values, all of them match
        each = [_holds(operator.removeprefix("ForAllValues:"), wanted, value) for value in values]
        return None if None in each else all(each)
    if have is not None and not isinstance(have, str):
        return None  # several values need an operator for sets
    return _holds(operator, wanted, have)


def _holds(operator: str, wanted: Any, have: str | None) -> bool | None:
    base = operator.removesuffix("IfExists")
    compare = _OPERATORS.get(_NEGATED.get(base, base))
    if compare is None or have is None:
        return True if compare and base != operator else None
    found = any(compare(want, have) for want in _as_list(wanted))
    return not found if base in _NEGATED else found


def _conditions_hold(statement: Statement, context: Context) -> bool:
    unknown = statement["Effect"] == "Deny"
    results = (
        _condition_holds(operator, key, wanted, context)
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )
    return all(unknown if result is None else result for result in results)


def _covers(statement: Statement, element: str, value: str, *, ignore_case: bool) -> bool:
    """Return whether the statement's element, or its `Not` form, covers the value."""
    if element in statement:
        patterns = _as_list(statement[element])
        return any(matches(pattern, value, ignore_case=ignore_case) for pattern in patterns)
    if f"Not{element}" not in statement:
        return True  # a trust or key policy may leave the resource out
    patterns = _as_list(statement[f"Not{element}"])
    return not any(matches(pattern, value, ignore_case=ignore_case) for pattern in patterns)


def statements_of(document: Mapping[str, Any]) -> list[Statement]:
    statements = document["Statement"]
    return statements if isinstance(statements, list) else [statements]


def applying_statements(
    statements: Iterable[Statement], action: str, resource: str, context: Context
) -> list[Statement]:
    """Return the statements that apply to the request."""
    return [
        statement
        for statement in statements
        if _covers(statement, "Action", action, ignore_case=True)
        and _covers(statement, "Resource", resource, ignore_case=False)
        and _conditions_hold(statement, context)
    ]


def is_permitted(statements: Iterable[Statement], action: str, resource: str, context: Context) -> bool:
    effects = {
        statement["Effect"] for statement in applying_statements(statements, action, resource, context)
    }
    return effects == {"Allow"}
