"""The measurable part of our style of English: how docstrings begin, and phrases that a reader stumbles over."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "layers/core/imagegate/approval_page",
    "layers/core/imagegate/audit",
    "layers/core/imagegate/aws",
    "layers/core/imagegate/deployment",
    "layers/core/imagegate/events",
    "layers/core/imagegate/evidence",
    "layers/core/imagegate/findings",
    "layers/core/imagegate/gate",
    "layers/core/imagegate/grants",
    "layers/core/imagegate/notation",
    "layers/core/imagegate/notices",
    "layers/core/imagegate/oci",
    "layers/core/imagegate/policy",
    "layers/core/imagegate/release",
    "layers/core/imagegate/risk",
    "layers/core/imagegate/workflow",
    "layers/core/imagegate",
    "cli",
    "functions",
    "sandbox",
    "benchmarks",
    "tools",
    "tests",
)
# A sentence that begins so has no subject that a reader can hold on to.
RIDDLE = re.compile(r"(What|Whoever|Whatever|Of|None|Whom?|Whose|Whether|Where|How|Once more|Also|Not|As)\b")
RIDDLE_LATER = re.compile(r"(What|Whoever|Whatever|Of|None)\b")
STUMBLES = re.compile(
    r"\b(?:is|are|was|were|be|been) (?:told|asked)\b|\bstands?\b|\bstood\b|\bl(?:ies|ay|ie) in\b|\bcomes? to nothing\b"
    r"|\bbecomes? of\b|\bbecame of\b"
)
# The plain form of each; the third person is made of it.
VERBS = frozenset((Path(__file__).parent / "verbs.txt").read_text().split())
# Folders that are not rewritten yet.
NOT_YET: tuple[str, ...] = ()


def files(folder: str) -> list[Path]:
    """Return the files of a folder that are in no longer folder of the list."""
    inner = [ROOT / other for other in FOLDERS if other.startswith(folder + "/")]
    found = sorted((ROOT / folder).rglob("*.py"))
    return [file for file in found if not any(file.is_relative_to(other) for other in inner)]


def is_verb(word: str) -> bool:
    word = word.lower()
    forms = (word, word.removesuffix("s"), word.removesuffix("es"), re.sub("ies$", "y", word))
    return any(form in VERBS for form in forms)


def begins_with_a_verb(function: ast.FunctionDef) -> bool:
    """Return False for properties, and for tests and recorded behaviours, which state rules."""
    decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
    is_statement = any("property" in one or one.startswith("behaviour(") for one in decorators)
    return not is_statement and not function.name.startswith("test_")


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Yield each docstring with its line, and whether it must begin with a verb: not of tests, properties, classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                line = getattr(node, "lineno", 1)
                yield line, text, isinstance(node, ast.FunctionDef) and begins_with_a_verb(node)


def comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def faults(file: Path) -> Iterator[str]:
    source = file.read_text()
    where = file.relative_to(ROOT)
    for line, text, is_function in docstrings(ast.parse(source)):
        first = re.match(r"`?([\w-]+)", text)
        for position, sentence in enumerate(re.split(r"(?<=[.:;])\s+", text)):
            if (RIDDLE if position == 0 else RIDDLE_LATER).match(sentence):
                yield f"{where}:{line}: a sentence begins with {sentence.split()[0]!r}: {sentence[:60]!r}"
        if is_function and first and not is_verb(first[1]):
            yield f"{where}:{line}: no verb first: {text.splitlines()[0][:70]!r}"
        if found := STUMBLES.search(text):
            yield f"{where}:{line}: {found[0]!r}"
    for line, text in comments(source):
        if found := STUMBLES.search(text):
            yield f"{where}:{line}: {found[0]!r}"


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder not in NOT_YET])
def test_docstrings_and_comments_are_plain_english(folder: str) -> None:
    found = [fault for file in files(folder) for fault in faults(file)]
    assert not found, "\n" + "\n".join(found)
