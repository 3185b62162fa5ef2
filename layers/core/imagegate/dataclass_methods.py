"""The compiled methods of dataclasses, from the build of the layer or from an earlier run of the command line.

Python writes the methods of a dataclass as text when the class is made, and compiles them: a fifth of a cold start.
Here each text is compiled once and stored, and `dataclasses` finds it. A text that is not stored is compiled as ever,
and the classes are the same: both `exec` what `dataclasses` would.
"""

from __future__ import annotations

import atexit
import dataclasses
import importlib
import marshal
import os
import sys
from collections import defaultdict
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from types import CodeType
from typing import Any

# Bytecode is for one version of Python.
_FOLDER = f"methods.{sys.implementation.cache_tag}"


def use_methods(package: str) -> None:
    """Let `dataclasses` take methods from the folder of this package, if the build has made it for this Python."""
    folder = Path(package, _FOLDER)
    if folder.is_dir():
        _Methods(folder).take_effect()


def write_methods(package: str, *libraries: str) -> None:
    """Import all modules of a package that need nothing but Python, and store their methods in its folder.

    `libraries`: modules that need nothing but Python, too; their methods are stored there as well. For a process of its
    own: methods of modules that it has imported before are not stored.
    """
    methods = _Methods(Path(package, _FOLDER))
    methods.take_effect()
    _import_all(package)
    for library in libraries:
        importlib.import_module(library)
    methods.write()


def keep_methods(package: str) -> None:
    """Let `dataclasses` take methods from a folder beside the bytecode of this package; store new ones at the exit.

    They are kept where and when Python keeps bytecode, so they need no more trust: both are a part of the program.
    """
    if sys.implementation.cache_tag is None:
        return
    folder = Path(cache_from_source(f"{package}/__init__.py")).with_name(_FOLDER)
    methods = _Methods(folder)
    methods.take_effect()
    if not sys.dont_write_bytecode:
        atexit.register(methods.write_if_possible)


class _Methods:
    """The compiled methods of modules in a folder, which has a file for each module."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored = cache(self._read)
        self._used: defaultdict[str, dict[bytes, CodeType]] = defaultdict(dict)
        self._incomplete: set[str] = set()

    def take_effect(self) -> None:
        # `dataclasses` calls the builtin by its name, which a global of its module hides.
        vars(dataclasses)["exec"] = self._execute

    def write(self) -> None:
        """Write the file of each module of which a method was not stored. Raises `OSError`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for module in self._incomplete:
            # Other processes may read and write the same file.
            unfinished = self._folder / f"{module}.{os.getpid()}"
            # Version 2 notes nothing of what else is in memory: the same sources have to give the same bytes.
            unfinished.write_bytes(marshal.dumps(self._used[module], 2))
            unfinished.replace(self._folder / module)

    def write_if_possible(self) -> None:
        with suppress(OSError):  # else the next run compiles them, too
            self.write()

    def _execute(self, text: str, scope: dict[str, Any], names: dict[str, Any]) -> None:
        module, key = scope.get("__name__", "-"), _key(text)
        code = self._stored(module).get(key)
        if code is None:
            # As `dataclasses` does it, without this module's `annotations`.
            code = compile(text, "<string>", "exec", dont_inherit=True)
            self._incomplete.add(module)
        self._used[module][key] = code
        exec(code, scope, names)  # noqa: S102

    def _read(self, module: str) -> dict[bytes, CodeType]:
        try:
            # The file is as trusted as the bytecode beside it.
            methods: dict[bytes, CodeType] = marshal.loads((self._folder / module).read_bytes())  # noqa: S302
        except (OSError, EOFError, ValueError, TypeError):
            return {}
        return methods


def _import_all(package: str) -> None:
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
    return sha256(MAGIC_NUMBER + text.encode()).digest()
