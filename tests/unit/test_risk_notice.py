"""Messages about risks: short enough whatever comes, one line for each text, and the words that lead out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from imagegate.findings.finding import Severity
from imagegate.notices.message import Message, as_sns_message
from imagegate.notices.risk.notice import many_risks, risk_began, risk_ended
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.revocation import RunsIn
from imagegate.risk.risk import NewerRelease, Risk, RiskFinding, RiskState
from tests.unit.samples import NOON

LONG = "✓" * 1000
# Amazon SNS API reference, Publish.
LARGEST = 256 * 1024

RISK = Risk(
    image=ImageRef("shop-production", Digest.of(b"image")),
    stage="production",
    tags=("1.4",),
    state=RiskState.AT_RISK,
    since=NOON,
    looked_at=NOON,
    policy=Digest.of(b"policy"),
    findings=(RiskFinding("CVE-2026-1", "openssl", Severity.CRITICAL, "3.0.9"),),
    why=("1 CRITICAL (at most 0): CVE-2026-1 (openssl 3.0.1)",),
    remedies=("upgrade openssl to 3.0.9: removes 1",),
)
HUGE = replace(
    RISK,
    tags=tuple(f"{number:0128}" for number in range(1000)),
    findings=tuple(RiskFinding(LONG, f"{LONG}{number}", Severity.HIGH, LONG) for number in range(1000)),
    why=(LONG,) * 1000,
    remedies=(LONG,) * 1000,
    runs=tuple(RunsIn(f"{LONG}{number}", 1, service=LONG) for number in range(1000)),
    newer=tuple(NewerRelease(RISK.image, (f"{number:0128}",) * 1000, is_held=True) for number in range(100)),
)


@pytest.mark.parametrize(
    "message",
    [
        risk_began(HUGE, is_loud=True),
        risk_began(replace(HUGE, state=RiskState.NOT_WATCHED), is_loud=True),
        risk_ended(HUGE, LONG, NOON, is_loud=True),
        many_risks([HUGE] * 1000, 1000, NOON),
    ],
    ids=["at risk", "not watched", "over", "many"],
)
def test_a_message_fits_whatever_comes(message: Message) -> None:
    assert len(as_sns_message(message).encode()) < LARGEST
    assert len(message.subject) <= 100
    assert message.subject.isascii()


def test_texts_from_outside_stay_on_their_line() -> None:
    bad = RiskFinding("CVE-1\nBcc: x", "a\r\nb", Severity.LOW, "1\x1b[31m")
    message = risk_began(replace(RISK, findings=(bad,), why=("a\nb",), remedies=("c\nd",)), is_loud=True)
    plain = risk_began(RISK, is_loud=True)
    assert message.text.count("\n") == plain.text.count("\n")
    assert "\x1b" not in message.text


def test_without_a_release_that_has_the_fix_the_message_says_what_to_build_or_to_accept() -> None:
    text = risk_began(RISK, is_loud=True).text
    assert "No release of the application is without it. Build one:" in text
    assert "upgrade openssl to 3.0.9" in text
    waive = "imagegate decide waive shop-production --cve CVE-2026-1 --package openssl --reason TEXT --expires 30d"
    assert waive in text
    assert "do not see it run" in text


def test_a_held_release_with_the_fix_is_to_be_approved() -> None:
    newer = NewerRelease(ImageRef("shop-staging", Digest.of(b"new")), ("1.5",), is_held=True)
    message = risk_began(replace(RISK, newer=(newer,)), is_loud=True)
    assert "imagegate decide approve shop-staging:1.5" in message.text
    assert message.detail["needsBuild"] is False


def test_the_one_mail_about_many_begins_with_those_that_run() -> None:
    runs = replace(RISK, tags=("2.0",), runs=(RunsIn("cluster", 3),))
    unwatched = replace(RISK, state=RiskState.NOT_WATCHED, findings=(), why=("expired",), tags=("0.1",))
    message = many_risks([unwatched, RISK, runs], 1, NOON)
    rows = [line for line in message.lines if line.startswith("  shop-")]
    assert [row.split()[0] for row in rows] == [
        "shop-production:2.0:",
        "shop-production:1.4:",
        "shop-production:0.1:",
    ]
    assert message.subject == "AT RISK: 2 released images, 1 of them run"


def test_a_risk_is_news_once_for_the_same_vulnerabilities() -> None:
    more = replace(RISK, findings=(*RISK.findings, RiskFinding("CVE-2026-2", "zlib", Severity.HIGH)))
    later = replace(RISK, looked_at=NOON + timedelta(days=1))
    assert RISK.is_news_after(None)
    assert more.is_news_after(RISK)
    assert not RISK.is_news_after(more)
    assert not later.is_news_after(RISK)
    assert later.fingerprint == RISK.fingerprint != more.fingerprint
