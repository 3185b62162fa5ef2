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


def statements_of(document: Mapping[str, Any] | None) -> list[Statement]:
    """Return the statements of a document; a single one may be without a list."""
    found = (document or {}).get("Statement", [])
    return list(found) if isinstance(found, list) else [found]


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
    merged = [*foreign(document), *own]
    return {"Version": (document or {}).get("Version", VERSION), "Statement": merged} if merged else None


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
