"""Statements of a policy document: those of the baseline among those of others, which stay.

The baseline knows its own statements by their `Sid`. Two statements are equal if they mean the same to AWS, which
returns a list of one as text, and an account as its root user.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

Statement = Mapping[str, Any]
OWN = "Imagegate"
VERSION = "2012-10-17"
_ROOT = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}):root")
ACCOUNT_OF = r"(?:arn:[a-z-]+:[a-z0-9-]+:[a-z0-9*-]*:)?([0-9]{12})(?::.*)?"  # of a principal or a source
_ACCOUNT = re.compile(ACCOUNT_OF)
_IN_ORGANIZATION = re.compile(r"o-[a-z0-9]+/.*")
_NARROWING = (
    *("aws:principalorgid", "aws:principalorgpaths", "aws:principalaccount", "aws:principalarn"),
    *("aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths"),
    *("aws:sourcevpce", "aws:sourcevpc", "aws:sourceip", "aws:userid"),
)
_COMPARING = re.compile(
    r"(?:ForAnyValue:)?(?:String(?:Equals|EqualsIgnoreCase|Like)|Arn(?:Equals|Like)|IpAddress)", re.IGNORECASE
)


def statements_of(document: Mapping[str, Any] | None) -> list[Statement]:
    """Return the statements of a document; a single one may be without a list."""
    statements = (document or {}).get("Statement", [])
    return list(statements) if isinstance(statements, list) else [statements]


def is_own(statement: Statement) -> bool:
    """Return True for a statement that a baseline has written."""
    return str(statement.get("Sid", "")).startswith(OWN)


def foreign(document: Mapping[str, Any] | None) -> list[Statement]:
    """Return the statements that others have written."""
    return [one for one in statements_of(document) if not is_own(one)]


def with_own(document: Mapping[str, Any] | None, own: Iterable[Statement]) -> dict[str, Any] | None:
    """Return the document with these statements in place of the baseline's, or None if there are no statements.

    Returns the document itself if its own statements mean the same already.
    """
    own, present = list(own), [one for one in statements_of(document) if is_own(one)]
    if document is not None and _meanings(own) == _meanings(present):
        return dict(document) if statements_of(document) else None
    others = foreign(document)
    # Without a version, variables in the statements of others are text, and must stay that.
    head = dict(document or {}) if others else {"Version": VERSION}
    return {**head, "Statement": [*others, *own]} if others or own else None


def actions_of(statement: Statement) -> list[str]:
    """Return the patterns of the actions; every action for a statement with `NotAction`."""
    return as_list(statement["Action"]) if "Action" in statement else ["*"]


def grants(statement: Statement, actions: Iterable[str]) -> list[str]:
    """Return those of the actions that the statement allows."""
    if statement.get("Effect") != "Allow":
        return []
    patterns = [pattern.lower() for pattern in actions_of(statement)]
    return [one for one in actions if any(fnmatchcase(one.lower(), pattern) for pattern in patterns)]


def principals_of(statement: Statement) -> list[str]:
    """Return the principals, accounts as their numbers."""
    principal = statement.get("Principal", "*")
    named = principal.values() if isinstance(principal, Mapping) else [principal]
    return [_ROOT.sub(r"\1", one) for value in named for one in as_list(value)]


def narrowing(statement: Statement) -> dict[str, tuple[str, ...]]:
    """Return the conditions that compare who calls, or from where, with given values: these by key, in lower case."""
    conditions: dict[str, tuple[str, ...]] = {}
    for operator, tests in (statement.get("Condition") or {}).items():
        if not _COMPARING.fullmatch(operator):
            continue
        for key, value in tests.items():
            values = tuple(as_list(value))
            if key.lower() in _NARROWING and all(_is_narrow(key.lower(), one) for one in values):
                conditions[key.lower()] = values
    return conditions


def _is_narrow(key: str, value: str) -> bool:
    if key.endswith("arn"):
        return _ACCOUNT.fullmatch(value) is not None
    if key.endswith("paths"):
        return _IN_ORGANIZATION.fullmatch(value) is not None
    # A variable is compared with itself: everybody has the account that they have.
    return not value.endswith("/0") and not set(value) & set("*?$")


def as_list(value: Any) -> list[str]:
    """Return a value of a policy as a list of texts."""
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


def _meanings(statements: Iterable[Statement]) -> list[Any]:
    return sorted((_meaning(one) for one in statements), key=repr)


def _meaning(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return sorted((name, _meaning(part, name)) for name, part in value.items())
    texts = as_list(value)
    if key == "AWS":
        texts = [_ROOT.sub(r"\1", one) for one in texts]
    return sorted(texts)
