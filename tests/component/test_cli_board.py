"""`imagegate board`: what the page and its JSON say about applications, images, people and vulnerabilities."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from imagegate.board import html as board_html
from imagegate.board.status import ImageState
from imagegate.deployment.rollback import Rollback
from imagegate.html_page import source_hash
from imagegate.oci.image import ImageRef
from imagegate.release.release import Outcome
from tests.component.boards import change, fill
from tests.component.cli_gate import CALLER, CliGate, gate
from tests.fakes import NOW

__all__ = ["gate"]

# States that other tests reach: by the answers of people, by later findings, and the one that all begin with.
MADE_BY_OTHERS = {ImageState.REJECTED, ImageState.EXPIRED, ImageState.AT_RISK, ImageState.RELEASED}


@pytest.fixture
def images(gate: CliGate) -> dict[str, ImageRef]:
    return fill(gate)


def page(gate: CliGate, folder: Path) -> str:
    result = gate.call("board", "--out", str(folder))
    assert (result.code, result.out) == (0, "")
    return (folder / "index.html").read_text(encoding="utf-8")


def text_of(html: str) -> str:
    parts: list[str] = []

    class Text(HTMLParser):
        def handle_data(self, data: str) -> None:
            parts.append(data)

    Text().feed(html)
    return " ".join(" ".join(parts).split())


def cells(gate: CliGate) -> dict[tuple[str, str], dict[str, Any]]:
    board = gate.call("board", "--json").json
    return {
        (application["name"], stage): cell
        for application in board["applications"]
        for stage, cell in application["stages"].items()
    }


def shown(gate: CliGate) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return tag and state of the current image of each cell, and of a newer one."""
    return {
        where: tuple(
            f"{image['tags'][0]} {image['state']}"
            for image in (cell["current"], cell["newer"])
            if image is not None
        )
        for where, cell in cells(gate).items()
    }


def test_each_cell_has_what_stands_and_what_is_newer(gate: CliGate, images: dict[str, ImageRef]) -> None:
    assert {where: what for where, what in shown(gate).items() if what} == {
        ("auth", "dev"): ("0.1 failed",),
        ("cart", "dev"): ("2.1 released",),
        ("cart", "staging"): ("2.0 released",),
        ("cart", "production"): ("2.0 released",),
        ("search", "staging"): ("8 soaking",),
        ("search", "production"): ("7 revoked",),
        ("shop", "dev"): ("1.5 released", "1.6 blocked"),
        ("shop", "staging"): ("1.5 waiting for approval",),
        ("shop", "production"): ("1.4 at risk",),
    }


def test_a_stage_is_compared_with_the_one_before(gate: CliGate, images: dict[str, ImageRef]) -> None:
    differences = {where: cell["difference"] for where, cell in cells(gate).items()}
    assert differences["cart", "production"] == "same image as staging"
    assert differences["cart", "staging"] == "dev has 2.1: adds 1 critical, 1 high; removes none"
    # the later findings of the current image count, not those of its release
    assert differences["shop", "production"] == "staging has 1.5: adds 1 high; removes 1 critical, 1 low"
    assert differences["shop", "dev"] is None


def test_what_is_to_be_done_is_in_order_with_who_and_how(gate: CliGate, images: dict[str, ImageRef]) -> None:
    board = gate.call("board", "--json").json
    steps = {
        one["image"]: (one["state"], one["who"], one["command"])
        for application in board["applications"]
        for one in application["nextSteps"]
    }
    approve = 'imagegate decide approve shop-staging:1.5 --reason "…"'
    assert steps == {
        "search-production:7": (
            "revoked",
            "the team of the application",
            'imagegate rollback search production --reason "…"',
        ),
        "shop-production:1.4": ("at risk", "who may approve shop-staging:1.5", approve),
        "shop-staging:1.5": ("waiting for approval", "tag:team=platform", approve),
        "shop-dev:1.6": ("blocked", "team-shop", "imagegate status shop-dev:1.6"),
        "auth-dev:0.1": ("failed", "the owners of the gate", "imagegate release auth-dev:0.1"),
    }


def test_a_next_step_says_what_it_leads_to(gate: CliGate, images: dict[str, ImageRef]) -> None:
    def steps() -> dict[str, dict[str, str]]:
        applications = gate.call("board", "--json").json["applications"]
        return {step["image"]: step for one in applications for step in one["nextSteps"]}

    told = steps()
    assert told["shop-staging:1.5"]["action"] == "It adds 1 high; removes 1 critical, 1 low. Decide."
    assert told["shop-production:1.4"]["why"].endswith("; 6 running")
    assert "Roll back to search-production:6," in told["search-production:7"]["action"]
    revoked = gate.world.ledger.releases[images["revoked"], 1].revoked
    change(gate, images["safe"], revoked=revoked)
    alone = steps()["search-production:7"]
    assert alone["action"] == "No release before it is known: release another image."
    assert alone["command"] == "imagegate status search-production:7"


