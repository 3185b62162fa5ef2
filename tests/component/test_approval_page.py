"""The approval page: what it shows, what it refuses and how, and that looking at it changes nothing."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest

from imagegate.approval_page.http import ConfirmDecision, parse_request
from imagegate.errors import ServiceUnavailableError, ThrottledError
from imagegate.findings.finding import Severity
from imagegate.gate.facts import BaseImage, Evidence, ImageFacts, PlatformFacts
from imagegate.grants.approval import Choice
from imagegate.grants.approval_link import NotDecidedError, Purpose
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.policy import Mode
from imagegate.policy.waiver import Waiver
from imagegate.release.release import CurrentRelease, Outcome, Release, ReleaseId, StartReason
from imagegate.release.revocation import Revocation
from tests.component.approvals import AFTER, ANN, BEN, CI, HANDLER, Waiting, event, finding
from tests.fakes import DEV, NOW, STAGING, FakeApprovalLinks

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>&amp;{{ 7*7 }}'


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    return Waiting(monkeypatch)


class _Text(HTMLParser):
    """The text of a page, and its tags and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())


def read(answer: dict[str, Any]) -> str:
    return _Text(answer["body"]).text


# What is shown


def test_everything_that_a_decision_rests_on_is_on_the_page(gate: Waiting) -> None:
    before, release = gate.released(), gate.waits()
    gate.decides(release, BEN, reason="tested on the canary")
    answer = gate.opens(gate.link(release))
    shown = read(answer)
    assert answer["statusCode"] == 200
    for text in (
        "Approval of shop-dev:1.4 for staging",
        str(release.image.digest),
        "Waits: 2 approvals are needed, 1 so far, before 2026-11-28 08:00 UTC.",
        "Adds 1 HIGH, 1 LOW; removes 1 CRITICAL, 1 MEDIUM.",
        f"released there last: 1.3 , {before.image.digest}",
        "CVE-2026-2001 HIGH curl 7.88.1-10 7.88.1-11",
        "CVE-2026-1001 CRITICAL libexpat1 2.5.0-1 2.5.0-2",
        "openssl 3.0.11-1 3.0.13-1",
        "Size 185 B 196 B (+11 B)",
        "PASS , judged on 2026-11-21 08:00 UTC",
        str(release.signature),
        str(release.decision),
        str(release.policy),
        f"Approved by {BEN} on 2026-11-21 09:00 UTC : tested on the canary",
        "tag:team=platform",
        f"The people who brought the image may not decide about it: {CI} .",
        f'imagegate decide approve {release.image} --reason "…"',
        f'imagegate decide reject {release.image} --reason "…"',
    ):
        assert text in shown, text


def test_the_first_image_of_a_stage_is_compared_with_nothing(gate: Waiting) -> None:
    shown = read(gate.opens(gate.link(gate.waits())))
    assert "Nothing is there yet: no image has been released into shop-staging" in shown


def test_the_same_image_again_is_said_to_be_the_same(gate: Waiting) -> None:
    release = gate.waits()
    assert release.decision is not None
    gate.world.ledger.note_current_release(CurrentRelease(STAGING, release.image, release.decision, NOW))
    assert ": the same image." in read(gate.opens(gate.link(release)))


def test_findings_that_were_not_kept_are_not_taken_for_none(gate: Waiting) -> None:
    before, release = gate.released(), gate.waits()
    assert before.decision is not None
    del gate.world.records.contents[before.decision]
    shown = read(gate.opens(gate.link(release)))
    assert "The findings cannot be compared" in shown
    assert "Adds" not in shown


def test_an_image_that_is_gone_from_the_next_stage_is_compared_as_far_as_records_go(gate: Waiting) -> None:
    before, release = gate.released(), gate.waits()
    gate.world.registry.delete(ImageRef(STAGING, before.image.digest))
    shown = read(gate.opens(gate.link(release)))
    assert "Adds 1 HIGH" in shown


