"""YAML as plain data that knows on which line each part stands, for files that people write.

Rules: text, whole numbers, true, false, null, lists and mappings; everything else stays text or is a fault
(`off` and `1:30` are text, as YAML 1.2 has it). What could exhaust the reader is refused.
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

_MAX_BYTES = 1 << 20
_MAX_NODES = 10_000
_MAX_DEPTH = 20
_LONGEST_QUOTE = 60
# Escapes can write what no encoding can: records could not be written.
_HALF = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n?|\n")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where. Lines count from 1."""

    line: int
    path: Path
    message: str

    def __str__(self) -> str:
        """One line that steers no terminal, whatever stands in the file."""
        text = f"{dotted(self.path)}: {self.message}" if self.path else self.message
        return one_line(text)


@dataclass(slots=True)
class YamlDocument:
    """The data of a file; unreadable parts are None and named in `faults`."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line_of(self, path: Path) -> int:
        """Where `path` stands; for what is missing, or comes from an alias, where its nearest parent does."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _UnreadableError(Exception):
    """Reading cannot go on."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def dotted(path: Path) -> str:
    """`stages.dev.promote_tags[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def read(content: bytes) -> YamlDocument:
    """Never raises: a file that cannot be read is a document with faults."""
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


class _Reader:
    """Builds the data from the parser's events, so that its limits hold before anything is built."""

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
        """As editors count: YAML 1.1 has more line breaks than they have."""
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
        """Aliases count with all that they stand for: few lines can otherwise mean billions of nodes."""
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
    """A value as a fault names it."""
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
    """A hint to append to a fault about a word that should have been one of `known`."""
    close = get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
