"""`imagegate release --adopt`: what was there before the gate, shown first, started a few at a time, resumable."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagegate.errors import ThrottledError
from imagegate.oci.image import OCI_MANIFEST, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.release.release import Release, StartReason
from imagegate_cli.context import Pauses
from tests.component.cli_gate import CliGate, Result, gate, with_stage
from tests.fakes import NOW, POLICY, FakeStarter

__all__ = ["gate"]

BEFORE = NOW - timedelta(days=30)


class Starting(FakeStarter):
    """Begins the attempt as the function would."""

    def __init__(self, gate: CliGate, fails_at: int | None = None) -> None:
        super().__init__()
        self._gate, self._fails_at = gate, fails_at
        self.error: BaseException = ThrottledError("slow down")

    def request(self, image: ImageRef, tags: Iterable[str], reason: str, by: str = "") -> None:
        if len(self.requests) == self._fails_at:
            raise self.error
        super().request(image, tags, reason)
        started = self._gate.world.starting().on_request(image, tags, StartReason(reason), self._gate.now)
        assert isinstance(started, Release)


@pytest.fixture
def old(gate: CliGate) -> CliGate:
    """Return a gate in front of repositories that are older than it; nothing sleeps."""
    gate.world.registry.names |= {"cart-dev", "tools", "shop-staging"}
    gate.world.starter = Starting(gate)
    return gate


def push(gate: CliGate, name: str, at: datetime = BEFORE, seed: str = "") -> ImageRef:
    repository, _, tag = name.partition(":")
    return gate.world.registry.push_image(repository, tag, seed=seed or name, at=at)


def adopt(gate: CliGate, pattern: str = "*", *arguments: str, **how: Any) -> Result:
    return gate.call("release", "--adopt", pattern, *arguments, **how)


def left_out(gate: CliGate, pattern: str = "*", *arguments: str) -> dict[str, str]:
    told = adopt(gate, pattern, "--dry-run", "--json", *arguments).json
    return {f"{one['repository']}:{one['tags'][0]}": one["left_out"] for one in told["left_out"]}


def to_start(gate: CliGate, pattern: str = "*", *arguments: str) -> list[str]:
    told = adopt(gate, pattern, "--dry-run", "--json", *arguments).json
    return [f"{one['repository']}:{','.join(one['tags'])}" for one in told["images"]]


def starter(gate: CliGate) -> Starting:
    found = gate.world.starter
    assert isinstance(found, Starting)
    return found


# What is started


def test_images_from_before_the_installation_are_started_the_oldest_first(old: CliGate) -> None:
    second = push(old, "shop-dev:1.1", BEFORE + timedelta(days=1))
    first = push(old, "shop-dev:1.0")
    result = adopt(old, "shop-*", "--yes")
    assert (result.code, result.err) == (0, "")
    assert starter(old).requests == [(first, ("1.0",), "adopted"), (second, ("1.1",), "adopted")]
    assert "2 releases to start; at this rate it takes 6 s" in result.out
    assert "2 releases started. Follow them: imagegate list --outcome open" in result.out
    assert old.world.ledger.latest(first) is not None


def test_all_tags_of_an_image_that_match_go_along(old: CliGate) -> None:
    image = push(old, "shop-dev:1.0", seed="same")
    push(old, "shop-dev:latest", seed="same")
    push(old, "shop-dev:other")
    assert to_start(old, "shop-dev") == ["shop-dev:1.0,latest", "shop-dev:other"]
    adopt(old, "shop-dev:1.*", "--yes")
    assert starter(old).requests == [(image, ("1.0",), "adopted")]


def test_only_repositories_of_stages_are_taken_and_the_others_named(old: CliGate) -> None:
    push(old, "tools:1")
    push(old, "shop-dev:1.0")
    push(old, "cart-dev:1.0")
    push(old, "shop-staging:2.0")
    assert to_start(old, "*", "--stage", "staging") == ["shop-staging:2.0"]
    assert set(to_start(old, "shop-*")) == {"shop-dev:1.0", "shop-staging:2.0"}
    result = adopt(old, "*", "--dry-run")
    assert "tools is left alone: no stage of the policy has it" in result.out


def test_why_an_image_is_left_out_is_said(old: CliGate) -> None:
    push(old, "shop-dev:new", NOW)
    released = push(old, "shop-dev:released")
    old.world.starting().on_request(released, ["released"], StartReason.OPERATOR, NOW)
    assert left_out(old) == {
        "shop-dev:new": "newer than the installation",
        "shop-dev:released": "has begun (attempt 1)",
    }
    result = adopt(old, "*", "--yes")
    assert "1 left out: newer than the installation" in result.out
    assert "1 left out: has begun" in result.out
    assert "Nothing is left to adopt." in result.out
    assert (result.code, starter(old).requests) == (0, [])


def test_signatures_and_other_artifacts_are_not_images(old: CliGate) -> None:
    registry = old.world.registry
    image = push(old, "shop-dev:1.0")
    empty = registry.push_blob("shop-dev", b"{}")
    raw = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.dev.cosign.simplesigning.v1+json",
        "config": {**empty.as_json(), "mediaType": "application/vnd.oci.empty.v1+json"},
        "layers": [],
        "subject": registry.manifests[image].descriptor.as_json(),
    }
    manifest = Manifest.parse(json.dumps(raw).encode())
    registry.push_manifest("shop-dev", manifest, f"sha256-{image.digest.hex}.sig")
    registry.pushed_at[ImageRef("shop-dev", manifest.digest)] = BEFORE
    assert list(left_out(old).values()) == ["no image, but an artifact"]
    assert to_start(old) == ["shop-dev:1.0"]


def test_a_tag_of_the_next_stage_from_before_is_not_moved(old: CliGate) -> None:
    push(old, "shop-dev:1.0", seed="dev's")
    push(old, "shop-staging:1.0", seed="staging's")
    same = push(old, "shop-dev:2.0", seed="the same")
    push(old, "shop-staging:2.0", seed="the same")
    assert left_out(old, "shop-dev") == {"shop-dev:1.0": "would move shop-staging:1.0 from another image"}
    assert to_start(old, "shop-dev") == ["shop-dev:2.0"]
    # What the gate itself has put there is protected by its claim.
    old.world.ledger.claim_tag("shop-staging", "1.0", same.digest, NOW)
    assert left_out(old, "shop-dev") == {}


def test_a_stage_that_is_entered_by_approval_only_moves_nothing(old: CliGate) -> None:
    old.deploy(with_stage(POLICY, "staging", approval=ApprovalTerms()))
    push(old, "shop-dev:1.0", seed="dev's")
    push(old, "shop-staging:1.0", seed="staging's")
    assert left_out(old, "shop-dev") == {}


# How


def test_the_rate_is_kept(old: CliGate) -> None:
    slept: list[float] = []
    old.pauses = Pauses(sleep=slept.append)
    for number in range(4):
        push(old, f"shop-dev:{number}")
    for rate, pause in (("10/m", 6.0), ("2/s", 0.5), ("60/h", 60.0)):
        slept.clear()
        old.world.ledger.releases.clear()
        adopt(old, "shop-dev", "--yes", "--rate", rate)
        assert slept == [pause] * 3


def test_no_more_than_the_limit_are_started_and_the_rest_is_next(old: CliGate) -> None:
    for number in range(5):
        push(old, f"shop-dev:{number}", BEFORE + timedelta(hours=number))
    result = adopt(old, "shop-dev", "--yes", "--limit", "2")
    assert "2 releases to start, and 3 more beyond --limit" in result.out
    adopt(old, "shop-dev", "--yes", "--limit", "2")
    adopt(old, "shop-dev", "--yes", "--limit", "2")
    assert [tags for _, tags, _ in starter(old).requests] == [("0",), ("1",), ("2",), ("3",), ("4",)]


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KeyboardInterrupt(), 130, "interrupted: 2 of 4 were started; the same command goes on from there"),
        (ThrottledError("slow down"), 2, "2 of 4 were started; the same command goes on from there"),
    ],
)
def test_an_interrupted_adoption_says_how_many_were_started_and_can_go_on(
    old: CliGate, error: BaseException, code: int, says: str
) -> None:
    for number in range(4):
        push(old, f"shop-dev:{number}")
    old.world.starter = Starting(old, fails_at=2)
    starter(old).error = error
    result = adopt(old, "shop-dev", "--yes")
    assert result.code == code
    assert says in result.err
    old.world.starter = Starting(old)
    assert adopt(old, "shop-dev", "--yes", "--json").json["started"] == 2
    assert adopt(old, "shop-dev", "--yes", "--json").json["started"] is None


def test_a_dry_run_starts_nothing(old: CliGate) -> None:
    push(old, "shop-dev:1.0")
    result = adopt(old, "shop-dev", "--dry-run")
    assert (result.code, starter(old).requests) == (0, [])
    assert "1 release to start\n" in result.out
    assert adopt(old, "shop-dev", "--dry-run", "--json").json["started"] is None


def test_without_a_terminal_the_command_cannot_ask(old: CliGate) -> None:
    push(old, "shop-dev:1.0")
    result = adopt(old, "shop-dev")
    assert (result.code, result.out, starter(old).requests) == (2, "", [])
    assert "add --yes to start, or --dry-run to look first" in result.err
    assert "--json asks no questions" in adopt(old, "shop-dev", "--json").err


@pytest.mark.parametrize(("answer", "code", "started"), [("y", 0, 1), ("n", 1, 0), ("", 1, 0)])
def test_on_a_terminal_the_command_asks(
    old: CliGate, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, started: int
) -> None:
    push(old, "shop-dev:1.0")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(text)
        return answer

    monkeypatch.setattr("click.termui.visible_prompt_func", ask)
    result = adopt(old, "shop-dev")
    assert (result.code, len(starter(old).requests)) == (code, started)
    assert result.out.startswith("REPOSITORY")
    assert "Start 1 release?" in "".join(asked) + result.err


def test_progress_is_said_now_and_then_without_a_terminal(old: CliGate) -> None:
    for number in range(4):
        push(old, f"shop-dev:{number}")
    old.pauses = Pauses(sleep=lambda _seconds: None, report=0.0)
    result = adopt(old, "shop-dev", "--yes")
    assert result.err.splitlines()[0] == "1 of 4 started, about 18 s left; Ctrl-C stops, and loses nothing"
    assert len(result.err.splitlines()) == 3


# Questions to the person


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name one image, REPOSITORY:TAG, or many with --adopt PATTERN"),
        (["shop-dev:1.0", "--adopt", "shop-*"], "leave out the rest"),
        (["--adopt", "shop-*", "--wait"], "leave out the rest"),
        (["shop-dev:1.0", "--yes", "--dry-run"], "only --adopt knows --dry-run, --yes"),
        (["--adopt", "shop *"], "no image can match 'shop *'"),
        (["--adopt", "shop-*:"], "no image can match"),
        (["--adopt", "shop-*", "--rate", "fast"], "is no rate; write 10/m"),
        (["--adopt", "shop-*", "--rate", "0/m"], "is no rate"),
        (["--adopt", "shop-*", "--limit", "0"], "is not in the range"),
        (["--adopt", "nobody-*", "--yes"], "no repository matches nobody-* in account 123456789012"),
        (["--adopt", "shop-*", "--yes", "--stage", "qa"], "no stage 'qa'; there are dev, staging"),
    ],
)
def test_a_wrong_call_is_one_line(old: CliGate, arguments: list[str], says: str) -> None:
    result = old.call("release", *arguments)
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert len(result.err.splitlines()) == 1


def test_an_installation_that_is_not_noted_adopts_nothing(old: CliGate) -> None:
    push(old, "shop-dev:1.0")
    old.installed_at = None
    result = adopt(old, "*", "--yes")
    assert (result.code, starter(old).requests) == (2, [])
    assert "does not say when imagegate was installed" in result.err


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_the_preview_fits_and_is_cut_where_it_is_long(old: CliGate, columns: int) -> None:
    for number in range(60):
        push(old, f"cart-dev:release-{number}.0-with-a-long-name")
        push(old, f"cart-dev:new-{number}", NOW)
    result = adopt(old, "cart-*", "--dry-run", columns=columns)
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= columns
    assert "… and 65 more; --json shows all" in lines
    assert "60 left out: newer than the installation" in lines