def test_each_platform_is_compared_with_its_like(gate: Waiting) -> None:
    gate.released()
    image, platforms = gate.world.index("amd64", "arm64", tag="2.0")
    for platform in platforms:
        gate.world.scans.finish(platform, AFTER)
    gate.world.start(image, "2.0")
    gate.world.judge(image)
    shown = read(gate.opens(gate.link(ReleaseId(image, 1))))
    assert "linux/amd64: size not there 184 B" in shown
    assert "linux/arm64: size not there 184 B" in shown
    assert "Size 185 B not there" in shown
    assert "Adds 1 HIGH, 1 LOW; removes 1 CRITICAL, 1 MEDIUM." in shown


def test_the_base_is_the_one_that_was_found_or_else_what_the_builder_says(gate: Waiting) -> None:
    before, release = gate.released(), gate.waits()
    assert before.decision is not None
    base = BaseImage(
        ImageRef("base-dev", Digest.of(b"base")), "dev", "sha256:1", 1, NOW, before.decision, ("12",)
    )
    for one, facts in (
        (before, PlatformFacts(before.image.digest, base=base, base_is_known=True, claimed_base="other")),
        (release, PlatformFacts(release.image.digest, claimed_base="docker.io/library/debian:12")),
    ):
        gate.knows(one, ImageFacts(one.image, platforms=(facts,)))
    shown = read(gate.opens(gate.link(release)))
    assert "Base base-dev:12 docker.io/library/debian:12, as its builder says" in shown


def test_the_page_shows_earlier_signatures_and_provenance(gate: Waiting) -> None:
    release = gate.waits()
    signed, built = Evidence(("build",)), Evidence((), "no provenance is attached")
    gate.knows(release, ImageFacts(release.image, signature=signed, provenance=built))
    shown = read(gate.opens(gate.link(release)))
    assert "Signed before build" in shown
    assert "Provenance no provenance is attached" in shown


def test_waivers_that_were_used_are_named(gate: Waiting) -> None:
    waiver = Waiver(
        owner="cleo@example.com",
        reason="not reachable from outside",
        expires=(NOW + timedelta(days=20)).date(),
        vulnerability="CVE-2026-3001",
        package="openssl",
        repositories="shop-*",
    )
    gate.use(replace(gate.world.policy, waivers=(waiver,)))
    release = gate.waits(findings=[finding(3001, Severity.HIGH, "openssl", "3.0.1")])
    shown = read(gate.opens(gate.link(release)))
    assert (
        "CVE-2026-3001 in openssl , until 2026-12-11, by cleo@example.com : not reachable from outside"
        in shown
    )
    assert "Findings that do not count: 1 waived." in shown


def test_a_verdict_that_only_observes_is_shown_for_what_it_is(gate: Waiting) -> None:
    dev = replace(gate.world.policy.stages["dev"], mode=Mode.OBSERVE)
    gate.use(replace(gate.world.policy, stages={**gate.world.policy.stages, "dev": dev}))
    image = gate.world.registry.push_image(DEV, "1.0")
    gate.world.scans.finish(image, [finding(n, Severity.CRITICAL, "openssl", "3") for n in range(10)])
    gate.world.start(image)
    gate.world.judge(image)
    shown = read(gate.opens(gate.link(ReleaseId(image, 1))))
    assert "BLOCK , judged on 2026-11-21 08:00 UTC ; the stage only observes" in shown
    assert "10 CRITICAL (at most 9)" in shown


def test_the_required_power_is_printed_if_no_approvers_are_listed(gate: Waiting) -> None:
    gate.asks(ApprovalTerms())
    shown = read(gate.opens(gate.link(gate.waits())))
    assert "1 approval is needed before 2026-11-28 08:00 UTC" in shown
    assert "Anybody whom IAM lets call decide" in shown


