"""The board in Chromium: on a phone and a desk, by day and at night, without scripts, by ear, and on paper."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagegate.findings.finding import Severity
from tests.component.approvals import finding
from tests.component.boards import fill
from tests.component.cli_gate import CliGate, gate
from tests.integration.browser import Browser, needed_chromium
from tests.integration.test_approval_page_browser import DESK, PHONE, SHAPES

__all__ = ["gate"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    needed_chromium()
    with Browser.running(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def page(gate: CliGate, tmp_path: Path) -> str:
    fill(gate)
    return made(gate, tmp_path)


def made(gate: CliGate, folder: Path) -> str:
    assert gate.call("board", "--out", str(folder)).code == 0
    return (folder / "index.html").as_uri()


@pytest.mark.parametrize(("width", "dark"), [*SHAPES, (320, False), (1900, False)])
def test_the_board_fits_and_asks_for_nothing_else(
    page: str, browser: Browser, width: int, dark: bool
) -> None:
    browser.shaped(width, dark=dark)
    browser.opens(page)
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.requests == [page]
    assert browser.complaints == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(15, 19, 23)") == dark  # its own style is not refused by its own policy


@pytest.mark.parametrize(("width", "dark"), SHAPES)
def test_axe_finds_nothing_against_the_board(page: str, browser: Browser, width: int, dark: bool) -> None:
    browser.shaped(width, dark=dark, scripts=True)
    browser.opens(page)
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.axe() == []


def test_a_link_to_an_application_opens_it(page: str, browser: Browser) -> None:
    browser.shaped(DESK)
    browser.opens(page)
    assert "Decision record" not in browser.text
    browser.evaluate("document.querySelector('tbody th a').click()")
    opened = browser.evaluate("document.querySelectorAll('details[open]').length")
    assert opened == 1


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_screen_reader_gets_tables_and_states(page: str, browser: Browser, width: int) -> None:
    browser.shaped(width)
    browser.opens(page)
    heard = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in browser.heard()]
    for role, name in (
        ("heading", "To do"),
        ("rowheader", "shop team-shop"),
        ("columnheader", "production"),
        ("link", "shop"),
        ("list", "Numbers"),
    ):
        assert (role, name) in heard, (role, name)


def test_hostile_names_are_text(gate: CliGate, browser: Browser, tmp_path: Path) -> None:
    evil = '"><script>document.title="owned"</script><img src=x onerror="document.title=1">'
    gate.judged("1.0", [finding(1, Severity.LOW, evil, evil, evil)])
    url = made(gate, tmp_path)
    browser.shaped(DESK, scripts=True)
    browser.opens(url)
    assert browser.evaluate("document.title").startswith("imagegate: ")
    assert browser.evaluate("document.scripts.length + document.images.length") == 0
    assert "<script>" in browser.text


def test_the_board_is_printed_with_everything(page: str, browser: Browser) -> None:
    browser.shaped(DESK)
    browser.opens(page)
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert "Decision record" in browser.text
    printed = browser.call("Page.printToPDF", printBackground=True)
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")
