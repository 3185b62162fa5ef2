"""The state of each image, as `imagegate list` and `imagegate status` show it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imagegate.board.status import ImageState, state_of
from imagegate.findings.finding import Severity
from imagegate.gate.decision_record import Decision
from imagegate.gate.facts import BaseImage
from imagegate.grants.break_glass import BreakGlass
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Mode
from imagegate.policy.rules import ImageRules, Rule
from imagegate.policy.waiver import Waiver
from imagegate.release.release import Outcome, Release
from imagegate.release.revocation import Revocation, RunsIn
from imagegate.risk.risk import DueImage, Judgement, Risk, RiskFinding, RiskState
from tests.component.cli_gate import CALLER, CliGate, Served, gate, url, with_stage
from tests.component.deployments import attempt, blocked
from tests.component.test_cli_approve import ask, held
from tests.fakes import DEV, LATER, NOW, POLICY, critical

__all__ = ["gate", "url"]

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"


def listed(gate: CliGate, *options: str) -> list[tuple[str, str]]:
    """Return tag and state of each row."""
    result = gate.call("list", "--json", *options)
    assert (result.code, result.err) == (0, "")
    return [(one["tags"][0], one["state"]) for one in result.json]


def changed(gate: CliGate, image: ImageRef, number: int = 1, **fields: Any) -> None:
    releases = gate.world.ledger.releases
    releases[image, number] = replace(releases[image, number], **fields)


# The words


@pytest.mark.parametrize(
    ("release", "state"),
    [
        (attempt(), ImageState.RELEASED),
        (attempt(verdict="BLOCK"), ImageState.OBSERVED),
        (attempt(verdict="BLOCK", break_glass="until noon"), ImageState.BROKEN_GLASS),
        (attempt(revoked=Revocation(NOW, CALLER, "stolen")), ImageState.REVOKED),
        (attempt(outcome=Outcome.HELD), ImageState.WAITING),
        (attempt(outcome=None), ImageState.RUNNING),
        (attempt(outcome=None, soaks_until=LATER), ImageState.SOAKING),
        (blocked(), ImageState.BLOCKED),
        (attempt(outcome=Outcome.CONFLICT), ImageState.CONFLICT),
        (attempt(outcome=Outcome.SUPERSEDED), ImageState.SUPERSEDED),
        (attempt(outcome=Outcome.WITHDRAWN), ImageState.WITHDRAWN),
        (attempt(outcome=Outcome.FAILED, verdict=None), ImageState.FAILED),
    ],
    ids=lambda value: str(value) if isinstance(value, ImageState) else "",
)
def test_an_image_has_one_state(release: Release, state: ImageState) -> None:
    assert state_of(release) is state


def test_a_break_glass_counts_only_for_an_image_that_its_gate_stopped() -> None:
    glass = BreakGlass("shop-*", attempt().image.digest, "down", LATER, NOW, CALLER)
    assert state_of(blocked(), glass=[glass]) is ImageState.BROKEN_GLASS
    assert state_of(attempt(), glass=[glass]) is ImageState.RELEASED


def test_the_glossary_defines_every_state() -> None:
    text = GLOSSARY.read_text()
    assert [one for one in ImageState if f"| `{one}` | {one.definition} |" not in text] == []


# list


def test_there_is_one_row_per_image_and_history_has_every_attempt(gate: CliGate) -> None:
    image = gate.blocked("1.0")
    first = gate.world.ledger.releases[image, 1]
    again = replace(first, attempt=2, verdict="PASS", outcome=Outcome.RELEASED, reasons=[], started_at=LATER)
    gate.world.ledger.releases[image, 2] = again
    gate.now = LATER
    assert listed(gate) == [("1.0", "released")]
    assert listed(gate, "--blocked") == []
    history = gate.call("list", "--history", "--json").json
    assert [(one["attempt"], one["outcome"]) for one in history] == [(2, "released"), (1, "blocked")]
    assert [one["attempt"] for one in gate.call("list", "--outcome", "blocked", "--json").json] == [1]


def test_a_repository_has_the_same_states_as_the_list(gate: CliGate) -> None:
    revoked = gate.judged("1.0", [])
    changed(gate, revoked, revoked=Revocation(NOW, CALLER, "stolen"))
    gate.blocked("2.0", ago=timedelta(minutes=1))
    gate.judged("3.0", [], repository="cart-dev")
    rows = gate.call("status", "shop-dev", "--json").json
    assert {(one["tags"][0], one["state"]) for one in rows} == {("1.0", "revoked"), ("2.0", "blocked")}
    shown = [line for line in gate.call("list").out.splitlines() if "cart-dev" not in line]
    assert gate.call("status", "shop-dev").out.splitlines() == shown
    assert gate.call("status", "shop-dev", "--uri").out == ""  # neither the revoked one nor the blocked one


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"outcome": Outcome.HELD}, "waiting for approval"),
        ({"revoked": Revocation(NOW, CALLER, "stolen")}, "revoked"),
        ({"outcome": Outcome.BLOCKED}, "blocked"),
    ],
)
def test_an_image_is_shown_in_one_state_and_not_in_another_word_beside_it(
    gate: CliGate, changes: dict[str, Any], state: str
) -> None:
    image = gate.judged("1.0", [])
    changed(gate, image, **changes)
    rows = gate.call("status", "shop-dev:1.0").out.splitlines()
    assert f"State    {state}" in [row.rstrip() for row in rows]
    assert not any(row.startswith("Outcome") for row in rows)


def test_rows_are_chosen_by_state_stage_app_and_time(gate: CliGate) -> None:
    gate.blocked("1.0")
    gate.judged("2.0", [], repository="cart-dev")
    gate.judged("3.0", [], repository="cart-dev", ago=timedelta(days=3))
    assert set(listed(gate)) == {("1.0", "blocked"), ("2.0", "released"), ("3.0", "released")}
    assert listed(gate, "--blocked") == [("1.0", "blocked")]
    assert listed(gate, "--app", "cart", "--since", "2d") == [("2.0", "released")]
    assert listed(gate, "--stage", "staging") == []
    assert len(listed(gate, "--limit", "2")) == 2


def test_a_stage_that_observes_says_what_it_would_have_blocked(gate: CliGate) -> None:
    gate.deploy(with_stage(POLICY, mode=Mode.OBSERVE))
    gate.judged("1.0", critical())
    assert listed(gate) == [("1.0", "observed")]
    assert "observed" in gate.call("list").out


def test_an_unknown_stage_is_an_error_that_names_the_stages(gate: CliGate) -> None:
    result = gate.call("list", "--stage", "qa")
    assert (result.code, result.out) == (2, "")
    assert "there is no stage qa: the policy has dev, staging" in result.err


def test_the_waivers_that_an_image_uses_are_shown_with_the_days_left(gate: CliGate) -> None:
    [finding] = critical()[:1]
    waiver = Waiver(
        owner="ann",
        reason="not reachable",
        expires=date.fromordinal(NOW.toordinal() + 3),
        vulnerability=finding.vulnerability,
        package=finding.packages[0].name,
        repositories="shop-*",
        granted_at=NOW,
        granted_by=CALLER,
    )
    gate.world.grants.grant(waiver)
    gate.judged("1.0", [finding])
    gate.judged("2.0", [])
    assert listed(gate, "--waived") == [("1.0", "released")]
    [row] = gate.call("list", "--waived", "--json").json
    assert [(one["vulnerability"], one["days_left"]) for one in row["waivers"]] == [
        (finding.vulnerability, 3)
    ]
    for columns in (80, 200):
        out = " ".join(gate.call("list", "--waived", columns=columns).out.split())
        assert "(3 days)" in out
    assert "(3 days)" in gate.call("status", "shop-dev:1.0").out


def test_images_that_wait_are_listed_with_what_they_wait_for(gate: CliGate, url: Served) -> None:
    held(ask(gate, quorum=2))
    gate.call("decide", "approve", "shop-dev:1.0")
    assert listed(gate, "--waiting") == [("1.0", "waiting for approval")]
    [row] = gate.call("list", "--json").json
    assert (row["by"], row["approval"]["standing"]) == ("ann", "waiting")
    gate.call("decide", "reject", "shop-dev:1.0", "--reason", "no")
    assert listed(gate) == [("1.0", "rejected")]
    gate.now = NOW + timedelta(days=60)
    assert listed(gate, "--blocked", "--since", "90d") == []


def test_a_request_that_nobody_answers_expires(gate: CliGate) -> None:
    held(ask(gate))
    gate.now = NOW + timedelta(days=30)
    assert listed(gate) == [("1.0", "expired")]


def test_only_one_of_two_states_is_asked_for(gate: CliGate) -> None:
    assert gate.call("list", "--blocked", "--waiting").code == 2


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_the_states_fit(gate: CliGate, columns: int) -> None:
    gate.blocked("1.0")
    gate.judged("2.0-with-a-long-tag", [], repository="a-long-name-of-a-repository-dev")
    out = gate.call("list", columns=columns).out
    assert max(map(len, out.splitlines())) <= columns
    assert "blocked" in out


# status --wait


def test_a_revoked_image_is_no_success(gate: CliGate) -> None:
    image = gate.judged("1.0", [])
    changed(gate, image, revoked=Revocation(NOW, CALLER, "stolen"), message_id="m")
    result = gate.call("status", "shop-dev:1.0", "--wait", "--json")
    assert (result.code, result.json["state"], result.json["by"]) == (1, "revoked", "ann")


def test_a_revoked_image_is_not_approved_any_more(gate: CliGate, url: Served) -> None:
    image = held(ask(gate))
    changed(gate, image, revoked=Revocation(NOW, CALLER, "stolen"))
    result = gate.call("decide", "approve", "shop-dev:1.0")
    assert (result.code, "its signature was revoked on" in result.err) == (1, True), result.err
    assert gate.world.starter.requests == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tools:1", "no stage of the deployed policy has the repository tools"),
        ("typo-dev:1", "no repository"),
        ("typo-staging:1", "no repository"),
    ],
)
def test_no_release_can_begin_where_there_is_no_stage_or_repository(
    gate: CliGate, name: str, says: str
) -> None:
    gate.world.registry.names.add("tools")
    gate.pauses = replace(gate.pauses, sleep=lambda _seconds: pytest.fail("it waited"))
    result = gate.call("status", name, "--wait")
    assert (result.code, says in result.err) == (2, True), result.err


def test_a_tag_that_is_not_pushed_is_waited_for_and_said(gate: CliGate) -> None:
    result = gate.call("status", "shop-dev:9", "--wait", "--timeout", "0.01s")
    assert (result.code, "no such tag yet" in result.err) == (124, True)


def test_a_repository_that_a_promotion_may_create_is_waited_for(gate: CliGate) -> None:
    gate.judged("1.0", [])
    result = gate.call("status", "shop-staging:1.0", "--wait", "--timeout", "0.01s")
    assert (result.code, "no such tag yet" in result.err) == (124, True), result.err


def test_an_attempt_that_does_not_begin_is_said(gate: CliGate) -> None:
    gate.world.registry.push_image("shop-dev", "1.0")
    result = gate.call("status", "shop-dev:1.0", "--wait", "--timeout", "0.01s")
    assert (result.code, "shop-dev:1.0 has not begun within" in result.err) == (124, True)


# risk


def at_risk(gate: CliGate, image: ImageRef, **changes: Any) -> Risk:
    found = RiskFinding("CVE-2026-0000", "openssl", Severity.CRITICAL, "3.0.9")
    risk = Risk(
        image=image,
        stage="dev",
        tags=("1.0",),
        state=RiskState.AT_RISK,
        since=NOW,
        looked_at=NOW,
        policy=POLICY.digest,
        findings=(found,),
        why=("1 CRITICAL (at most 0): CVE-2026-0000 (openssl 3.0.1)",),
        runs=(RunsIn("arn:aws:ecs:eu-central-1:1:cluster/web", 2, service="service:shop"),),
    )
    gate.world.ledger.keep_risk(replace(risk, **changes))
    return risk


def test_a_released_image_at_risk_says_so_and_its_outcome_stays(gate: CliGate) -> None:
    image = gate.judged("1.0", [])
    gate.judged("2.0", [])
    at_risk(gate, image)
    assert listed(gate, "--at-risk") == [("1.0", "at risk")]
    assert sorted(listed(gate)) == [("1.0", "at risk"), ("2.0", "released")]
    status = gate.call("status", f"{DEV}:1.0", columns=100)
    for text in ("at risk since 2026-11-21 08:00", "service:shop: 2 running", "fixed in openssl 3.0.9"):
        assert text in status.out


def test_no_other_image_is_at_risk(gate: CliGate) -> None:
    gate.judged("1.0", [])
    assert listed(gate) == [("1.0", "released")]
    assert gate.call("list", "--at-risk").err == "no released image is at risk\n"


def test_an_image_that_nobody_watches_is_named_where_risks_are_listed(gate: CliGate) -> None:
    at_risk(gate, gate.judged("1.0", []), state=RiskState.NOT_WATCHED)
    assert listed(gate) == [("1.0", "released")]
    found = gate.call("list", "--at-risk")
    assert f"not watched by any scanner, so their risk is not known: {DEV}:1.0" in found.err
    assert "not watched" not in gate.call("list", "--at-risk", "--app", "other").err
    assert gate.call("list", "--at-risk", "--json").json == []


def test_risks_that_may_not_be_read_are_not_taken_for_none(gate: CliGate) -> None:
    def refuse() -> list[Risk]:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Query")

    gate.judged("1.0", [])
    gate.monkeypatch.setattr(gate.world.ledger, "risks", refuse)
    found = gate.call("list", "--at-risk")
    assert found.code == 2
    assert "no released image is at risk" not in found.err
    assert listed(gate) == [("1.0", "released")]


def test_a_blocked_image_is_blocked_whatever_its_risk(gate: CliGate) -> None:
    at_risk(gate, gate.blocked("1.0"))
    assert listed(gate) == [("1.0", "blocked")]


def vulnerable(gate: CliGate, *options: str) -> list[tuple[str, bool]]:
    result = gate.call("list", "--cve", "CVE-2026-0000", "--json", *options)
    return [(one["tags"][0], one["in_use"]) for one in result.json]


def test_who_has_a_vulnerability_is_found_in_use_and_in_the_past(gate: CliGate) -> None:
    gate.deploy(with_stage(POLICY, mode=Mode.OBSERVE))
    gate.judged("1.0", critical(), ago=timedelta(days=3))
    gate.judged("2.0", critical(), ago=timedelta(days=2))
    assert vulnerable(gate) == [("2.0", True)]
    assert vulnerable(gate, "--history") == [("2.0", True), ("1.0", False)]
    assert vulnerable(gate, "--history", "--limit", "1") == [("2.0", True)]
    assert vulnerable(gate, "--history", "--since", "60h") == [("2.0", True)]
    assert (
        gate.call("list", "--cve", "CVE-1").err
        == "no image in use has CVE-1, by the findings that are known\n"
    )
    assert "openssl 3.0.1" in gate.call("list", "--cve", "CVE-2026-0000").out


def test_what_was_found_after_the_release_counts(gate: CliGate) -> None:
    image = gate.judged("1.0", [])
    other = gate.judged("2.0", critical(), repository="other-dev")
    [scan] = Decision.decode(gate.world.records.decision(_decision(gate, other))).scans
    last = Judgement(LATER, RiskState.AT_RISK, LATER, (Digest.parse(scan["findings"]),))
    gate.world.ledger.queue[image] = DueImage(image, LATER, last)
    gate.world.ledger.note_vulnerabilities(DEV, ["CVE-2026-0000"])
    assert vulnerable(gate, "--app", "shop") == [("1.0", True)]


def test_images_on_an_outdated_base_are_listed_with_what_a_rebuild_removes(gate: CliGate) -> None:
    old, new = (
        gate.judged("1.0", critical(3), repository="base-dev"),
        gate.judged("1.1", critical(1), repository="base-dev"),
    )
    for number, image in enumerate((old, new)):
        gate.world.ledger.note_base(_base(gate, image, NOW + timedelta(hours=number)))
    for repository in ("a-dev", "b-dev"):
        image = gate.judged("1.0", [], repository=repository)
        gate.world.ledger.judge_by(image, NOW)
        _put_base(gate, image, _base(gate, old, NOW))
    [found] = gate.call("list", "--outdated-bases", "--json").json
    assert (found["removes"], [one["repository"] for one in found["images"]]) == (2, ["a-dev", "b-dev"])
    assert "base-dev:1.1" in gate.call("list", "--outdated-bases").out


def test_images_on_the_latest_base_are_not_listed(gate: CliGate) -> None:
    base = _base(gate, gate.judged("1.0", critical(), repository="base-dev"), NOW)
    gate.world.ledger.note_base(base)
    image = gate.judged("1.0", [], repository="a-dev")
    gate.world.ledger.judge_by(image, NOW)
    _put_base(gate, image, base)
    gate.deploy(with_stage(POLICY, image=ImageRules(base_images=Rule(("base",)))))
    assert (
        gate.call("list", "--outdated-bases").err
        == "no image in use is built on a base that has a later release\n"
    )


def test_bases_that_nobody_knows_are_not_said_to_be_the_latest(gate: CliGate) -> None:
    gate.world.ledger.judge_by(gate.judged("1.0", [], repository="a-dev"), NOW)
    assert gate.call("list", "--outdated-bases").err.startswith(
        "no base is known: no stage of the policy has"
    )


def _base(gate: CliGate, image: ImageRef, at: datetime) -> BaseImage:
    tags = tuple(tag for (name, tag), digest in gate.world.registry.tags.items() if digest == image.digest)
    return BaseImage(image, "dev", f"chain of {image.digest}", 1, at, _decision(gate, image), tags)


def _put_base(gate: CliGate, image: ImageRef, base: BaseImage) -> None:
    """Let the decision about the image say that it is built on this base."""
    document = json.loads(gate.world.records.decision(_decision(gate, image)))
    document["facts"]["platforms"][0]["base"] = base.as_json()
    digest = gate.world.records.put_decision(json.dumps(document).encode())
    changed(gate, image, decision=digest)


def _decision(gate: CliGate, image: ImageRef) -> Digest:
    latest = gate.world.ledger.latest(image)
    assert latest is not None
    assert latest.decision is not None
    return latest.decision
