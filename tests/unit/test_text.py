"""Text from outside is one printable line, JSON that can be printed, or no link."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.errors import ImageGateError, InvalidPolicyError
from imagegate.text import fit_texts, is_one_line, json_text, one_line, printable, subject_line, web_link
from tests.poison import NAMES, PAYLOADS

anything = st.text(st.characters(categories=None), max_size=60) | st.sampled_from(PAYLOADS)


@given(anything)
def test_any_text_is_one_printable_line(text: str) -> None:
    for shown in (printable(text), one_line(text), one_line(text, 10)):
        assert shown.isprintable()
        assert len(shown.splitlines()) <= 1
        assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        assert is_one_line(shown)
    assert len(one_line(text, 10)) <= 10


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=60).filter(is_one_line))
def test_printable_text_is_shown_unchanged(text: str) -> None:
    assert one_line(text) == printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\n\r\n  b", "a b"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202egnp", "\\u202egnp"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("a\u00a0b", "a b"),
        ("é 漢 👍\ufe0f", "é 漢 👍\ufe0f"),
    ],
)
def test_unprintable_text_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_the_spaces_of_a_column_stay() -> None:
    assert printable("Repository   shop") == "Repository   shop"


@given(anything)
def test_a_subject_has_a_form_that_sns_accepts(text: str) -> None:
    subject = subject_line(text)
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) < 100


@given(
    st.recursive(
        anything, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3)
    )
)
def test_json_says_the_same_and_can_be_printed(document: Any) -> None:
    for indent in (None, 2):
        written = json_text(document, indent=indent)
        assert json.loads(written) == json.loads(json.dumps(document))
        assert all(line.isprintable() and is_one_line(line) for line in written.split("\n"))


@pytest.mark.parametrize(
    "link", ["https://nvd.nist.gov/vuln/detail/CVE-1", "http://a.example:80/x?y=z#w", "HTTPS://A/"]
)
def test_a_link_is_followed_to_the_web(link: str) -> None:
    assert web_link(link) == link


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example",
        "https:",
        "https://",
        "https:///x",
        "https://a.example/\nx",
        'https://a.example/"onclick=x',
        "https://[bad/",
        "https://ex\u0430mple",
        *PAYLOADS,
    ],
)
def test_nothing_else_is_a_link(link: str) -> None:
    assert web_link(link) is None


@pytest.mark.parametrize("text", PAYLOADS, ids=NAMES)
def test_the_message_of_an_error_is_one_line(text: str) -> None:
    assert is_one_line(str(ImageGateError(f"shop: {text}")))
    assert len(str(InvalidPolicyError(text, text)).split("\n")) == 2


@given(
    st.lists(st.sampled_from(["x", "ж", "😀", "\\", "\n"]), min_size=1, max_size=9),
    st.sampled_from([1, 7, 1200]),
)
def test_texts_are_cut_so_that_all_of_them_fit(letters: list[str], number: int) -> None:
    texts = [letter * 5_000 for letter in letters] * number
    fitted = fit_texts(texts)
    assert len(json.dumps(fitted)) <= max(120_000, 80 * len(texts))
    assert all(text.startswith(cut.removesuffix("…")) for text, cut in zip(texts, fitted, strict=True))
    assert all(len(cut) > 4 and cut.endswith("…") for cut in fitted)
    assert fit_texts(["a", "ж" * 60]) == ["a", "ж" * 60]
