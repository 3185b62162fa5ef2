"""`docs/explanation/fidelity.md` names only tests and files that exist, and says for every behaviour what holds it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/fidelity.md").read_text()
# The first part of every path that the page may name in code type; other code type is of AWS.
_TOP = sorted(path.name for path in ROOT.iterdir() if not path.name.startswith("."))
_NAMED = re.compile(rf"`((?:{'|'.join(map(re.escape, _TOP))})(?:/[^`\s]*)?(?:::[\w:]+)?)`")
_HEADER = ("behaviour", "where it is documented", "what holds it here")
NOTHING = "nothing"


def rows() -> list[tuple[str, ...]]:
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    cells = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]
    return [row for row in cells if row != _HEADER and set(row) != {"---"}]


@cache
def definitions(path: Path) -> frozenset[str]:
    """`name` of every function, `Class::name` of every method."""
    tree = ast.parse(path.read_text())
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return frozenset(found)


def is_there(name: str) -> bool:
    file, _, definition = name.partition("::")
    path = ROOT / file
    return path.exists() and (not definition or definition in definitions(path))


def paths_in(text: str) -> list[str]:
    return _NAMED.findall(text)


def test_every_test_and_file_that_the_page_names_exists() -> None:
    assert sorted(name for name in set(paths_in(PAGE)) if not is_there(name)) == []


def test_every_link_on_the_page_has_a_target() -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGE)
    assert [link for link in links if not (ROOT / "docs/explanation" / link).exists()] == []


def test_every_behaviour_names_its_source_and_its_test() -> None:
    assert len(rows()) > 50
    for row in rows():
        assert len(row) == 3, row
        assert all(row), row
        assert paths_in(row[2]) or row[2].startswith(NOTHING), row


def test_a_test_file_is_named_with_its_test() -> None:
    files = [name for row in rows() for name in paths_in(row[2]) if name.startswith("tests/")]
    assert files
    assert [name for name in files if "::" not in name] == []


@pytest.mark.parametrize(
    "name",
    [
        "tests/contract/test_gone.py::test_x",
        "tests/contract/test_fidelity.py::test_gone",
        "tests/contract/test_template.py::TestFunction::test_gone",
        "sandbox/aws/gone.py",
    ],
)
def test_a_deleted_image_is_noticed(name: str) -> None:
    assert paths_in(f"| a | b | `{name}` |") == [name]
    assert not is_there(name)