def test_a_finding_that_the_image_adds_has_its_score_and_description(gate: Waiting) -> None:
    added = replace(finding(9, Severity.HIGH, "zlib", "1.2"), cvss=7.5, description="Reads past the end.")
    gate.released(tag="0.9", findings=[])
    shown = read(gate.opens(gate.link(gate.waits(findings=[added]))))
    assert "HIGH 7.5" in shown
    assert "Reads past the end." in shown


def test_every_value_on_a_page_is_text(gate: Waiting) -> None:
    described = replace(finding(1, Severity.HIGH, EVIL, EVIL, EVIL), description=EVIL)
    hostile = [described, replace(AFTER[0], vulnerability=EVIL)]
    waiver = Waiver(
        owner=EVIL,
        reason=EVIL,
        expires=NOW.date(),
        vulnerability=EVIL,
        package="openssl",
        repositories="shop-*",
    )
    gate.use(replace(gate.world.policy, waivers=(waiver,)))
    gate.released(tag=EVIL, findings=[finding(2, Severity.LOW, EVIL, EVIL)])
    release = gate.waits(tag=EVIL, findings=hostile)
    gate.world.ledger.record(release.id, break_glass=EVIL)
    gate.asks(ApprovalTerms(approvers=(EVIL,), quorum=5, by_mail=("ann@example.com",)))
    gate.decides(release, BEN, reason=EVIL)
    gate.decides(release, EVIL, Choice.APPROVE)
    answer = gate.opens(gate.link(release, Purpose.APPROVE))
    page = _Text(answer["body"])
    assert answer["statusCode"] == 200
    assert {"script", "img", "iframe", "link", "object"}.isdisjoint(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "style")]
    assert page.text.count("<script>alert(1)</script>") >= 8
    assert "{{ 7*7 }}" in page.text


# What a page is


@pytest.mark.parametrize(
    ("function", "loads"),
    [("approval_page", True), ("decide", False), ("judge_image", False), ("announce", False)],
)
def test_only_this_function_loads_what_makes_pages(function: str, loads: bool) -> None:
    """It would cost every cold start of every other one."""
    folder = HANDLER.parents[1] / function
    program = "import sys, handler; sys.exit('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, check=False, capture_output=True)
    assert done.returncode == loads, done.stderr


def pages(gate: Waiting) -> Iterator[dict[str, Any]]:
    gate.released()
    release = gate.waits()
    yield gate.opens(gate.link(release))
    yield gate.opens(gate.link(release, Purpose.APPROVE))
    yield gate.opens(gate.link(release, Purpose.REJECT))
    gate.decider.answer = {"standing": "waiting", "by": ANN}
    yield gate.presses(gate.link(release, Purpose.APPROVE))
    yield gate.opens("nonsense")
    yield gate.calls(event("PUT"))


