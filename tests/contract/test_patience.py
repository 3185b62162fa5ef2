"""No test is a race with the clock: what must come is waited for with one patience, and every request has its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS, eventually

ROOT = Path(__file__).parents[2]
FOLDERS = ("functions", "layers", "cli", "sandbox", "tests", "benchmarks", "tools")
FILES = sorted(
    path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts
)
TESTS = [path for path in FILES if path.is_relative_to(ROOT / "tests")]
# Also where they look: a limit that is one on an idle machine is none on a busy one.
WAITING = ("eventually", "communicate", "wait")


def calls(source: str, *words: str) -> Iterator[ast.Call]:
    """Yield the calls of a source that has one of the words."""
    if any(word in source for word in words):
        yield from (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))


def impatient(source: str) -> list[str]:
    """Return the calls of urllib3's function that give up after its default of three seconds."""
    return [
        ast.unparse(call)
        for call in calls(source, "urllib3")
        if ast.unparse(call.func) == "urllib3.request" and not any(k.arg == "timeout" for k in call.keywords)
    ]


def short(source: str) -> list[str]:
    """Waits with a limit of some seconds, written as a number."""
    return [
        ast.unparse(call)
        for call in calls(source, *WAITING)
        if ast.unparse(call.func).rpartition(".")[2] in WAITING
        for word in call.keywords
        if word.arg in ("timeout", "seconds", "patience")
        and isinstance(word.value, ast.Constant)
        and float(str(word.value.value)) < 30
    ]


def named(paths: list[Path], find: object) -> list[str]:
    assert callable(find)
    return [f"{path.relative_to(ROOT)}: {text}" for path in paths for text in find(path.read_text())]


def test_every_request_says_how_long_it_waits() -> None:
    assert len(FILES) > 300
    assert named(FILES, impatient) == []


def test_no_wait_of_a_test_ends_within_seconds() -> None:
    assert named(TESTS, short) == []


def test_impatient_calls_are_detected() -> None:
    assert impatient(
        "urllib3.request('GET', url, retries=False)\nurllib3.request('GET', url, timeout=9)"
    ) == ["urllib3.request('GET', url, retries=False)"]
    assert short("eventually(look, seconds=5)\neventually(look)\nprocess.wait(timeout=60)") == [
        "eventually(look, seconds=5)"
    ]


def test_eventually_returns_the_first_true_answer_or_fails() -> None:
    answers = iter([None, "", "there"])
    assert eventually(lambda: next(answers)) == "there"
    with pytest.raises(AssertionError, match="not within 0 s: the moon"):
        eventually(lambda: None, "the moon", 0.0)
    assert PATIENCE_SECONDS > 60