def test_the_page_shows_risk_people_and_proof(
    gate: CliGate, images: dict[str, ImageRef], tmp_path: Path
) -> None:
    html = page(gate, tmp_path)
    text = text_of(html)
    assert re.search(r"2 at risk or revoked in production 0 at risk or revoked elsewhere 1 waiting", text)
    names = ["search-production:7", "shop-production:1.4", "shop-staging:1.5", "shop-dev:1.6", "auth-dev:0.1"]
    to_do = text[text.index("To do") : text.index("Applications")]
    assert sorted(names, key=to_do.index) == names
    release = gate.world.ledger.releases[images["at risk"], 1]
    for proof in (
        "State revoked since 2026-11-20 08:00 UTC",
        "revoked It passed, and its signature was revoked later.",
        f"Signature {release.signature} , by the production gate",
        f"Decision record {release.decision}",
        f"Approved by {CALLER} on 2026-11-09 08:00 UTC : tested",
        "service:shop: 6 running",
        f"imagegate verify {release.image} --gate production",
        "CVE-2026-4001 critical zlib zlib 1.2.13 cart-dev:2.1 (dev) shop-production:1.4 (production)",
        "CVE-2026-4001 in zlib, waived until 2026-11-30 by team-cart: not reachable from outside",
    ):
        assert proof in text, proof


def test_the_page_runs_nothing_and_asks_for_nothing(
    gate: CliGate, images: dict[str, ImageRef], tmp_path: Path
) -> None:
    html = page(gate, tmp_path)
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1].replace("&#39;", "'") == (
        f"default-src 'none'; style-src {source_hash(style)}; form-action 'none'; base-uri 'none'"
    )
    assert not re.search(r"<script|<link|<img|<iframe|url\(|@import| on[a-z]+=| style=", html)
    links = [link for link in re.findall(r'href="([^"]*)"', html) if not link.startswith("#")]
    assert {link.rpartition("/")[0] for link in links} == {"https://nvd.nist.gov/vuln/detail"}  # for a click
    assert set(re.findall(r'href="#([^"]*)"', html)) <= set(re.findall(r' id="([^"]*)"', html))


def test_findings_that_are_not_known_are_not_taken_for_none(
    gate: CliGate, images: dict[str, ImageRef]
) -> None:
    decision = gate.world.ledger.releases[images["fine"], 1].decision
    assert decision is not None
    assert cells(gate)["cart", "production"]["current"]["findings"] == {}
    del gate.world.records.contents[decision]
    assert cells(gate)["cart", "production"]["current"]["findings"] is None


def test_after_a_rollback_the_earlier_image_stands(gate: CliGate, images: dict[str, ImageRef]) -> None:
    image = images["waived"]
    later = gate.judged("2.2", [], repository="cart-dev")
    assert shown(gate)["cart", "dev"] == ("2.2 released",)
    back = Rollback("cart-dev", image.digest, later.digest, CALLER, NOW + timedelta(minutes=1), "slow")
    gate.world.ledger.note_rollback(back)
    assert shown(gate)["cart", "dev"] == ("2.1 released",)


def test_an_old_image_that_is_judged_again_does_not_replace_what_stands(
    gate: CliGate, images: dict[str, ImageRef]
) -> None:
    old = gate.world.ledger.releases[images["before"], 1]
    gate.judged("1.7", [], repository="shop-dev")
    again = replace(old, attempt=2, outcome=Outcome.BLOCKED, verdict="BLOCK", started_at=NOW)
    gate.world.ledger.releases[old.image, 2] = again
    assert shown(gate)["shop", "dev"] == ("1.7 released",)


@pytest.mark.parametrize("state", sorted(set(ImageState) - MADE_BY_OTHERS))
def test_an_image_that_somebody_must_act_on_has_a_step_and_no_other_has(
    gate: CliGate, images: dict[str, ImageRef], state: ImageState
) -> None:
    changes: dict[ImageState, dict[str, Any]] = {
        ImageState.RUNNING: {"outcome": None},
        ImageState.SOAKING: {"outcome": None, "soaks_until": NOW},
        ImageState.OBSERVED: {"verdict": "BLOCK"},
        ImageState.BROKEN_GLASS: {"verdict": "BLOCK", "break_glass": "until noon"},
        ImageState.REVOKED: {"revoked": gate.world.ledger.releases[images["revoked"], 1].revoked},
        ImageState.WAITING: {"outcome": Outcome.HELD},
        **{ImageState(one): {"outcome": one} for one in ("blocked", "conflict", "superseded", "withdrawn")},
        ImageState.FAILED: {"outcome": Outcome.FAILED},
    }
    quiet = {ImageState.RUNNING, ImageState.SOAKING, ImageState.SUPERSEDED, ImageState.WITHDRAWN}
    change(gate, images["same"], **changes[state])
    steps = gate.call("board", "--json").json["applications"][1]["nextSteps"]
    assert [one["state"] for one in steps] == ([] if state in quiet else [str(state)])
    assert all(one["who"] and one["action"] and one["command"] for one in steps)


def test_a_request_that_has_expired_is_a_step(gate: CliGate, images: dict[str, ImageRef]) -> None:
    gate.now = NOW + timedelta(days=30)
    steps = gate.call("board", "--json").json["applications"][3]["nextSteps"]
    assert ("expired", "imagegate release shop-staging:1.5") in [
        (one["state"], one["command"]) for one in steps
    ]


def test_of_many_applications_only_what_is_open_is_printed(
    gate: CliGate, images: dict[str, ImageRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = '<section aria-labelledby="proof" class="prints-open">'
    assert mark not in page(gate, tmp_path)
    monkeypatch.setattr(board_html, "_PRINTED_WHOLE", 3)
    assert mark in page(gate, tmp_path)


def test_an_empty_gate_has_a_page(gate: CliGate, tmp_path: Path) -> None:
    text = text_of(page(gate, tmp_path))
    assert "Nothing waits for anybody." in text
    assert "No image was pushed yet" in text


def test_where_the_page_goes_must_be_said(gate: CliGate, tmp_path: Path) -> None:
    assert gate.call("board").code == 2
    file = tmp_path / "file"
    file.touch()
    assert gate.call("board", "--out", str(file / "x")).code == 2
