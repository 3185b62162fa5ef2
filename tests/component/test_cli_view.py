"""The command line's output fits any terminal, and its input is read strictly."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import RenderableType

from imagegate.board import release_facts as facts
from imagegate.board.status import ImageStatus, state_of
from imagegate.errors import RejectedInputError
from imagegate.evidence.sbom import Sbom
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.release import Outcome, Release, StartReason
from imagegate_cli import durations
from imagegate_cli.output import screen
from imagegate_cli.reference import RepositoryReference
from imagegate_cli.releases import view
from imagegate_cli.releases.exit_codes import EXIT_CODES
from imagegate_cli.releases.steps import StepState, steps_of

STARTED = datetime(2026, 11, 21, 7, 52, 38, tzinfo=UTC)
IMAGE = ImageRef("shop-dev", Digest.of(b"shown"))
OVER_LIMIT = {
    "rule": "findings.critical",
    "message": "2 CRITICAL (at most 0): CVE-2021-44228, CVE-2022-0778",
    "action": "enforce",
}


def _rendered(releases: list[Release], width: int) -> list[str]:
    return _printed(view.table_of(releases, STARTED + timedelta(minutes=3), width), width).splitlines()


def _printed(shown: RenderableType, width: int) -> str:
    console = screen.console()
    console.width, console.file = width, io.StringIO()
    console.print(shown)
    return console.file.getvalue()


def _closed(**fields: Any) -> Release:
    base = Release(
        image=IMAGE,
        attempt=1,
        stage="dev",
        policy=Digest.of(b"policy"),
        tags=frozenset({"1.0"}),
        reason=StartReason.PUSH,
        started_at=STARTED,
        closed_at=STARTED + timedelta(seconds=2),
        outcome=Outcome.BLOCKED,
        verdict="BLOCK",
        reasons=[OVER_LIMIT],
    )
    return replace(base, **fields)


def _status(release: Release) -> ImageStatus:
    return ImageStatus(release, state_of(release))


@pytest.mark.parametrize("width", [60, 80, 120, 240])
def test_a_table_fits_and_loses_nothing(width: int) -> None:
    lines = _rendered([_closed()], width)
    assert max(map(len, lines)) <= width
    words = set(" ".join(lines).split())
    assert {"blocked", "CVE-2021-44228,", "CVE-2022-0778", "shop-dev:1.0"} <= words


def test_a_digest_stays_whole_in_80_columns() -> None:
    shown = _closed(
        signature=Digest.of(b"signature"),
        decision=Digest.of(b"decision"),
        outcome=Outcome.HELD,
        break_glass="by ann until 2026-11-30",
        started_by="arn:aws:iam::123456789012:user/ann",
    )
    printed = _printed(view.detail_of(_status(shown), STARTED), 80)
    for digest in (shown.image.digest, shown.signature, shown.decision, shown.policy):
        assert str(digest) in printed


def test_status_shows_the_result_of_the_sbom() -> None:
    release = _closed(sbom=Sbom("none: no\x1b file"))
    printed = _printed(view.detail_of(_status(release), STARTED), 120)
    assert "SBOM     none: no\\x1b file" in printed
    assert facts.as_json(_closed(sbom=Sbom("none: x")))["sbom"] == {"note": "none: x", "manifests": []}


def test_names_from_images_cannot_steer_the_terminal() -> None:
    evil = OVER_LIMIT | {"message": "1 CRITICAL: \x1b[2Jgone\r\x07"}
    text = "\n".join(_rendered([_closed(reasons=[evil])], 120))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "1 CRITICAL: \\x1b[2Jgone" in text


def test_markup_in_names_is_only_text() -> None:
    text = "\n".join(_rendered([_closed(reasons=[OVER_LIMIT | {"message": "[bold]x[/nonsense]"}])], 120))
    assert "[bold]x[/nonsense]" in text


def test_the_steps_of_an_open_release() -> None:
    waiting = _closed(outcome=None, closed_at=None, verdict=None, reasons=[])
    assert _states(waiting) == [StepState.RUNNING, *[StepState.WAITING] * 4]
    passed = replace(waiting, verdict="PASS")
    assert _states(passed) == [
        StepState.DONE,
        StepState.DONE,
        StepState.RUNNING,
        StepState.WAITING,
        StepState.WAITING,
    ]
    blocked = replace(waiting, verdict="BLOCK")
    assert _states(blocked)[2:] == [StepState.SKIPPED, StepState.SKIPPED, StepState.RUNNING]


def test_the_steps_of_an_ended_release() -> None:
    assert _states(_closed()) == [
        StepState.DONE,
        StepState.DONE,
        StepState.SKIPPED,
        StepState.SKIPPED,
        StepState.DONE,
    ]
    signature = Digest.of(b"signature")
    held = _closed(outcome=Outcome.HELD, verdict="PASS", reasons=[], signature=signature)
    assert _states(held) == [
        StepState.DONE,
        StepState.DONE,
        StepState.DONE,
        StepState.SKIPPED,
        StepState.DONE,
    ]


def test_the_history_tells_where_a_release_failed() -> None:
    failed = _closed(outcome=Outcome.FAILED, verdict="PASS", reasons=[])
    entered = ["Await Scan", "Judge Image", "Is Image Allowed?", "Sign Image", "Announce Failure", "Failed"]
    states = [step.state for step in steps_of(failed, entered)]
    assert states == [StepState.DONE, StepState.DONE, StepState.FAILED, StepState.SKIPPED, StepState.DONE]


def _states(release: Release) -> list[StepState]:
    return [step.state for step in steps_of(release)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (1.94, "1.9 s"), (42, "42 s"), (700, "12 min"), (7300, "2 h"), (864_000, "10 d")],
)
def test_durations_are_written_in_one_unit(seconds: float, text: str) -> None:
    assert durations.span(seconds) == text


def test_every_outcome_has_an_exit_code_and_says_why() -> None:
    assert set(EXIT_CODES) == set(Outcome)


# References


def test_a_digest_counts_more_than_a_tag() -> None:
    digest = "sha256:" + hashlib.sha256(b"x").hexdigest()
    reference = RepositoryReference.parse(f"team/shop-dev:1.0@{digest}")
    assert (reference.repository, str(reference.digest)) == ("team/shop-dev", digest)


def test_a_dot_in_a_repository_is_no_registry() -> None:
    assert RepositoryReference.parse("my.org/shop-dev:1.0").repository == "my.org/shop-dev"


@pytest.mark.parametrize("text", ["", ":1", "shop:-x", "shop:a b", "shop@", "shop:1@sha256:xyz", "a//b"])
def test_nonsense_is_no_reference(text: str) -> None:
    with pytest.raises(RejectedInputError):
        RepositoryReference.parse(text)
