"""Finds in Python's source whatever reads the wall clock, under whatever name it was imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

READERS = frozenset(
    {
        *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today"),
        *("datetime.date.today", "time.time", "time.time_ns", "uuid.uuid1"),
        *("time.clock_gettime", "time.clock_gettime_ns"),
    }
)
# These read it where they are called with fewer arguments.
WITH_A_TIME = {
    "time.gmtime": 1,
    "time.localtime": 1,
    "time.ctime": 1,
    "time.asctime": 1,
    "time.strftime": 2,
    "email.utils.formatdate": 1,
    "email.utils.localtime": 1,
}
# Whatever they are called on: a subclass, an instance, a name that is bound elsewhere.
METHODS = frozenset({"utcnow", "today"})
# A source without these words reads no clock: it names neither a reader nor a module that has one.
WORDS = re.compile(
    r"\.now\b|today|utcnow|uuid1|email\.utils|\bfrom time\b|\bimport\b.*\btime\b|['\"](now|time)['\"]"
)


def reads(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every read, also where it is passed on and called elsewhere."""
    if not WORDS.search(source):
        return
    tree = ast.parse(source)
    names = _imported(tree)
    _follow_assignments(tree, names)
    harmless = {
        id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and _has_time(node, names)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and id(node) not in harmless and _is_read(node, names):
            yield node.lineno, ast.unparse(node)


def _imported(tree: ast.AST) -> dict[str, str]:
    """Return the full name of each imported name."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _follow_assignments(tree: ast.AST, names: dict[str, str]) -> None:
    """Add other names: of `Moment = datetime`, and of classes that are derived from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if path := _path(node.value, names):
                names[node.targets[0].id] = path
        elif isinstance(node, ast.ClassDef):
            names |= dict.fromkeys([node.name], next(filter(None, (_path(b, names) for b in node.bases)), ""))


def _path(node: ast.AST, names: dict[str, str]) -> str:
    """Return the full name that an expression refers to; "" for anything but modules and their members."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        base = _path(node.value, names)
        return f"{base}.{node.attr}" if base else ""
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        words = [str(a.value) for a in node.args if isinstance(a, ast.Constant)]
        if called == "getattr" and len(words) == 1 and (base := _path(node.args[0], names)):
            return f"{base}.{words[0]}"
        if called in ("__import__", "importlib.import_module", "import_module") and words:
            return words[0]
    return ""


def _is_read(node: ast.expr, names: dict[str, str]) -> bool:
    path = _path(node, names)
    if path in READERS or path in WITH_A_TIME:
        return not isinstance(node, ast.Name) or isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        # Only of a class that is a `datetime` does somebody want to know the time in a zone.
        return node.func.attr == "now" and bool(node.args or node.keywords) and not _path(node.func, names)
    return isinstance(node, ast.Attribute) and node.attr in METHODS and not path


def _has_time(call: ast.Call, names: dict[str, str]) -> bool:
    wanted = WITH_A_TIME.get(_path(call.func, names))
    return wanted is not None and len(call.args) >= wanted
