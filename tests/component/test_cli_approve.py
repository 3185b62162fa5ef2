"""`imagegate decide approve` and `reject`, and what waits: one image as people name it, one answer to act on."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from imagegate.oci.image import ImageRef
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.release.release import Outcome
from tests.component.cli_gate import CALLER, CliGate, Served, gate, url, with_stage
from tests.fakes import POLICY, STAGING

__all__ = ["gate", "url"]


@pytest.fixture
def asking(gate: CliGate) -> CliGate:
    return ask(gate)


def ask(gate: CliGate, **terms: object) -> CliGate:
    gate.deploy(with_stage(POLICY, "staging", approval=ApprovalTerms(**terms)))  # type: ignore[arg-type]
    return gate


def held(gate: CliGate, tag: str = "1.0") -> ImageRef:
    image = gate.world.registry.push_image("shop-dev", tag, seed=tag, at=gate.now)
    gate.world.scans.finish(image, [])
    gate.world.start(image, tag)
    gate.world.sign(gate.world.judge(image).decision)
    gate.world.promote(image)
    gate.world.announce(image, Outcome.HELD)
    return image


def test_a_waiting_image_is_listed_and_approved_by_its_tag(asking: CliGate, url: Served) -> None:
    image = held(asking)
    listed = asking.call("list", "--waiting", "--json").json
    assert [(one["repository"], one["outcome"]) for one in listed] == [("shop-dev", "held")]
    assert "imagegate decide approve" in asking.call("list", "--waiting").err
    result = asking.call("decide", "approve", "shop-dev:1.0", "--reason", "tested")
    assert (result.code, result.err) == (0, "")
    assert "shop-dev:1.0 is let into staging" in result.out
    assert "approved" in result.out
    assert "imagegate status --watch shop-dev:1.0" in result.out
    assert asking.world.starter.requests == [(image, ("1.0",), "approved")]
    assert asking.call("list", "--waiting", "--json").json == []
    [one] = url.bodies
    assert (one["attempt"], one["digest"], one["reason"]) == (1, str(image.digest), "tested")


def test_how_many_are_missing_is_said(gate: CliGate, url: Served) -> None:
    held(ask(gate, quorum=2))
    result = gate.call("decide", "approve", "shop-dev:1.0")
    assert "shop-dev:1.0 has 1 of 2 approvals for staging" in result.out
    assert "Others can approve until 2026-11-28 08:01 UTC" in result.out
    assert gate.call("decide", "approve", "shop-dev:1.0", "--json").json["standing"] == "waiting"


def test_the_names_of_approvers_are_shown(gate: CliGate, url: Served) -> None:
    held(ask(gate, quorum=2))
    gate.call("decide", "approve", "shop-dev:1.0", "--reason", "tested")
    said = "1 of 2 approvals for staging (ann), until 2026-11-28 08:01 UTC"
    assert said in gate.call("status", "shop-dev:1.0", columns=140).out
    assert said in gate.call("list", "--waiting", columns=140).out
    told = gate.call("status", "shop-dev:1.0", "--json").json["approval"]
    assert (told["standing"], told["quorum"], told["decided"][0]["reason"]) == ("waiting", 2, "tested")
    [listed] = gate.call("list", "--waiting", "--json").json
    assert listed["approval"] == told
    gate.call("decide", "reject", "shop-dev:1.0")
    out = gate.call("status", "shop-dev:1.0", columns=140).out
    assert re.search(r"State +rejected *\n", out)
    assert re.search(r"Answer +rejected by ann: it stays out of staging *\n", out)
    assert "Waits" not in out


def test_a_rejection_says_how_to_ask_anew(asking: CliGate, url: Served) -> None:
    image = held(asking)
    result = asking.call("decide", "reject", f"shop-dev@{image.digest}", "--reason", "not today")
    assert result.code == 0
    assert "stays out of staging" in result.out
    assert "not today" in result.out
    assert (
        asking.call("status", "shop-dev:1.0", "--json").json["detail"] == f"rejected by {CALLER}: not today"
    )


def test_a_caller_without_the_power_is_refused_in_plain_words(gate: CliGate, url: Served) -> None:
    held(ask(gate, approvers=("arn:aws:iam::123456789012:user/zoe",)))
    result = gate.call("decide", "approve", "shop-dev:1.0")
    assert (result.code, result.out) == (1, "")
    assert "none of the approvers of staging" in result.err


@pytest.mark.parametrize(
    ("reference", "says", "code"),
    [("shop-dev", "name one image", 2), ("shop-staging:1.0", "does not wait for an approval", 1)],
)
def test_a_release_that_does_not_wait_is_named(
    asking: CliGate, url: Served, reference: str, says: str, code: int
) -> None:
    held(asking)
    asking.judged("1.0", [], repository=STAGING)
    result = asking.call("decide", "approve", reference)
    assert (result.code, says in result.err) == (code, True), result.err
    assert url.bodies == []


def test_a_missing_reason_is_refused_with_its_option(gate: CliGate, url: Served) -> None:
    held(ask(gate, needs_reason=True))
    result = gate.call("decide", "approve", "shop-dev:1.0")
    assert (result.code, result.out) == (1, "")
    assert "add --reason TEXT" in result.err


def test_nothing_that_waits_is_no_error(asking: CliGate) -> None:
    result = asking.call("list", "--waiting")
    assert (result.code, result.out, result.err) == (0, "", "nothing waits for an approval\n")


def test_a_soaking_image_shows_when_its_soak_ends(gate: CliGate) -> None:
    gate.deploy(with_stage(POLICY, "dev", soak=timedelta(days=1)))
    image = gate.world.signed()
    gate.world.promote(image)
    release = gate.world.ledger.latest(image)
    assert release is not None
    assert "until 2026-11-22 08:00 UTC" in gate.call("status", "shop-dev:1.0").out
    gate.world.ledger.releases[image, 1] = replace(release, outcome=Outcome.RELEASED)
    assert "Soaks" not in gate.call("status", "shop-dev:1.0").out
