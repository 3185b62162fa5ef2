"""`docs/explanation/fidelity.md` names only tests and files that exist, and says for every behaviour what holds it."""

from __future__ import annotations

import ast
import re
from collections import Counter
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
# The kinds of sources that the head of the page explains, and those that a row names in words.
_SOURCE = re.compile(
    r"\b(model|guide|[Rr]eference|specification|schemas?|plugin source|issue threads|samples|RFC|pricing"
    r"|States Language|unverified|the same|seen with the client|translator|read in their sources|public code"
    r"|published|documented by|not a document|roadmap|package documentation|own rule|deduplicate|token in the model)\b",
)
# Behind "unverified", in the same sentence.
_CONSEQUENCE = re.compile(r"[^:;.|]*: \S")
_REASON = re.compile(rf"{NOTHING}( needed)?: \S")


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
    assert len(rows()) > 250
    assert [row for row in rows() if len(row) != 3 or not all(row)] == []
    assert faults(rows()) == []


def faults(rows: list[tuple[str, ...]]) -> list[tuple[str, str]]:
    """Return the rows that leave something open, and what."""
    found = []
    for row in rows:
        text = " | ".join(row)
        if not _SOURCE.search(row[1]):
            found.append((row[0], "no source"))
        if any(not _CONSEQUENCE.match(text, one.end()) for one in re.finditer("unverified", text)):
            found.append((row[0], "no consequence"))
        if not paths_in(row[2]) and not _REASON.match(row[2]):
            found.append((row[0], "no test, and no reason why"))
    return found


@pytest.mark.parametrize(
    ("source", "test", "fault"),
    [
        ("AWS does so", "`tests/contract/test_fidelity.py::rows`", "no source"),
        ("unverified", "`tests/contract/test_fidelity.py::rows`", "no consequence"),
        ("model, PutImage; for the rest unverified. Otherwise: x", "nothing: y", "no consequence"),
        ("model, PutImage", "nothing", "no test, and no reason why"),
        ("model, PutImage", "somebody looked", "no test, and no reason why"),
    ],
)
def test_a_row_that_leaves_something_open_is_noticed(source: str, test: str, fault: str) -> None:
    assert faults([("a claim", source, test)]) == [("a claim", fault)]
    assert faults([("a claim", "unverified: it would fail", "nothing: it is slow")]) == []


def test_no_behaviour_has_two_rows() -> None:
    claims = [row[0] for row in rows() if not row[0].startswith("…")]
    assert sorted(claim for claim, number in Counter(claims).items() if number > 1) == []


def test_a_test_file_is_named_with_its_test() -> None:
    files = [name for row in rows() for name in paths_in(row[2]) if name.startswith("tests/")]
    assert files
    assert [name for name in files if not name.rpartition("::")[2].startswith("test_")] == []


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
