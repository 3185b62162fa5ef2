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
# `set`, `read` and the like have one form; the third person is made of the rest.
VERBS = frozenset(
    """
    accept accumulate add admit allow announce answer append apply approve archive arrange ask assemble assert assign
    assume attach authenticate await balance begin bind block bound break bring build calculate call cancel cap carry catch
    change check choose claim clamp classify clean clear close collect combine come compare compile complete compose compress
    compute confirm connect consume contain continue convert copy count cover create cut damage decide declare decline
    decode decorate decompress deduplicate define delay delete deliver demand deny deploy derive describe destroy detect determine
    differ disable discard dispatch display divide do download draw drop dump edit emit enable encode end enforce enqueue
    ensure enter enumerate erase escape establish estimate evaluate examine exclude execute exit expand expect explain
    export expose extend extract fail fetch fill filter find finish flag flatten follow forbid forget forge forward format free
    freeze gather generate get give grant group guard guess halt handle hash have hide hold identify ignore import include
    increment index inform inherit initialize insert inspect install invoke issue iterate join judge keep know label launch leave let
    limit link list load locate lock log look loop lower make map mark match measure merge mint mirror model mount move
    name narrow negotiate normalize note notify observe offer open order override pack page parse pass patch pause perform
    permit persist pick place plan poll post prefer prepare present preserve prevent print probe process produce promote
    propose protect prove provide publish pull push put query quote raise rank re-read reach read rebuild receive
    recognize record redact reduce refer refuse register reject release rely remember remove rename render repeat replace replay replicate
    reply report represent request require reserve reset resolve respond restart restore restrict resume retain retry return reuse
    revoke rewrite roll round route run sample satisfy save say scan schedule score search select send separate serialize
    serve set settle share shorten show sign simulate sit skip sleep sort space split spell start state stop store stream strip submit
    substitute succeed suggest sum summarize supply swap switch take tally tell test throttle time total touch track
    translate traverse treat trim truncate try turn unite unpack unwrap unzip update upload use validate verify view visit
    wait wake walk want warn watch widen withdraw wrap write yield
    """.split()
)
# Folders that are not rewritten yet.
NOT_YET: tuple[str, ...] = FOLDERS


def files(folder: str) -> list[Path]:
    """The files of a folder which no longer folder of the list has."""
    inner = [ROOT / other for other in FOLDERS if other.startswith(folder + "/")]
    found = sorted((ROOT / folder).rglob("*.py"))
    return [file for file in found if not any(file.is_relative_to(other) for other in inner)]


def is_verb(word: str) -> bool:
    word = word.lower()
    forms = (word, word.removesuffix("s"), word.removesuffix("es"), re.sub("ies$", "y", word))
    return any(form in VERBS for form in forms)


def is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in function.decorator_list)


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Each docstring with its line, and whether it must begin with a verb: a function's, but for tests and properties."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                line = getattr(node, "lineno", 1)
                is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                yield line, text, is_function and not (is_property(node) or node.name.startswith("test_"))


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
