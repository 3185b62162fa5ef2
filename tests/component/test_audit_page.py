"""The report of an audit as a page: complete without scripts, escaped, and with nothing from elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

from imagegate.audit.checks import CheckSeverity
from imagegate.audit.finding import FindingState
from imagegate.audit.report import AuditReport
from imagegate.html_page import source_hash
from imagegate_cli.audit.controls import load_controls
from imagegate_cli.audit.documents import to_markdown
from imagegate_cli.audit.formats import to_table
from imagegate_cli.audit_page.page import to_html
from imagegate_cli.audit_page.trend import TrendPoint
from tests.component.audit_reports import audit_report
from tests.fakes import NOW
from tests.poison import PAYLOADS, filled


class _Read(HTMLParser):
    """The text of a page, its tags, and the rows of its table of findings."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tags: list[str] = []
        self.rows: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr" and "data-severity" in dict(attrs):
            self.rows.append(str(dict(attrs)["id"]))

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())


def test_the_table_has_every_finding_the_gravest_first() -> None:
    report = audit_report()
    rows = _Read(to_html(report)).rows
    assert sorted(rows) == sorted(one.id for one in report.findings)
    by_id = {one.id: one for one in report.findings}
    order = [(one.state, one.check.severity.rank) for one in map(by_id.__getitem__, rows)]
    acting = [rank for state, rank in order if state in (FindingState.NEW, FindingState.OPEN)]
    assert acting == sorted(acting)
    assert [state for state, _ in order[-2:]] == [FindingState.WAIVED, FindingState.RESOLVED]


def test_the_page_says_what_is_wrong_who_acts_and_how() -> None:
    text = _Read(to_html(audit_report())).text
    for part in (
        "1 critical 1 high 3 medium 1 low 1 new since the report before 1 resolved since then 1 waived",
        "1 results not assessed",
        "3 repositories, 57 images",
        "the key of its build leaked",
        'imagegate rollback shop production --reason "…"',
        "nobody: name an owner in the policy",
        "until 2026-12-11: rebuilt in December",
        "Everybody with an AWS account has access repository-public critical 3 0 0 0",
        "ec2 refuses to answer",
    ):
        assert part in text, part
    owners = text[text.index("Who must act") : text.index("Findings")]
    assert owners.index("team-shop") < owners.index("nobody") < owners.index("team-cart")


def test_controls_say_what_they_count_and_claim_no_compliance() -> None:
    report = audit_report()
    text = _Read(to_html(report, supports=load_controls().weigh(report))).text
    for part in (
        "4 controls: 2 with failed results, 0 without, 2 not assessed",
        "they prove no compliance",
        "some fail 0 of 2 results pass (0 %), 2 failed",
        "some fail 3 of 4 results pass (75 %), 1 failed",
        "waived 0 of 1 results pass (0 %), 1 waived",
        "not assessed not assessed: no check had a result",
        "supported by repository-tags-mutable (published)",
    ):
        assert part in text, part
    assert "Controls" not in _Read(to_html(report)).text


def test_the_cost_is_one_sentence_in_each_format_for_people() -> None:
    measures = {"storageBytes": 2 * 1024**3, "storageBytesAtMost": 1024**3, "cleanupBytesAtMost": 1024**3}
    measures |= {"firstScansCentsAMonth": 90, "scanAgainCentsEachTime": 25}
    report = audit_report()
    assert "Storage" not in _Read(to_html(report)).text
    report = replace(report, results=replace(report.results, measures=measures))
    sentence = (
        "Storage: at most 3.0 GiB, $0.30 a month; a clean-up would save at most 1.0 GiB, $0.10 a month;"
        " scanning: at most $0.90 a month for new images, and $0.25 each time that all are scanned again"
    )
    assert sentence in _Read(to_html(report)).text
    assert sentence in to_table(report)
    assert sentence in to_markdown(report).replace("\\", "")


def test_reports_before_make_a_trend() -> None:
    assert "the next one has a trend" in to_html(audit_report())
    point = TrendPoint(NOW - timedelta(days=7), Counter({CheckSeverity.HIGH: 5}))
    html = to_html(audit_report(), [point])
    assert "Findings over time: 5 on 2026-11-14, 6 on 2026-11-21" in html
    assert html.count("<svg") == 2


def test_nothing_runs_or_is_fetched_but_its_own_script() -> None:
    html = to_html(audit_report(), [TrendPoint(NOW - timedelta(days=7), Counter())])
    [script] = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1].replace("&#39;", "'") == (
        f"default-src 'none'; style-src {source_hash(style)}; script-src {source_hash(script)};"
        " form-action 'none'; base-uri 'none'"
    )
    markup = html.replace(script, "")
    assert not re.search(r"<link|<img|<iframe|url\(|@import| on[a-z]+=| style=", markup)
    assert set(re.findall(r'href="#([^"]*)"', html)) <= set(re.findall(r' id="([^"]*)"', html))


def test_an_audit_without_findings_has_a_page() -> None:
    report = audit_report()
    text = _Read(to_html(replace(report, results=replace(report.results, findings=())))).text
    assert "Nobody: no finding is open." in text


def test_every_value_is_text() -> None:
    def page(text: str) -> _Read:
        found = tuple(
            replace(one, owner=text, detail=text, waiver_reason=text, evidence=(text,))
            for one in audit_report().findings
        )
        found = tuple(replace(one, resource=replace(one.resource, tag=text, stage=text)) for one in found)
        report = filled(AuditReport, text)
        return _Read(to_html(replace(report, results=replace(report.results, findings=found))))

    clean = page("plain").tags
    for text in PAYLOADS:
        assert page(text).tags == clean, text
