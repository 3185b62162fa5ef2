"""The compiled methods of dataclasses, made when the layer is built.

Python writes the methods of a dataclass as text when the class is made, and compiles them: a fifth of a cold start.
`write_methods` compiles each text once and stores it, `use_methods` lets `dataclasses` find it there. A text that is
not stored is compiled as ever, and the classes are the same. Both `exec` what `dataclasses` would.
"""

from __future__ import annotations

import dataclasses
import marshal
import sys
from collections import defaultdict
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import CodeType
from typing import Any

# Bytecode is for one version of Python.
_FOLDER = f"methods.{sys.implementation.cache_tag}"


def use_methods(package: str) -> None:
    """Let `dataclasses` take methods from the folder of this package, if the build has made it for this Python."""
    folder = Path(package, _FOLDER)
    if not folder.is_dir():
        return

    @cache
    def read_methods(module: str) -> dict[bytes, CodeType]:
        try:
            # The file is a part of the layer, as bytecode is.
            content = (folder / module).read_bytes()
        except FileNotFoundError:
            return {}
        methods: dict[bytes, CodeType] = marshal.loads(content)  # noqa: S302
        return methods

    def execute(text: str, scope: dict[str, Any], names: dict[str, Any]) -> None:
        methods = read_methods(scope.get("__name__", "-"))
        exec((methods and methods.get(_key(text))) or _compiled(text), scope, names)  # noqa: S102

    _replace_exec(execute)


def write_methods(package: str) -> None:
    """Import all modules of a package that need nothing but Python, and store their methods in its folder.

    For a process of its own: methods of modules that it has imported before are not stored.
    """
    stored: defaultdict[str, dict[bytes, CodeType]] = defaultdict(dict)

    def execute(text: str, scope: dict[str, Any], names: dict[str, Any]) -> None:
        code = stored[scope.get("__name__", "-")][_key(text)] = _compiled(text)
        exec(code, scope, names)  # noqa: S102

    _replace_exec(execute)
    _import_all(package)
    folder = Path(package, _FOLDER)
    folder.mkdir()
    for module, methods in stored.items():
        # Version 2 notes nothing of what else is in memory: the same sources have to give the same bytes.
        (folder / module).write_bytes(marshal.dumps(methods, 2))


def _import_all(package: str) -> None:
    import importlib
    import pkgutil

    name = Path(package).name
    for module in pkgutil.walk_packages([package], f"{name}.", onerror=lambda _: None):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if f"{error.name}.".startswith(f"{name}."):
                raise


def _key(text: str) -> bytes:
    """Return the digest of a text: the layer is a quarter of a megabyte smaller than with the texts as keys."""
    return sha256(text.encode()).digest()


def _compiled(text: str) -> CodeType:
    # As `dataclasses` does it, without this module's `annotations`.
    return compile(text, "<string>", "exec", dont_inherit=True)


def _replace_exec(execute: Any) -> None:
    # `dataclasses` calls the builtin by its name, which a global of its module hides.
    vars(dataclasses)["exec"] = execute
