"""The reconciler works in turns: one run at a time, within its time, and the next one goes on where it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from benchmarks import reconcile as benchmark
from imagegate.aws import dynamodb
from imagegate.aws.ecr import images as ecr_images
from imagegate.aws.ecr import scans as ecr_scans
from imagegate.errors import ThrottledError
from imagegate.oci.image import ImageRef
from imagegate.release.release import EcrImage
from imagegate.workflow.examination.freed import considered
from imagegate.workflow.watch import lost
from imagegate.workflow.watch import sweep as sweeping
from imagegate.workflow.watch.reconcile import Reconciled
from imagegate.workflow.watch.sweep import Sweep, Workers
from tests.component.one_gate import World
from tests.fakes import DEV, NOW, InTurn, critical

FIVE_MINUTES = timedelta(minutes=5)
REPOSITORIES = [f"app{number:02d}-dev" for number in range(12)]
FAR_TOO_LATE = 1_000.0


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a gate whose reconciler looks at the clock after each item."""
    monkeypatch.setattr(sweeping, "_ITEMS_A_THREAD", 1)
    return World()


@pytest.fixture
def looks(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the repositories that are looked at, as they are. Each has one image whose event was lost."""
    looked: list[str] = []
    world.registry.names = set(REPOSITORIES)
    for name in REPOSITORIES:
        world.registry.push_image(name, "1.0", seed=name)
    listed = world.registry.all_images

    def noted(repository: str) -> Iterator[EcrImage]:
        looked.append(repository)
        return listed(repository)

    monkeypatch.setattr(world.registry, "all_images", noted)
    return looked


def run(world: World, elapsed: Callable[[], float], number: int = 0) -> Reconciled:
    step = replace(world.reconciling(), workers=Workers(InTurn(), 1), stopwatch=lambda: elapsed)
    result = step.run(NOW + number * FIVE_MINUTES)
    assert result is not None
    return result


def test_a_run_that_meets_another_one_does_nothing(world: World) -> None:
    image = world.registry.push_image(DEV, "1.0")
    assert world.ledger.take_turn("reconcile", NOW, timedelta(seconds=130)) is not None
    assert world.reconciling().run(NOW) is None
    assert world.starter.requests == []
    # A run that was killed loses its turn by time.
    assert world.reconcile(NOW + FIVE_MINUTES).started == 1
    assert world.starter.requests[0][0] == image


@pytest.mark.parametrize("a_run", [1, 5, 12, 13])
def test_a_pass_looks_once_at_each_repository_however_many_runs_it_takes(
    world: World, looks: list[str], a_run: int
) -> None:
    results: list[Reconciled] = []
    while not results or not results[-1].is_over:
        before = len(looks)
        results.append(
            run(world, lambda: FAR_TOO_LATE if len(looks) >= before + a_run else 0.0, len(results))  # noqa: B023
        )
    assert looks == REPOSITORIES
    assert sum(result.started for result in results) == len(REPOSITORIES)
    assert {image.repository for image, _, _ in world.starter.requests} == set(REPOSITORIES)


def test_a_run_that_is_killed_loses_only_what_it_was_about(
    world: World, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost, "_REPOSITORIES_AT_ONCE", 4)

    def kill() -> float:
        if len(looks) == 9:
            raise SystemExit
        return 0.0

    with pytest.raises(SystemExit):
        run(world, kill)
    assert looks == REPOSITORIES[:9]
    assert run(world, lambda: 0.0, 1).is_over
    assert looks[9:] == REPOSITORIES[8:]


def test_duties_that_take_long_leave_time_for_the_walk_and_go_on_later(
    world: World, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = [world.registry.push_image("waits", "", seed=str(number)) for number in range(5)]
    for number, image in enumerate(waiting):
        world.wait(image, f"token {number}")
    asked: list[ImageRef] = []
    status = world.scans.status

    def status_of(image: ImageRef) -> Any:
        asked.append(image)
        return status(image)

    monkeypatch.setattr(world.scans, "status", status_of)
    for number in range(5):
        before = len(asked)
        result = run(world, lambda: 16.0 if len(asked) > before else 0.0, number)  # noqa: B023
        assert result.is_over
    assert Counter(asked) == Counter(waiting)
    assert set(looks) == set(REPOSITORIES)


def test_known_images_are_looked_up_once_and_then_once_an_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.registry.push_image(DEV, "1.0", at=NOW - timedelta(hours=2))
    world.start(image, at=NOW - timedelta(hours=2))
    asked: list[ImageRef] = []
    begun = world.ledger.begun

    def noted(images: Sequence[ImageRef]) -> dict[ImageRef, frozenset[str]]:
        asked.extend(images)
        return begun(images)

    monkeypatch.setattr(world.ledger, "begun", noted)
    for number in range(13):
        world.reconcile(NOW + number * FIVE_MINUTES)
    assert asked == [image, image]


def test_a_repository_with_a_fault_is_looked_at_again_with_the_next_pass(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.reconcile()
    image = world.registry.push_image(DEV, "1.0", at=NOW + timedelta(minutes=1))

    def broken(_: str) -> Iterator[EcrImage]:
        raise KeyError("no such field")

    monkeypatch.setattr(world.registry, "tagged", broken)
    for number in range(1, 8):
        assert world.reconcile(NOW + number * FIVE_MINUTES).started == 0
    monkeypatch.undo()
    world.reconcile(NOW + 8 * FIVE_MINUTES)
    assert [asked[0] for asked in world.starter.requests] == [image]


# blocked releases that would pass


def test_what_a_policy_frees_is_found_over_several_runs(world: World) -> None:
    images: list[ImageRef] = []
    for number in range(6):
        image = world.registry.push_image(DEV, f"{number}", seed=f"{number}")
        world.scans.finish(image, critical())
        world.start(image, f"{number}", at=NOW - timedelta(minutes=number))
        world.announce(image, world.judge(image).outcome)
        release = world.ledger.releases[image, 1]
        world.ledger.releases[image, 1] = replace(release, started_at=NOW - timedelta(minutes=number))
        images.append(image)
    loosened = world.policy.stages["dev"]
    loosened = replace(loosened, findings=replace(loosened.findings, max={}))
    world.policy = replace(
        world.policy, digest=images[0].digest, stages={**world.policy.stages, "dev": loosened}
    )
    freed = 0
    for number in range(10):
        before = len(world.starter.requests)
        freed += run(world, lambda: 26.0 if len(world.starter.requests) > before else 0.0, number).freed  # noqa: B023
        assert world.ledger.is_noted(considered(str(world.policy.digest))) == (freed == len(images))
    assert Counter(image for image, _, _ in world.starter.requests) == Counter(images)


# sweeps


def test_a_throttled_sweep_slows_down_tries_again_and_then_leaves_the_rest() -> None:
    sweep = Sweep(Workers(InTurn(), 4), lambda: 0.0)
    calls: Counter[int] = Counter()

    def act(item: int) -> int:
        calls[item] += 1
        if item >= 100 or (item == 70 and calls[item] == 1):
            raise ThrottledError("slower")
        return 1

    swept = sweep.each("numbers", lambda: iter(range(200)), act, until=1.0)
    assert (swept.done, swept.is_whole) == (100, False)
    assert calls[70] == 2
    assert swept.last == 63  # all before are done; the next ones are not all
    assert list(sweep.faults) == ["numbers"]
    assert (calls[100], calls[101]) == (2, 1)


# the whole, over simulated services


@pytest.mark.parametrize("rate", [500, 25])
def test_a_large_registry_is_walked_over_in_time_without_repeated_calls(
    monkeypatch: pytest.MonkeyPatch, rate: int
) -> None:
    cloud = benchmark.ReconciledCloud(repositories=2_000, images=30, pushed=10, rate=rate)
    for adapter in (ecr_images, ecr_scans, dynamodb):
        monkeypatch.setattr(adapter, "client", benchmark.clients_of(cloud))
    measured = benchmark.measure(cloud)
    assert measured["longest_run_s"] < 60
    if rate == 500:
        assert (measured["runs"], measured["throttled"]) == (1, 0)
        assert measured["calls"]["ecr:DescribeImages"] == 2_000
        assert measured["calls"]["dynamodb:BatchGetItem"] <= 2_000 * 10 / 100 * 1.1
    else:
        assert measured["throttled"] > 0
        assert measured["calls"]["ecr:DescribeImages"] - measured["throttled"] <= 2_200
