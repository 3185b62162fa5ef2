"""The judge takes findings that are whole and at rest, and looks twice where enhanced scanning finds nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from imagegate import function_settings
from imagegate.errors import FindingsChangedError
from imagegate.findings.coverage import Coverage
from imagegate.findings.finding import Finding
from imagegate.findings.scan import SECOND_LOOK, Scanning, ScanStatus, WaitOutcome
from imagegate.findings.versions import VERSIONS
from imagegate.gate.decision_record import Decision
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import ImageRef
from imagegate.policy.policy import Scanner
from imagegate.release.release import ReleaseId
from imagegate.settings import MissingSettingError
from imagegate.workflow.examination.examine import ExaminedImage
from imagegate.workflow.examination.looks import NotYet
from imagegate.workflow.examination.replay import Replay
from imagegate.workflow.judge import JudgeResult, JudgeRoute
from imagegate_cli.judgement import remote
from tests.component.one_gate import World
from tests.fakes import DEV, LATER, NOW, FakeScans, critical

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
PENDING = (Coverage("ACTIVE", "PENDING_INITIAL_SCAN"),)


@dataclass
class MovingScans(FakeScans):
    """`moves` are made one by one, each while findings are read."""

    moves: list[Callable[[ImageRef], None]] = field(default_factory=list)

    def findings(self, image: ImageRef) -> Iterator[Finding]:
        yield from super().findings(image)
        if self.moves:
            self.moves.pop(0)(image)


@pytest.fixture
def world() -> World:
    return World(scans=MovingScans(kind=Scanner.ENHANCED))


def pushed(world: World, *found: Finding) -> ImageRef:
    image = world.registry.push_image(DEV, "1.0", at=NOW - MINUTE)
    world.scans.finish(image, found)
    world.start(image)
    return image


def change(world: World, image: ImageRef, **changes: object) -> None:
    status = world.scans.results[image.digest]
    world.scans.results[image.digest] = replace(status, **changes)  # type: ignore[arg-type]


def moving(world: World) -> list[Callable[[ImageRef], None]]:
    assert isinstance(world.scans, MovingScans)
    return world.scans.moves


def record(world: World, judged: JudgeResult) -> Decision:
    assert judged.decision is not None
    return Decision.decode(world.records.decision(judged.decision))


def test_the_time_until_the_second_look_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECOND_LOOK_SECONDS", "60")
    assert function_settings.second_look() == SECOND_LOOK == MINUTE
    monkeypatch.delenv("SECOND_LOOK_SECONDS")
    with pytest.raises(MissingSettingError):  # never no second look
        function_settings.second_look()


# two looks


def test_an_empty_enhanced_scan_is_not_judged_at_the_first_look(world: World) -> None:
    image = pushed(world)
    judged = world.judge(image, now=NOW)
    assert (judged.route, judged.decision) == (JudgeRoute.LOOK_AGAIN, None)
    assert world.ledger.get(ReleaseId(image, 1)).clean_since == {image.digest: NOW}


def test_a_second_look_a_minute_later_that_finds_nothing_either_passes_it(world: World) -> None:
    image = pushed(world)
    world.judge(image, now=NOW)
    judged = world.judge(image, now=NOW + SECOND_LOOK)
    assert judged.route is JudgeRoute.SIGN
    [scan] = record(world, judged).scans
    assert scan["cleanSince"] == "2026-11-21T08:00:00Z"
    assert scan["coverage"] == [
        {"status": "ACTIVE", "reason": "SUCCESSFUL", "lastScannedAt": "2026-11-21T07:59:00Z"}
    ]


def test_an_early_look_changes_nothing_however_often_it_happens(world: World) -> None:
    image = pushed(world)
    for seconds in (0, 0, 30, 59.999):
        assert world.judge(image, now=NOW + timedelta(seconds=seconds)).route is JudgeRoute.LOOK_AGAIN
    assert world.judge(image, now=NOW + timedelta(days=3)).route is JudgeRoute.SIGN


def test_findings_that_come_between_two_looks_block(world: World) -> None:
    image = pushed(world)
    world.judge(image, now=NOW)
    world.scans.finish(image, critical())
    assert world.judge(image, now=NOW + MINUTE).verdict is VerdictOutcome.BLOCK


def test_an_image_that_is_pushed_again_is_looked_at_twice_again(world: World) -> None:
    image = pushed(world)
    world.judge(image, now=NOW)
    world.registry.pushed_at[image] = NOW + SECOND
    world.scans.finish(image)
    assert world.judge(image, now=NOW + MINUTE).route is JudgeRoute.LOOK_AGAIN
    assert world.judge(image, now=NOW + 2 * MINUTE).route is JudgeRoute.SIGN


def test_each_platform_is_looked_at_twice(world: World) -> None:
    image, (one, other) = world.index("amd64", "arm64")
    world.scans.finish(one)
    world.scans.finish(other, critical())
    world.start(image)
    world.judge(image, now=NOW)
    world.scans.finish(other)
    assert world.judge(image, now=NOW + MINUTE).route is JudgeRoute.LOOK_AGAIN
    assert world.judge(image, now=NOW + 2 * MINUTE).route is JudgeRoute.SIGN


def test_findings_and_basic_scans_need_one_look(world: World) -> None:
    image = pushed(world, *critical())
    assert world.judge(image, now=NOW).verdict is VerdictOutcome.BLOCK
    world.scans.kind = Scanner.BASIC
    world.scans.finish(image)
    assert world.judge(image, now=NOW).route is JudgeRoute.SIGN


def test_a_look_after_the_wait_was_given_up_is_confirmed_too(world: World) -> None:
    image = pushed(world)
    late = NOW + timedelta(hours=1)
    assert world.judge(image, now=late).route is JudgeRoute.LOOK_AGAIN
    assert world.judge(image, now=late + MINUTE).route is JudgeRoute.SIGN


@pytest.mark.parametrize("kind", Scanner)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("early", [False, True])
def test_a_record_is_judged_again_by_its_own_facts(
    world: World, kind: Scanner, late: bool, early: bool
) -> None:
    world.scans.kind = kind
    image = pushed(world, *critical(0 if early else 2))
    if early:  # as users have recorded it; judged only when the wait is over
        change(world, image, coverage=(), counts={}, has_counts=False, completed_at=None)
        late = True
    now = NOW + timedelta(minutes=30) if late else NOW
    decision = record(world, world.judge(image, now=now))
    assert decision.verdict is VerdictOutcome.BLOCK
    assert Replay(world.records, VERSIONS).again(decision).encode() == decision.encode()


# lists that are not whole


def test_fewer_findings_than_the_scan_counts_are_looked_at_again_and_refused_in_the_end(
    world: World,
) -> None:
    image = pushed(world, *critical(3))
    world.scans.lists[image.digest] = []
    assert world.judge(image, now=NOW).route is JudgeRoute.LOOK_AGAIN
    judged = world.judge(image, now=NOW + timedelta(minutes=30))
    assert judged.verdict is VerdictOutcome.ERROR
    assert [reason["rule"] for reason in record(world, judged).reasons] == ["findings.incomplete"]


def test_more_findings_than_the_scan_counts_never_pass(world: World) -> None:
    image = pushed(world)
    world.scans.lists[image.digest] = critical()
    for now in (NOW, NOW + MINUTE, NOW + timedelta(minutes=30)):
        assert world.judge(image, now=now).verdict is not VerdictOutcome.PASS


def test_a_scan_that_is_run_again_while_it_is_read_is_read_again(world: World) -> None:
    image = pushed(world, *critical())
    moving(world).append(lambda image: world.scans.finish(image, critical(2)))
    assert "2 CRITICAL" in record(world, world.judge(image, now=NOW)).reasons[0]["message"]


@pytest.mark.parametrize("kind", Scanner)
def test_a_reading_during_a_change_of_scanner_never_counts(world: World, kind: Scanner) -> None:
    """The reading counts only if the scanner was the same before and after."""
    world.scans.kind = kind
    image = pushed(world)
    world.scans.kind = next(other for other in Scanner if other is not kind)
    moving(world).append(lambda image: world.scans.finish(image, critical()))
    judged = world.judge(image, now=NOW + MINUTE)
    assert judged.verdict is VerdictOutcome.BLOCK
    assert record(world, judged).scans[0]["basis"] != kind.upper()


def test_a_scan_that_begins_again_while_it_is_read_is_awaited_again(world: World) -> None:
    image = pushed(world, *critical())
    moving(world).append(lambda image: change(world, image, coverage=PENDING))
    judged = world.judge(image, now=NOW)
    assert (judged.route, judged.decision) == (JudgeRoute.AWAIT, None)


def test_a_scan_that_never_settles_ends_in_an_error_and_never_in_a_pass(world: World) -> None:
    image = pushed(world, replace(critical()[0], severity=next(iter(critical())).severity))
    times = (f"2026-11-21T09:00:{second:02}Z" for second in range(60))
    moves = [lambda image: change(world, image, completed_at=next(times))] * 6
    moving(world).extend(moves)
    assert world.judge(image, now=NOW).route is JudgeRoute.LOOK_AGAIN
    with pytest.raises(FindingsChangedError):
        world.judge(image, now=NOW + timedelta(hours=1))


# who wakes a release


@pytest.mark.parametrize(
    "missing",
    [
        {"coverage": ()},
        {"coverage": PENDING},
        {"coverage": (Coverage("ACTIVE", "SUCCESSFUL", "2026-11-21T07:00:00Z"),)},
        {"counts": {}, "has_counts": False, "completed_at": None},
        {"status": "PENDING"},
    ],
    ids=str,
)
def test_a_result_that_lacks_something_is_not_judged_whoever_wakes_its_release(
    world: World, missing: dict[str, object]
) -> None:
    image = pushed(world, *critical())
    whole: ScanStatus = world.scans.results[image.digest]
    change(world, image, status="PENDING")
    assert world.wait(image) is None
    change(world, image, **missing)
    assert world.reconcile().woken == 0
    assert world.completed().on_scan(image, LATER) == 1  # by its event alone: the judge looks for itself
    says_it_is_over = world.scans.results[image.digest].says_it_is_over
    judged = world.judge(image, now=NOW)
    assert judged.route is (JudgeRoute.LOOK_AGAIN if says_it_is_over else JudgeRoute.AWAIT)
    assert judged.decision is None
    world.scans.results[image.digest] = whole
    assert world.judge(image, now=NOW).verdict is VerdictOutcome.BLOCK


def test_a_scan_that_says_it_is_over_ends_the_wait_and_the_judge_says_whether_it_counts(world: World) -> None:
    image = pushed(world, *critical())
    change(world, image, coverage=PENDING)
    assert world.wait(image) is WaitOutcome.READY
    assert world.judge(image, now=NOW).route is JudgeRoute.LOOK_AGAIN


def test_an_image_that_inspector_never_scans_ends_the_wait_at_once(world: World) -> None:
    image = pushed(world)
    change(world, image, coverage=(Coverage("INACTIVE", "IMAGE_SIZE_EXCEEDED"),))
    assert world.wait(image) is WaitOutcome.READY
    judged = world.judge(image, now=NOW)
    [reason] = record(world, judged).reasons
    assert (reason["rule"], judged.verdict) == ("scan.failed", VerdictOutcome.BLOCK)
    assert reason["message"].startswith("IMAGE_SIZE_EXCEEDED: ")


# the command line


def test_the_command_line_looks_twice_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pushed(world)
    slept: list[float] = []
    monkeypatch.setattr("imagegate_cli.judgement.remote.time.sleep", slept.append)

    def looked(at: datetime) -> ExaminedImage | NotYet:
        release = replace(world.ledger.get(ReleaseId(image, 1)), started_at=at)
        stage = world.policy.stages["dev"]
        here = world.registry.facts(image)
        return remote._examine_twice(world.judging().examine, world.policy, stage, release, here)

    found = looked(NOW)
    assert isinstance(found, ExaminedImage)
    assert (found.found.verdict.outcome, slept) == (VerdictOutcome.PASS, [60.0])
    world.judge(image, now=NOW)  # the pipeline has looked before
    assert isinstance(looked(NOW + MINUTE), ExaminedImage)
    assert slept == [60.0]


def test_the_command_line_starts_no_scan(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    world.scans.way = Scanning.ON_REQUEST
    stack = SimpleNamespace(
        images=world.scans, scans=world.scans, ledger=world.ledger, output=lambda name: "x"
    )
    examine = remote._examine(stack)  # type: ignore[arg-type]
    assert examine.why_never(world.scans, [image]) is None
    assert world.scans.started == []
