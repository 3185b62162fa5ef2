"""Methods of dataclasses that are compiled once: the classes are the same, and start sooner."""

from __future__ import annotations

import json
import os
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
write_methods(f"{sys.argv[1]}/{sys.argv[2]}", *sys.argv[3:])
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


def write(folder: Path, package: str = "imagegate", *libraries: str) -> None:
    command = [sys.executable, "-ISB", "-c", _WRITE, str(folder), package, *libraries]
    subprocess.run(command, check=True)


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


def test_methods_of_a_library_are_stored_with_those_of_the_package(product: Path, toy: Path) -> None:
    library = product / "library"
    library.mkdir()
    (library / "__init__.py").touch()
    write_point(library, "x: int = 1")
    write(product, "toy", "library.point")
    (folder,) = toy.glob("methods.*")
    assert {file.name for file in folder.iterdir()} == {"toy.point", "library.point"}
    assert (folder / "library.point").read_bytes() == (folder / "toy.point").read_bytes()


def test_a_module_that_cannot_be_imported_for_another_reason_fails_the_build(
    product: Path, toy: Path
) -> None:
    (toy / "wrong.py").write_text("import toy.missing\n")
    with pytest.raises(subprocess.CalledProcessError):
        write(product, "toy")


# The command line


_RUN = """
import builtins, sys
sys.path.insert(0, sys.argv[1])
import toy
from imagegate.dataclass_methods import keep_methods
keep_methods(*toy.__path__)
compiled, compile_text = [], compile
builtins.compile = lambda text, *rest, **more: compiled.append(text) or compile_text(text, *rest, **more)
import toy.point
compiled = [text for text in compiled if isinstance(text, str)]  # not the module itself
sys.stdout.write(f"{len(compiled)} {toy.point.Point.__init__.__code__.co_varnames}")
"""


def run(folder: Path, **variables: str) -> tuple[int, str]:
    """Return how many texts a process has compiled, and the arguments of the class."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(folder)],
        check=True,
        capture_output=True,
        text=True,
        env=environment | variables,
    )
    assert done.stderr == ""
    number, _, arguments = done.stdout.partition(" ")
    return int(number), arguments


def kept_by(package: Path) -> Path:
    (folder,) = package.glob("__pycache__/methods.*")
    return folder / "toy.point"


def test_the_second_run_of_the_command_line_compiles_nothing(product: Path, toy: Path) -> None:
    first, arguments = run(product)
    assert first > 0
    assert run(product) == (0, arguments)


def test_a_class_that_has_changed_is_compiled_and_kept_anew(product: Path, toy: Path) -> None:
    run(product)
    write_point(toy, 'renamed: str = "longer, so that Python sees the change within a second"')
    number, arguments = run(product)
    assert number > 0
    assert arguments == "('self', 'renamed')"
    assert run(product) == (0, arguments)


@pytest.mark.parametrize("content", [b"", b"half", b"\xe3"])
def test_a_damaged_file_is_as_none(product: Path, toy: Path, content: bytes) -> None:
    whole = run(product)
    kept_by(toy).write_bytes(content)
    assert run(product) == whole
    assert run(product) == (0, whole[1])


def test_methods_are_kept_where_and_when_bytecode_is(product: Path, toy: Path, tmp_path: Path) -> None:
    run(product, PYTHONDONTWRITEBYTECODE="1")
    assert not (toy / "__pycache__").exists()
    run(product, PYTHONPYCACHEPREFIX=str(tmp_path))
    assert not (toy / "__pycache__").exists()
    assert len(list(tmp_path.rglob("methods.*/toy.point"))) == 1


def test_a_folder_that_cannot_be_written_is_no_error(product: Path, toy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run(product, PYTHONPYCACHEPREFIX=str(tmp_path / "file"))[0] > 0


def test_the_command_line_keeps_its_methods() -> None:
    program = "import imagegate_cli, dataclasses; print(dataclasses.exec.__self__._folder)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert Path(done.stdout.strip()).parts[-3:-1] == ("imagegate_cli", "__pycache__")
