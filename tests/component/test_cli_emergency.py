"""`imagegate decide break-glass` and `revoke`: one image, named as people know it, and an answer to act on."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import click
import pytest

from imagegate.oci.image import ImageRef
from imagegate.release.release import Outcome
from tests.component.cli_gate import CALLER, CliGate, Served, gate, url
from tests.fakes import DEV, NOW, STAGING

__all__ = ["gate", "url"]

WHY = ("--reason", "the shop is down", "--expires", "4h")
STOLEN = ("--reason", "built on a stolen laptop")


def released(gate: CliGate) -> ImageRef:
    image = gate.world.signed()
    gate.world.promote(image)
    gate.world.announce(image, Outcome.RELEASED)
    return image


# break-glass


def test_an_image_is_let_through_by_its_tag_and_kept_by_its_digest(gate: CliGate, url: Served) -> None:
    image = gate.blocked()
    result = gate.call("decide", "break-glass", "shop-dev:1.0", *WHY)
    [glass] = gate.world.grants.broken_glass()
    assert (result.code, result.err) == (0, "")
    assert (glass.repositories, glass.digest, glass.granted_by) == (DEV, image.digest, CALLER)
    assert glass.expires - NOW == timedelta(hours=4)
    for said in ("The image is not signed", f"imagegate decide withdraw {glass.id}", "--watch shop-dev:1.0"):
        assert said in result.out
    assert gate.world.starter.requests == [(image, ("1.0",), "break-glass")]


def test_an_image_is_let_through_wherever_it_goes(gate: CliGate, url: Served) -> None:
    image = gate.blocked()
    result = gate.call("decide", "break-glass", f"shop-*@{image.digest}", *WHY, "--json")
    assert result.json["break_glass"]["repositories"] == "shop-*"
    assert result.json["is_new"] is True
    assert [one["tags"] for one in result.json["released"]] == [["1.0"]]


def test_it_is_listed_and_withdrawn_by_its_name(gate: CliGate, url: Served) -> None:
    gate.blocked()
    gate.call("decide", "break-glass", "shop-dev:1.0", *WHY)
    [glass] = gate.world.grants.broken_glass()
    listed = gate.call("decide", "list")
    assert glass.id in listed.out
    assert "break-glass" in listed.out
    [one] = gate.call("decide", "list", "--json").json
    assert (one["id"], one["break_glass"]["reason"]) == (glass.id, "the shop is down")
    ended = gate.call("decide", "withdraw", glass.id)
    assert (ended.code, "It is not deployed any more, unless it has passed" in ended.out) == (0, True)
    assert gate.call("decide", "list").out == ""
    [one] = gate.call("decide", "list", "--all", "--json").json
    assert one["state"] == "withdrawn"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("shop-dev:1.0", "--reason", "x", "--expires", "8d"), 1, "lasts longer than 7 days"),
        (("shop-dev:1.0", "--reason", "x", "--expires", "2026-01-01T00:00:00Z"), 1, "over already"),
        (("shop-dev:1.0", "--reason", "x", "--expires", "soon"), 2, "write 4h, 30m or 2d"),
        (("shop-dev:1.0", "--expires", "4h"), 2, "--reason"),
        (("shop-dev:1.0", "--reason", "x"), 2, "--expires"),
        (("shop-*", *WHY), 2, "name one image"),
        (("shop-dev", *WHY), 2, "name one image"),
        (("shop-dev:9.9", *WHY), 2, "has no tag 9.9"),
        (("till:1.0", *WHY), 2, "no stage of the deployed policy"),
    ],
)
def test_a_waiver_that_would_not_count_is_refused(
    gate: CliGate, url: Served, arguments: tuple[str, ...], code: int, says: str
) -> None:
    gate.blocked()
    result = gate.call("decide", "break-glass", *arguments)
    assert (result.code, says in result.err) == (code, True), result.err
    assert gate.world.grants.broken_glass() == []


# revoke


def test_every_signature_is_revoked_and_the_message_names_the_repositories(
    gate: CliGate, url: Served
) -> None:
    image = released(gate)
    result = gate.call("decide", "revoke", "shop-dev:1.0", *STOLEN, "--yes")
    assert result.code == 0
    for said in ("at dev", "stolen laptop", "shop-dev", "Where it runs is not known"):
        assert said in result.out
    release = gate.world.ledger.latest(image)
    assert release is not None
    assert release.revoked is not None
    assert release.revoked.by == CALLER
    status = gate.call("status", "shop-dev:1.0")
    assert re.search(r"Revoked\s+revoked on .*built\s+on a stolen laptop", status.out, re.DOTALL)
    assert gate.call("status", "shop-dev:1.0", "--json").json["revoked"]["by"] == CALLER


def test_the_signature_of_an_earlier_gate_is_a_warning_with_its_command(gate: CliGate, url: Served) -> None:
    image = released(gate)
    there = ImageRef(STAGING, image.digest)
    release = gate.world.ledger.latest(image)
    assert release is not None
    gate.world.ledger.record(release.id, signature=image.digest)
    copy = replace(release, image=there, stage="staging", signature=image.digest)
    gate.world.ledger.releases[there, release.attempt] = copy
    result = gate.call("decide", "revoke", str(there), *STOLEN, "--yes", columns=200)
    assert "Warning: the signature of the gate before, in shop-dev, stays valid" in result.out
    assert f"imagegate decide revoke {image} --reason" in result.out
    assert "Warning" not in gate.call("decide", "revoke", str(image), *STOLEN, "--yes").out


def test_it_is_not_released_again_and_that_is_said_at_once(gate: CliGate, url: Served) -> None:
    released(gate)
    gate.call("decide", "revoke", "shop-dev:1.0", *STOLEN, "--yes")
    result = gate.call("release", "shop-dev:1.0")
    assert (result.code, gate.world.starter.requests) == (1, [])
    assert "push another image" in result.err


def test_a_revoked_image_that_is_let_through_is_warned_about(gate: CliGate, url: Served) -> None:
    image = released(gate)
    gate.call("decide", "revoke", "shop-dev:1.0", *STOLEN, "--yes")
    result = gate.call("decide", "break-glass", "shop-dev:1.0", *WHY, columns=400)
    assert result.code == 0
    assert f"Warning: {image}: revoked on " in result.out


def test_an_image_that_passed_needs_no_break_glass(gate: CliGate, url: Served) -> None:
    released(gate)
    result = gate.call("decide", "break-glass", "shop-dev:1.0", *WHY)
    assert (result.code, "passed the dev gate and is signed" in result.err) == (1, True)


def test_twice_is_once(gate: CliGate, url: Served) -> None:
    released(gate)
    first = gate.call("decide", "revoke", "shop-dev:1.0", *STOLEN, "--yes", "--json")
    again = gate.call("decide", "revoke", "shop-dev:1.0", "--reason", "other", "--yes", "--json")
    assert first.json["revocation"] == again.json["revocation"]
    assert len(url.bodies) == 2


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_nothing_is_revoked_if_signer_cannot_be_reached(
    gate: CliGate, url: Served, more: tuple[str, ...]
) -> None:
    released(gate)
    result = gate.call("decide", "revoke", "shop-dev:1.0", *STOLEN, *more)
    assert (result.code, "add --yes" in result.err) == (2, True)
    assert url.bodies == []


@pytest.mark.parametrize(("answer", "code", "asked"), [("y\n", 0, 1), ("n\n", 1, 0), ("\n", 1, 0)])
def test_the_command_asks_the_person_before_it_starts(
    gate: CliGate, url: Served, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, asked: int
) -> None:
    released(gate)
    questions: list[Any] = []

    def confirm(text: str, **_how: Any) -> bool:
        questions.append(text)
        return answer.startswith("y")

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", confirm)
    result = gate.call("decide", "revoke", "shop-dev:1.0", *STOLEN)
    assert (result.code, len(url.bodies)) == (code, asked)
    assert "cannot be undone" in questions[0]


def test_ctrl_c_at_the_question_revokes_nothing(
    gate: CliGate, url: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    released(gate)

    def interrupt(_text: str, **_how: Any) -> bool:
        raise click.Abort

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", interrupt)
    result = gate.call("decide", "revoke", "shop-dev:1.0", *STOLEN)
    assert (result.code, result.err, url.bodies) == (130, "imagegate: nothing was revoked\n", [])


def test_revoking_an_unsigned_image_is_no_failure_of_the_function(gate: CliGate, url: Served) -> None:
    gate.blocked()
    result = gate.call("decide", "revoke", "shop-dev:1.0", *STOLEN, "--yes")
    assert (result.code, "no gate has signed it" in result.err) == (2, True)