def test_a_page_runs_nothing_fetches_nothing_and_leaves_no_trace(gate: Waiting) -> None:
    for answer in pages(gate):
        headers = answer["headers"]
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "noindex" in headers["x-robots-tag"]
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert {name: policy[name] for name in policy if name != "style-src"} == {
            "default-src": "'none'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        [style] = re.findall(r"<style>(.*?)</style>", answer["body"], re.DOTALL)
        digest = b64encode(sha256(style.encode()).digest()).decode()
        assert policy["style-src"] == f"'sha256-{digest}'"
        assert answer["body"].startswith('<!doctype html>\n<html lang="en">')
        assert not re.search(r"https?:|url\(|@import|<script", answer["body"])


def test_the_form_asks_for_what_it_confirms_and_goes_back_without_the_link_in_its_address(
    gate: Waiting,
) -> None:
    token = gate.link(gate.waits(), Purpose.REJECT)
    body = gate.opens(token)["body"]
    assert '<form method="post" action="?"' in body
    assert f'<input type="hidden" name="token" value="{token}">' in body
    assert "Keep it out of staging?" in body
    assert "You decide as <bdi>ann@example.com</bdi>" in body
    assert '<label for="reason">Reason (optional)</label>' in body


def test_a_required_reason_must_be_given(gate: Waiting) -> None:
    gate.asks(replace(gate.terms, needs_reason=True))
    body = gate.opens(gate.link(gate.waits(), Purpose.APPROVE))["body"]
    assert '<label for="reason">Reason</label>' in body
    assert "required></textarea>" in body


def test_a_link_that_shows_has_no_form(gate: Waiting) -> None:
    assert "<form" not in gate.opens(gate.link(gate.waits()))["body"]


# Looking


def test_looking_changes_nothing_however_often_and_by_whichever_link(gate: Waiting) -> None:
    """Mail programs and scanners follow every link before a person does."""
    gate.released()
    release = gate.waits()
    before = copy.deepcopy(
        (gate.world.ledger, gate.world.grants, gate.world.records, gate.world.registry.log)
    )
    for purpose in Purpose:
        for _ in range(3):
            assert gate.opens(gate.link(release, purpose))["statusCode"] == 200
    after = (gate.world.ledger, gate.world.grants, gate.world.records, gate.world.registry.log)
    assert after == before
    assert gate.decider.asked == []
    assert gate.world.notifications.messages == []


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(gate: Waiting, method: str) -> None:
    answer = gate.calls(event(method))
    assert answer["statusCode"] == 405
    assert answer["headers"]["allow"] == "GET, POST"


@pytest.mark.parametrize("path", ["/favicon.ico", "/x", "//"])
def test_there_is_one_page(gate: Waiting, path: str) -> None:
    assert gate.calls(event("GET", path=path))["statusCode"] == 404


# Deciding


def test_the_button_calls_decide_and_shows_its_answer(gate: Waiting) -> None:
    gate.decider.answer = {"standing": "waiting", "by": ANN}
    release = gate.waits()
    token = gate.link(release, Purpose.APPROVE)
    answer = gate.presses(token, "tested\r\nby hand ")
    assert answer["statusCode"] == 200
    assert gate.decider.asked == [(token, "tested by hand")]
    shown = read(answer)
    assert f"You have approved {release.image} for staging." in shown
    assert "More approvals are needed. Recorded as ann@example.com." in shown


@pytest.mark.parametrize(
    ("purpose", "standing", "said"),
    [
        (Purpose.APPROVE, "approved", "It goes to staging."),
        (Purpose.REJECT, "rejected", "It does not go to staging."),
        (Purpose.APPROVE, "something new", "Recorded as ann@example.com."),
    ],
)
def test_the_answer_names_the_result_of_a_decision(
    gate: Waiting, purpose: Purpose, standing: str, said: str
) -> None:
    gate.decider.answer = {"standing": standing, "by": ANN}
    assert said in read(gate.presses(gate.link(gate.waits(), purpose)))


def test_the_page_shows_the_refusal_of_decide_unchanged(gate: Waiting) -> None:
    gate.decider.answer = NotDecidedError("whoever brought the image does not decide about it")
    answer = gate.presses(gate.link(gate.waits(), Purpose.APPROVE))
    assert answer["statusCode"] == 409
    assert "Whoever brought the image does not decide about it." in read(answer)


def test_a_link_that_shows_decides_nothing(gate: Waiting) -> None:
    answer = gate.presses(gate.link(gate.waits()))
    assert answer["statusCode"] == 403
    assert gate.decider.asked == []


def test_a_forged_confirmation_never_reaches_decide(gate: Waiting) -> None:
    release = gate.waits()
    forged = replace(gate, links=FakeApprovalLinks(key=b"another")).link(release, Purpose.APPROVE)
    assert gate.presses(forged)["statusCode"] == 403
    assert gate.decider.asked == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 403),
        (b"token=", 403),
        (b"token=a&token=b", 403),
        (b"&".join(b"a=b" for _ in range(50)), 403),
        (b"\xff\xfe", 400),
        (b"token=a&reason=" + b"r" * 501, 400),
        (b"token=" + b"t" * 20_000, 413),
    ],
)
def test_a_form_that_is_not_ours_is_refused(gate: Waiting, body: bytes, status: int) -> None:
    assert gate.calls(event("POST", body=body))["statusCode"] == status
    assert gate.decider.asked == []


