"""YAML as plain data, with the line of each part, for files that people write.

Rules: the values are text, whole numbers, true, false, null, lists and mappings. Everything else is text or a fault
(`off` and `1:30` are text, as in YAML 1.2). Files that could exhaust the memory are refused.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import yaml

from imagegate.text import one_line

Path = tuple[str | int, ...]
# A fault that has no line yet: its path, and its message.
PathFault = tuple[Path, str]

_MAX_BYTES = 1 << 20
_MAX_NODES = 10_000
_MAX_DEPTH = 20
_LONGEST_QUOTE = 60
# An escape can write half a surrogate pair, which no encoding can: a record with it could not be written.
_HALF = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n?|\n")
# They end a line, and so a comment, for YAML 1.1 alone: reviewers see a comment where the parser reads settings.
_OTHER_LINE_END = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
# Controls that show text in another order than it is read in (CVE-2021-42574).
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a file: its line (from 1), its path and a message."""

    line: int
    path: Path
    message: str

    def __str__(self) -> str:
        """Return one line without control characters, whatever the file contains."""
        text = f"{dotted(self.path)}: {self.message}" if self.path else self.message
        return one_line(text)


@dataclass(slots=True)
class YamlDocument:
    """The data of a file. Unreadable parts are None, and are named in `faults`."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line_of(self, path: Path) -> int:
        """Return the line of a path. A part that is missing, or of an alias, has the line of its nearest parent."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _UnreadableError(Exception):
    """The reader cannot continue."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def dotted(path: Path) -> str:
    """Return the path as text: `stages.dev.promote_tags[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def read_yaml(content: bytes) -> YamlDocument:
    """Return the document. Raises nothing: a file that cannot be read is a document with faults."""
    document = YamlDocument()
    try:
        _Reader(content, document).run()
    except _UnreadableError as error:
        document.faults.append(Fault(error.line, (), str(error)))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        document.faults.append(Fault(line, (), "not UTF-8 text"))
    except yaml.YAMLError as error:
        document.faults.append(Fault(1, (), f"not YAML: {error}"))
    return document


def misleading_faults(content: bytes) -> Iterator[Fault]:
    """Yield each character because of which people read something else than the parser, with its line."""
    text = content.decode("utf-8", "replace")
    for form, what in (
        (_OTHER_LINE_END, "ends a line only for some programs"),
        (_REORDERING, "reorders text"),
    ):
        for match in form.finditer(text):
            line = len(_LINE_END.findall(text, 0, match.start())) + 1
            yield Fault(
                line, (), f"U+{ord(match[0]):04X} {what}: take it out, so that everybody reads the same"
            )


class _Reader:
    """Builds the data from the parser's events, so that the limits are checked before anything is built."""

    def __init__(self, content: bytes, document: YamlDocument) -> None:
        if len(content) > _MAX_BYTES:
            raise _UnreadableError(1, f"the file is larger than {_MAX_BYTES} bytes")
        text = content.decode("utf-8-sig")
        self._events = self._parsed(text)
        self._lines = [0, *(match.end() for match in _LINE_END.finditer(text))]
        self._document = document
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    def _parsed(self, text: str) -> Iterator[Any]:
        try:
            yield from yaml.parse(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            line = self._line_at(error.problem_mark) if error.problem_mark else 1
            raise _UnreadableError(line, f"not YAML: {error.problem}") from error

    def _line(self, event: Any) -> int:
        return self._line_at(event.start_mark)

    def _line_at(self, mark: Any) -> int:
        """Return the line as editors count lines: YAML 1.1 has more kinds of line breaks."""
        return bisect_right(self._lines, mark.index)

    def run(self) -> None:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _UnreadableError(1, "the file is empty")
        self._document.data = self._node(next(self._events), ())
        next(self._events)
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            raise _UnreadableError(self._line(following), "a second document begins here; a file has one")

    def _node(self, event: Any, path: Path) -> Any:
        if len(path) > _MAX_DEPTH:
            raise _UnreadableError(self._line(event), f"nested deeper than {_MAX_DEPTH} levels")
        before = self._nodes
        self._spend(1, event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag is not None:
            self._fault(event, path, f"tags such as {event.tag} are not supported")
        data = self._value(event, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = (data, self._nodes - before)
        return data

    def _value(self, event: Any, path: Path) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            if _HALF.search(event.value):
                self._fault(event, path, "half a character is no text (a surrogate without the other)")
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise _UnreadableError(self._line(event), f"*{event.anchor} has no anchor before it")
        data, nodes = self._anchors[event.anchor]
        self._spend(nodes, event)
        return data

    def _spend(self, nodes: int, event: Any) -> None:
        """Count nodes. An alias counts with all nodes that it repeats: a few lines could otherwise mean billions."""
        self._nodes += nodes
        if self._nodes > _MAX_NODES:
            raise _UnreadableError(self._line(event), f"more than {_MAX_NODES} values")

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            here = (*path, len(items))
            self._document.lines[here] = self._line(event)
            items.append(self._node(event, here))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            here = (*path, str(key))
            if not isinstance(key, str):
                self._fault(event, path, f"a key must be text, not {describe(key)}")
                self._node(next(self._events), here)
            elif key in items:
                self._fault(event, here, f"given twice (first in line {self._document.lines[here]})")
                self._node(next(self._events), (*here, "again"))
            else:
                self._document.lines[here] = self._line(event)
                items[key] = self._node(next(self._events), here)
        return items

    def _key(self, event: Any, path: Path) -> Any:
        if not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            raise _UnreadableError(self._line(event), "a key must be text, not a list or a mapping")
        return self._node(event, path)

    def _fault(self, event: Any, path: Path, message: str) -> None:
        self._document.faults.append(Fault(self._line(event), path, message))


def _scalar(event: Any) -> str | int | bool | None:
    text: str = event.value
    if event.style not in (None, ""):  # quoted
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    return _WORDS.get(text.lower(), text)


def describe(value: Any) -> str:
    """Return a value as messages name it."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return a hint for a message about a word that should be one of `known`, or "" if none is similar."""
    close = get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
