"""The approval page in Chromium, as people use it: without scripts, on a phone, in the dark, by keyboard, by ear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagegate.findings.finding import Severity
from imagegate.grants.approval import Choice
from imagegate.grants.approval_link import Purpose
from tests.component.approvals import ANN, BEN, Waiting, finding
from tests.integration.browser import Browser, needed_chromium
from tests.integration.page_server import served

PHONE, DESK = 360, 1000
EVERY = [severity for severity in Severity if severity is not Severity.CRITICAL]
SHAPES = [(PHONE, False), (PHONE, True), (DESK, False), (DESK, True)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    needed_chromium()
    with Browser.running(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    made = Waiting(monkeypatch)
    made.released()
    return made


@pytest.fixture
def page(gate: Waiting) -> Iterator[str]:
    with served(gate) as url:
        yield f"{url}?t="


def links(gate: Waiting) -> Iterator[tuple[str, str]]:
    """Yield one of each kind of page: its name and its token."""
    release = gate.waits()
    gate.decides(release, BEN, reason="tested on the canary")
    yield "shows", gate.link(release)
    yield "approves", gate.link(release, Purpose.APPROVE)
    yield "rejects", gate.link(release, Purpose.REJECT)
    gate.decides(release, ANN, Choice.REJECT)
    yield "is over", gate.link(release, Purpose.APPROVE)
    yield "refuses", "1.nonsense.nonsense"


@pytest.mark.parametrize(("width", "dark"), SHAPES)
def test_a_page_is_readable_at_every_size_and_asks_for_nothing_else(
    gate: Waiting, page: str, browser: Browser, width: int, dark: bool, tmp_path: Path
) -> None:
    browser.shaped(width, dark=dark)
    for name, token in links(gate):
        browser.opens(page + token)
        assert browser.requests == [page + token], name
        assert [text for text in browser.complaints if "status of 4" not in text] == [], name
        assert browser.evaluate("document.documentElement.scrollWidth") <= width, name
        assert browser.evaluate("document.title"), name
        background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(20, 23, 27)") == dark, (
            name
        )  # its own style is not refused by its own policy
        file = tmp_path / f"{name}.png"
        browser.screenshot(file)
        assert file.stat().st_size > 5_000


@pytest.mark.parametrize(("width", "dark"), SHAPES)
def test_axe_finds_nothing_against_it(
    gate: Waiting, page: str, browser: Browser, width: int, dark: bool
) -> None:
    browser.shaped(width, dark=dark, scripts=True)
    for name, token in links(gate):
        browser.opens(page + token)
        assert browser.axe() == [], name


def test_axe_would_find_something(page: str, browser: Browser) -> None:
    browser.shaped(PHONE, scripts=True)
    browser.opens(page)
    browser.evaluate(
        "document.querySelector('main').innerHTML += '<img src=\"data:,\"><p style=color:#ddd>x</p>'"
    )
    assert "image-alt" in dict(browser.axe())


def test_the_page_works_by_keyboard_and_without_scripts(gate: Waiting, page: str, browser: Browser) -> None:
    token = gate.link(gate.waits(), Purpose.APPROVE)
    gate.decider.answer = {"standing": "approved", "by": ANN}
    browser.shaped(DESK)
    browser.opens(page + token)
    stops = []
    for _ in range(3):
        browser.presses("Tab")
        stops.append(browser.focused)
        outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", stops  # where one is can be seen
        if browser.focused == "reason":
            browser.types("tested by hand\nand looked at")
    assert stops == ["A", "reason", "BUTTON"]
    assert gate.decider.asked == []
    browser.presses("Enter", loads=True)
    assert gate.decider.asked == [(token, "tested by hand and looked at")]
    assert "It goes to staging. Recorded as ann@example.com." in browser.text
    assert token not in browser.evaluate("location.href")


def test_a_required_reason_cannot_be_left_out(gate: Waiting, page: str, browser: Browser) -> None:
    gate.asks(replace(gate.terms, needs_reason=True))
    browser.shaped(PHONE)
    browser.opens(page + gate.link(gate.waits(), Purpose.REJECT))
    assert browser.evaluate("document.forms[0].checkValidity()") is False
    assert gate.decider.asked == []


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_screen_reader_gets_tables_headings_and_the_purpose_of_the_button(
    gate: Waiting, page: str, browser: Browser, width: int
) -> None:
    """The same where the tables are folded."""
    browser.shaped(width)
    browser.opens(page + gate.link(gate.waits(), Purpose.APPROVE))
    heard = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in browser.heard()]
    for role, name in (
        ("main", ""),
        ("heading", "Approve shop-dev:1.4 for staging"),
        ("heading", "What it changes in staging"),
        ("table", "Added, the gravest first"),
        ("rowheader", "CVE-2026-2001"),
        ("columnheader", "Severity"),
        ("form", "Let it into staging?"),
        ("textbox", "Reason (optional)"),
        ("button", "Approve"),
        ("link", "To the decision"),
    ):
        assert (role, name) in heard, (role, name)
    assert {"cell", "row"} <= {role for role, _ in heard}


def test_hostile_input_is_text_in_a_real_browser_too(gate: Waiting, page: str, browser: Browser) -> None:
    evil = '"><script>document.title="owned"</script><img src=/owned onerror="document.title=1">'
    release = gate.waits(tag=evil, findings=[finding(1, Severity.HIGH, evil, evil, evil)])
    gate.decides(release, BEN, reason=evil)
    browser.shaped(DESK, scripts=True)
    browser.opens(page + gate.link(release))
    assert browser.evaluate("document.title") == f"Approval: shop-dev:{evil} for staging"
    assert len(browser.requests) == 1
    assert browser.evaluate("document.scripts.length + document.images.length") == 0
    assert browser.text.count("<script>") >= 4


def test_the_pages_policy_stops_an_injected_script(gate: Waiting, page: str, browser: Browser) -> None:
    browser.shaped(DESK, scripts=True)
    browser.opens(page + gate.link(gate.waits()))
    browser.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.owned = 1';"
        "document.body.append(s); const i = new Image(); i.src = '/owned'; document.body.append(i);"
    )
    assert browser.evaluate("window.owned === undefined") is True
    assert len(browser.requests) == 1
    assert len([text for text in browser.complaints if "Content Security Policy" in text]) == 2


def test_long_names_break_instead_of_hiding_something(gate: Waiting, page: str, browser: Browser) -> None:
    long = "a" * 128
    names = "p" * 200, "v" * 200, "f" * 200
    release = gate.waits(
        tag=long, findings=[finding(n, severity, *names) for n, severity in enumerate(EVERY)]
    )
    gate.decides(
        release, "arn:aws:sts::123456789012:assumed-role/" + "r" * 64 + "/" + "s" * 64, reason="w" * 500
    )
    for width in (320, PHONE, 700, DESK):  # 320: as small as WCAG 1.4.10 asks for
        browser.shaped(width)
        for purpose in Purpose:
            browser.opens(page + gate.link(release, purpose))
            assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_severities_are_never_broken(gate: Waiting, page: str, browser: Browser) -> None:
    release = gate.waits(findings=[finding(n, severity, "openssl", "3") for n, severity in enumerate(EVERY)])
    for width in (320, PHONE, DESK):
        browser.shaped(width)
        browser.opens(page + gate.link(release))
        heights = browser.evaluate("[...document.querySelectorAll('.short')].map(cell => cell.clientHeight)")
        assert max(heights) < 45, width  # one line