def test_a_reason_may_have_any_letters(gate: Waiting) -> None:
    request = parse_request(event("POST", body="token=t&reason=%F0%9F%91%8D+geprüft".encode()))
    assert request == ConfirmDecision("t", "👍 geprüft")


# Refusals


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_link_ends(gate: Waiting, purpose: Purpose) -> None:
    token = gate.link(gate.waits(), purpose)
    gate.now = NOW + timedelta(days=8)
    answer = gate.opens(token)
    assert answer["statusCode"] == 410
    assert "This link ended on 2026-11-28 08:00 UTC." in read(answer)
    assert gate.links.asked == []
    assert gate.presses(token)["statusCode"] == 410
    assert gate.decider.asked == []


def test_a_forged_link_is_refused(gate: Waiting) -> None:
    release = gate.waits()
    forged = replace(gate, links=FakeApprovalLinks(key=b"another gate")).link(release)
    answer = gate.opens(forged)
    assert answer["statusCode"] == 403
    assert "This link was not made by this gate, or it was changed on its way." in read(answer)
    assert "shop-dev" not in answer["body"]


@pytest.mark.parametrize("token", ["", "x", "1.a.b", "1." + "A" * 2000, "%00", "<script>"])
def test_anything_but_a_link_is_refused_before_its_code_is_checked(gate: Waiting, token: str) -> None:
    answer = gate.opens(token)
    assert answer["statusCode"] == 403
    assert "This is no link of an approval" in read(answer)
    assert gate.links.asked == []


def test_a_link_given_twice_is_none(gate: Waiting) -> None:
    token = gate.link(gate.waits())
    assert gate.calls(event("GET", query=f"t={token}&t={token}"))["statusCode"] == 403
    assert gate.calls(event("GET"))["statusCode"] == 403


def test_a_link_to_another_stage_than_the_release_goes_to_is_refused(gate: Waiting) -> None:
    answer = gate.opens(gate.link(gate.waits(), stage="production"))
    assert answer["statusCode"] == 403
    assert "does not go there" in read(answer)


def test_a_release_that_nobody_knows_is_not_found(gate: Waiting) -> None:
    unknown = ReleaseId(ImageRef(DEV, Digest.of(b"unknown")), 1)
    assert gate.opens(gate.link(unknown))["statusCode"] == 404


@pytest.mark.parametrize("outcome", [Outcome.RELEASED, Outcome.SUPERSEDED, Outcome.HELD])
def test_a_release_that_is_over_is_shown_and_cannot_be_decided(gate: Waiting, outcome: Outcome) -> None:
    gate.asks(None)
    release = gate.passed()
    gate.world.ledger.close(release.id, outcome, None, gate.now, "")
    assert gate.opens(gate.link(release))["statusCode"] == 200
    answer = gate.opens(gate.link(release, Purpose.APPROVE))
    assert answer["statusCode"] == 410
    assert "<form" not in answer["body"]
    said = f"There is nothing to decide. The release is over: {outcome} on 2026-11-21 09:00 UTC."
    assert said in read(answer)


def test_an_old_link_does_not_decide_about_a_new_attempt(gate: Waiting) -> None:
    release = gate.waits()
    begun = gate.world.starting().on_request(release.image, ("1.4",), StartReason.OPERATOR, gate.now)
    assert isinstance(begun, Release)
    answer = gate.opens(gate.link(release, Purpose.APPROVE))
    assert (answer["statusCode"], "<form" in answer["body"]) == (410, False)


