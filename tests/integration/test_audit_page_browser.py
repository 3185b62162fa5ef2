"""The report of an audit in Chromium: on a phone and a desk, with its script and without, and on paper."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from imagegate.audit.checks import CheckSeverity
from imagegate_cli.audit.controls import load_controls
from imagegate_cli.audit_page.page import to_html
from imagegate_cli.audit_page.trend import TrendPoint
from tests.component.audit_reports import audit_report
from tests.fakes import NOW
from tests.integration.browser import Browser, needed_chromium
from tests.integration.test_approval_page_browser import DESK, SHAPES


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    needed_chromium()
    with Browser.running(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def page(tmp_path: Path) -> str:
    points = [TrendPoint(NOW - timedelta(days=n), Counter({CheckSeverity.HIGH: n})) for n in (14, 7)]
    file = tmp_path / "audit.html"
    file.write_text(to_html(audit_report(), points, load_controls().weigh(audit_report())), encoding="utf-8")
    return file.as_uri()


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize(("width", "dark"), [*SHAPES, (320, False), (1900, False)])
def test_the_report_fits_and_asks_for_nothing_else(
    page: str, browser: Browser, width: int, dark: bool, scripts: bool
) -> None:
    browser.shaped(width, dark=dark, scripts=scripts)
    browser.opens(page)
    assert browser.requests == [page]
    assert browser.complaints == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "dark"), SHAPES)
def test_axe_finds_nothing_against_the_report(page: str, browser: Browser, width: int, dark: bool) -> None:
    browser.shaped(width, dark=dark, scripts=True)
    browser.opens(page)
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.axe() == []


A4 = 700  # the pixels of its width between the margins
ROWS = "[...document.querySelectorAll('.findings tbody tr')].filter(row => !row.hidden)"


def test_the_table_filters(page: str, browser: Browser) -> None:
    browser.shaped(DESK, scripts=True)
    browser.opens(page)
    for field, value, number in (("severity", "medium", 4), ("owner", "team-cart", 1), ("text", "old-", 0)):
        browser.evaluate(
            f"field = document.querySelector('[name={field}]'); field.value = '{value}';"
            "field.dispatchEvent(new Event('input'))"
        )
        assert browser.evaluate(f"{ROWS}.length") == number
    assert browser.evaluate("document.getElementById('shown').textContent") == "0 of 8 findings"


def test_the_table_sorts_by_severity_not_by_its_letters(page: str, browser: Browser) -> None:
    browser.shaped(DESK, scripts=True)
    browser.opens(page)
    first = f"{ROWS}[0].dataset.severity"
    for expected, sort in (("critical", "ascending"), ("low", "descending")):
        browser.evaluate("document.querySelector('.findings thead button').click()")
        assert browser.evaluate(first) == expected
        assert browser.evaluate("document.querySelector('.findings th').getAttribute('aria-sort')") == sort


def test_without_its_script_there_are_all_rows_and_no_controls(page: str, browser: Browser) -> None:
    browser.shaped(DESK)
    browser.opens(page)
    assert browser.evaluate(f"{ROWS}.length") == 8
    assert browser.evaluate("document.querySelector('.filters').hidden") is True


def test_the_report_is_printed(page: str, browser: Browser) -> None:
    browser.shaped(A4, scripts=True)
    browser.opens(page)
    night = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.call("Emulation.setEmulatedMedia", media="print", features=night)

    def style(selector: str, name: str) -> str:
        return str(browser.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{name}"))

    assert style(".filters", "display") == "none"
    assert style("body", "color") == "rgb(22, 32, 43)"  # dark on white paper
    assert style(".findings tbody tr", "display") == "table-row"  # not folded as on a phone
    assert style(".findings thead", "display") == "table-header-group"
    assert "supported by repository-scan-off" in browser.text  # what is folded on a screen
    printed = browser.call("Page.printToPDF", printBackground=True)
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")
