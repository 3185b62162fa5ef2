"""A poisoned world: any type of ours made by its annotations, with a text of somebody else's choice in every `str`.

A new field of a type, and a new function that takes such types, is covered by itself.
"""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import types
import typing
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import imagegate
from imagegate.grants.approval import ApprovalRequest
from imagegate.grants.approval_link import ApprovalLink, Purpose
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.rules import Attention
from imagegate.release.release import Release, ReleaseId

# Everything that steers something: lines, terminals, markup of every kind, the order in which letters are read.
PIECES = {
    "line": "one\ntwo",
    "windows line": "one\r\n\r\nLet it in: http://evil.example/",
    "carriage return": "good\rbad",
    "tab": "a\tb\vc\fd",
    "other lines": "a\u2028b\u2029c\x85d\x1ce",
    "nul": "a\x00b\x7f",
    "csi": "\x1b[2J\x1b[31mred",
    "osc": "\x1b]0;owned\x07\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "c1": "\x9b2J\x9d0;owned\x9c",
    "bidi": "\u202egnp.exe\u2066x\u2069\u200f\u061c",
    "unseen": "a\u200bb\u200dc\ufeffd\u00ade\u2060f\u3164g\u034fh\U000e0041\U000e0101",
    "half": "\ud800x\udfff",
    "rich": "[bold]x[/bold] [link=http://evil.example]y[/link] [/nonsense] :warning:",
    "html": "<script>alert(1)</script>\"'><img src=x onerror=alert(2)><!-- </title></style>&#x202e;&lt;",
    "link": "[x](javascript:alert(3)) ![y](http://evil.example/z) <http://evil.example> [r]: http://evil.example",
    "bare link": "http://evil.example www.evil.example a@evil.example @all",
    "cells": "| a | b |",
    "list": "- [x] one",
    "numbered": "1. one",
    "rule": "---",
    "heading": "# one",
    "underlined": "===",
    "quote": "> one",
    "indented": "        one",
    "emphasis": "*a* **b** __c__ ~~d~~ `e` ``f`` $g$ \\",
    "fence": "```\none",
    "placeholder": "{0} {{x}} %s {% raw %} {{ 7 * 7 }}",
}
# Half a character is refused where things are named by their digest: with it the rest would not be tried.
PAYLOADS = [*PIECES.values(), " ".join(text for name, text in PIECES.items() if name != "half")]
NAMES = [*PIECES, "all of it"]
CLEAN = "plain"
NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)


class CannotFillError(TypeError):
    """A type that nobody has said how to make."""


def filled(hint: Any, text: str) -> Any:
    """Return a value of that type, with the text in each `str` of it. Raises `CannotFillError`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return filled(arguments[0], text)
    if origin in (Union, types.UnionType):
        return filled(next(one for one in arguments if one is not type(None)), text)
    if origin is Literal:
        return arguments[0]
    if isinstance(origin, type) and issubclass(origin, collections.abc.Callable):  # type: ignore[arg-type]
        return lambda *_: "https://gate.example/?t=token"
    if origin is not None:
        return _collection(origin, arguments, text)
    return _plain(hint, text)


def _collection(origin: Any, arguments: tuple[Any, ...], text: str) -> Any:
    if origin is tuple and (not arguments or arguments[-1] is not Ellipsis):
        return tuple(filled(one, text) for one in arguments)
    if issubclass(origin, collections.Counter):
        return origin({filled(arguments[0], text): 3})
    if issubclass(origin, collections.abc.Mapping):
        return {filled(arguments[0], text): filled(arguments[1], text)}
    made = [filled(arguments[0], text)]
    concrete = origin if origin in (list, set, frozenset, tuple) else tuple
    return iter(made) if origin is collections.abc.Iterator else concrete(made)


def _plain(hint: Any, text: str) -> Any:
    values: dict[Any, Any] = {
        str: text,
        Any: text,
        object: text,
        bool: True,
        int: 3,
        float: 1.5,
        bytes: b"",
        datetime: NOW,
        date: NOW.date(),
        timedelta: timedelta(days=2),
        Digest: Digest.of(b"poisoned"),
        ImageRef: ImageRef("shop-dev", Digest.of(b"poisoned")),
    }
    if hint in values:
        return values[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return made(hint, text)
    raise CannotFillError(hint)


@cache
def product_types() -> dict[str, Any]:
    """Return every class of the product by its name: modules import some of them for checkers only."""
    modules = [import_module(found.name) for found in walk_packages(imagegate.__path__, "imagegate.")]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }


@cache
def _fields(kind: type[Any]) -> dict[str, Any]:
    """Return the types of the fields that the dataclass is made with."""
    hints = get_type_hints(kind, None, product_types())
    return {one.name: hints[one.name] for one in dataclasses.fields(kind) if one.init}


def made(kind: type[Any], text: str, **fields: Any) -> Any:
    """Return an instance of the dataclass; `fields` are used as given."""
    wanted = _fields(kind)  # type: ignore[arg-type]  # a class is hashable
    if kind is ApprovalLink:  # made of checked names alone, and refuses others
        return kind(Purpose.APPROVE, filled(ReleaseId, text), CLEAN, NOW, "mailto:ann@example.com")
    if kind is ApprovalRequest:
        fields = {"stage": CLEAN, **fields}
    if kind is ApprovalTerms:
        fields = {"by_mail": ("ann@example.com",), **fields}
    if kind is Release:  # what the ledger keeps as JSON has members that are read by name
        reason = {"rule": text, "message": text, "action": "enforce"}
        fields = {
            "reasons": [reason, {**reason, "action": "warn"}],
            "attention": str(Attention.LOG),
            **fields,
        }
    return kind(
        **{name: fields[name] if name in fields else filled(hint, text) for name, hint in wanted.items()}
    )
