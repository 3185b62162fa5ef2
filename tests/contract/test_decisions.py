"""`docs/adr/`: each decision that lasts has a number of its own, and says what it has to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
DECISIONS = sorted((DOCS / "adr").glob("[0-9]*.md"))
PARTS = ["Status", "Context", "Decision", "Consequences"]


def parts(text: str) -> list[str]:
    return [part for part in re.findall(r"^\*\*(\w+)\.?\*\*", text, re.MULTILINE) if part in PARTS]


def test_no_two_decisions_have_one_number() -> None:
    numbers = [path.name[:4] for path in DECISIONS]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_number_and_all_its_parts(path: Path) -> None:
    text = path.read_text()
    assert re.fullmatch(r"[0-9]{4}-[a-z0-9-]+\.md", path.name)
    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert parts(text) == PARTS


def test_a_part_that_is_missing_is_noticed() -> None:
    assert parts(DECISIONS[0].read_text().replace("**Context.**", "Context")) != PARTS


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: path.stem)
def test_a_decision_that_is_named_exists(page: Path) -> None:
    numbers = {path.name[:4] for path in DECISIONS}
    named = re.findall(r"\bADR ([0-9]+)", page.read_text())
    assert [number for number in named if f"{int(number):04}" not in numbers] == []
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
