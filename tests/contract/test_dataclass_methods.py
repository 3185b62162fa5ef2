"""Methods of dataclasses that the build of the layer has compiled: the classes are the same, and start sooner."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LAYER = Path(__file__).parents[2] / "layers/core"
_WRITE = """
import sys
sys.path.append(sys.argv[1])
from imagegate.dataclass_methods import write_methods
write_methods(f"{sys.argv[1]}/{sys.argv[2]}")
"""
_DESCRIBE = """
import builtins, dataclasses, importlib, inspect, json, pkgutil, sys
compiled, compile_text = [], compile
def note(text, *arguments, **options):
    if isinstance(text, str) and "__create_fn__" in text[:60]:
        compiled.append(text)
    return compile_text(text, *arguments, **options)
builtins.compile = note
sys.path.insert(0, sys.argv[1])
import imagegate
from imagegate.dataclass_methods import use_methods
package = importlib.import_module(sys.argv[2])
use_methods(*package.__path__)
classes, fresh = {}, {}
for module in pkgutil.walk_packages(package.__path__, f"{sys.argv[2]}."):
    before = len(compiled)
    for name, kind in vars(importlib.import_module(module.name)).items():
        if isinstance(kind, type) and kind.__module__ == module.name and dataclasses.is_dataclass(kind):
            functions = {key: value for key, value in vars(kind).items() if inspect.isfunction(value)}
            classes[f"{module.name}.{name}"] = {
                key: [code.co_code.hex(), repr(code.co_varnames), repr(function.__annotations__)]
                for key, function in functions.items() for code in [function.__code__]
            }
    fresh[module.name] = len(compiled) - before
print(json.dumps([classes, fresh]))
"""


def copy_of_the_product(folder: Path) -> Path:
    shutil.copytree(
        LAYER / "imagegate",
        folder / "imagegate",
        ignore=shutil.ignore_patterns("__pycache__", "methods.*"),
    )
    return folder


def write(folder: Path, package: str = "imagegate") -> None:
    subprocess.run([sys.executable, "-ISB", "-c", _WRITE, str(folder), package], check=True)


def describe(folder: Path, package: str = "imagegate") -> tuple[dict[str, Any], dict[str, int]]:
    """Return the classes of all modules, and how many texts each module has compiled."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", _DESCRIBE, str(folder), package], check=True, stdout=subprocess.PIPE
    )
    classes, fresh = json.loads(done.stdout)
    return classes, fresh


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_product(tmp_path_factory.mktemp("layer"))


def test_all_classes_are_the_same_and_modules_without_libraries_compile_nothing(product: Path) -> None:
    before, _ = describe(product)
    write(product)
    after, compiled = describe(product)
    assert len(after) > 200
    assert after == before
    (stored,) = (product / "imagegate").glob("methods.*")
    without_libraries = {file.name for file in stored.iterdir()}
    assert len(without_libraries) > 100
    assert not [name for name, count in compiled.items() if count and name in without_libraries]


@pytest.fixture
def toy(product: Path) -> Path:
    package = product / "toy"
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir()
    (package / "__init__.py").touch()
    write_point(package, "x: int = 1")
    return package


def write_point(package: Path, fields: str) -> None:
    text = f"from dataclasses import dataclass\n\n@dataclass\nclass Point:\n    {fields}\n"
    (package / "point.py").write_text(text)


def test_a_class_that_has_changed_since_is_compiled_anew(product: Path, toy: Path) -> None:
    write(product, "toy")
    _, compiled = describe(product, "toy")
    assert compiled["toy.point"] == 0
    write_point(toy, "y: str")
    classes, compiled = describe(product, "toy")
    assert classes["toy.point.Point"]["__init__"][1] == "('self', 'y')"
    assert compiled["toy.point"] > 0


def test_the_same_sources_give_the_same_bytes(product: Path, toy: Path) -> None:
    write(product, "toy")
    (folder,) = toy.glob("methods.*")
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    shutil.rmtree(folder)
    write(product, "toy")
    assert first == {file.name: file.read_bytes() for file in folder.iterdir()}
    assert set(first) == {"toy.point"}


def test_a_module_that_cannot_be_imported_for_another_reason_fails_the_build(
    product: Path, toy: Path
) -> None:
    (toy / "wrong.py").write_text("import toy.missing\n")
    with pytest.raises(subprocess.CalledProcessError):
        write(product, "toy")