def test_the_page_of_an_earlier_attempt_names_the_one_that_was_decided(gate: Waiting) -> None:
    release = gate.waits()
    ledger = gate.world.ledger
    held = replace(release, attempt=2, reason=StartReason.NEW_TAG)
    ledger.releases[release.image, 2] = held
    for purpose in (Purpose.VIEW, Purpose.APPROVE):
        answer = gate.opens(gate.link(release, purpose))
        assert answer["statusCode"] == 410
        assert "This link is about attempt 1; attempt 2 is about this image now." in read(answer)
    ledger.releases[release.image, 3] = replace(
        held, attempt=3, reason=StartReason.APPROVED, outcome=Outcome.RELEASED
    )
    assert "attempt 2 decided this." in read(gate.opens(gate.link(release)))
    assert gate.opens(gate.link(held))["statusCode"] == 200


def test_a_person_decides_once(gate: Waiting) -> None:
    release = gate.waits()
    gate.decides(release, ANN)
    for purpose in (Purpose.APPROVE, Purpose.REJECT):
        answer = gate.opens(gate.link(release, purpose))
        assert answer["statusCode"] == 410
        assert "You have decided already: you approved it on 2026-11-21 09:00 UTC." in read(answer)
        assert "<form" not in answer["body"]


def test_the_others_decide_as_before(gate: Waiting) -> None:
    release = gate.waits()
    gate.decides(release, BEN)
    assert "<form" in gate.opens(gate.link(release, Purpose.APPROVE))["body"]


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ([Choice.APPROVE, Choice.APPROVE], "Approved: it goes to staging."),
        ([Choice.APPROVE, Choice.REJECT], "Rejected: it does not go to staging."),
    ],
)
def test_a_decision_is_final(gate: Waiting, choices: list[Choice], said: str) -> None:
    release = gate.waits()
    for number, choice in enumerate(choices):
        gate.decides(release, f"{BEN}{number}", choice)
    assert said in read(gate.opens(gate.link(release)))
    assert gate.opens(gate.link(release, Purpose.REJECT))["statusCode"] == 410


def test_nobody_decides_after_the_time_even_by_a_link_that_lasts_longer(gate: Waiting) -> None:
    gate.asks(replace(gate.terms, expires=timedelta(hours=1)))
    answer = gate.opens(gate.link(gate.waits(), Purpose.APPROVE))
    assert answer["statusCode"] == 410
    assert "Nobody approved it before the time ended on 2026-11-21 09:00 UTC." in read(answer)


def test_a_release_that_does_not_wait_cannot_be_approved(gate: Waiting) -> None:
    answer = gate.opens(gate.link(gate.passed(), Purpose.APPROVE))
    assert answer["statusCode"] == 410
    assert "It does not wait for an approval" in read(answer)


def test_a_revoked_signature_is_shown_first(gate: Waiting) -> None:
    release = gate.waits()
    gate.world.ledger.revoke(release.id, Revocation(NOW, BEN, "built on a stolen machine"))
    answer = gate.opens(gate.link(release, Purpose.APPROVE))
    assert answer["statusCode"] == 410
    assert "built on a stolen machine" in read(answer)


# Faults


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (ThrottledError("slow down"), 429, "Too many at once"),
        (ServiceUnavailableError("dynamodb:GetItem answered 500"), 503, "A service did not answer."),
        (KeyError("secret"), 500, "It is a fault of the gate"),
    ],
)
def test_an_error_page_has_no_details(
    gate: Waiting, monkeypatch: pytest.MonkeyPatch, fault: Exception, status: int, said: str
) -> None:
    token = gate.link(gate.waits())

    def fails(_: object) -> None:
        raise fault

    monkeypatch.setattr(gate.world.ledger, "get", fails)
    answer = gate.opens(token)
    assert answer["statusCode"] == status
    assert said in read(answer)
    assert not re.search("secret|GetItem|slow down", answer["body"])
