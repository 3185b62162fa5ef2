"""The waits that the reconciler measures."""

from __future__ import annotations

from datetime import timedelta

from imagegate.workflow.watch.waits import Waits, measure_waits
from tests.component.one_gate import World
from tests.fakes import DEV, NOW

MINUTE = timedelta(minutes=1)


def test_nothing_waits_in_a_quiet_gate() -> None:
    assert measure_waits(World().ledger, NOW) == Waits(timedelta(), 0, timedelta())


def test_the_oldest_scan_and_the_oldest_approval_count() -> None:
    world = World()
    for minutes, tag in ((5, "1.0"), (30, "2.0"), (1, "3.0")):
        at = NOW - minutes * MINUTE
        image = world.registry.push_image(DEV, tag, seed=tag, at=at)
        world.start(image, tag, at=at)
        world.wait(image, f"token {tag}")
    assert measure_waits(world.ledger, NOW + 7 * MINUTE).scan == 7 * MINUTE
    release = world.ledger.latest(image)
    assert release is not None
    world.ledger.hold(release.id, NOW)
    assert measure_waits(world.ledger, NOW + MINUTE) == Waits(MINUTE, 1, NOW + MINUTE - release.started_at)
