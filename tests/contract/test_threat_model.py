"""The threat model names only what exists, and has for every threat what stops it and the test that holds it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contract.test_fidelity import NOTHING, is_there, paths_in

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/threat-model.md").read_text()
# The page leaves out where these are.
CORE = "layers/core/imagegate"
MODULE = re.compile(r"`((?!tests/|imagegate_cli/|events/)[a-z_]+/(?:[a-z_]+/)?[a-z_0-9]+\.py)`")


def rows(page: str) -> list[list[str]]:
    """Return the rows below each table's header."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if row[1:2] != ["what stops it"] and set(row) != {"---"}]


def test_every_test_and_file_that_the_page_names_exists() -> None:
    assert sorted(name for name in set(paths_in(PAGE)) if not is_there(name)) == []
    assert sorted(name for name in set(MODULE.findall(PAGE)) if not is_there(f"{CORE}/{name}")) == []


def test_every_threat_names_its_countermeasure_its_test_and_the_remaining_risk() -> None:
    assert len(rows(PAGE)) > 50
    for row in rows(PAGE):
        assert len(row) == 4, row
        assert all(row), row
        _, stop, held, _ = row
        tests = paths_in(held)
        assert tests or held == NOTHING, row
        assert all(name.startswith("tests/") and "::" in name for name in tests), row
        assert held != NOTHING or stop.startswith(NOTHING), row


@pytest.mark.parametrize("name", ["workflow/gone.py", "policy/file/gone.py", "workflow/watch/gone.py"])
def test_a_module_that_is_gone_is_noticed(name: str) -> None:
    assert MODULE.findall(f"| a | `{name}` | b | c |") == [name]
    assert not is_there(f"{CORE}/{name}")
