"""Each alarm about a metric of the gate goes off by what the real handlers emit, and not otherwise."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from imagegate.aws.metrics import NAMESPACE
from imagegate.findings.finding import Finding, Package, Severity
from imagegate.workflow.watch.canary import TAG
from imagegate.workflow.watch.reconcile import _TURN_LASTS, _WORK
from tests.component.one_gate import World
from tests.component.test_judge_again import Watch
from tests.contract.alarm_states import Samples, WatchedMetric, metrics_of, state
from tests.fakes import DEV, NOW

ROOT = Path(__file__).parents[2]
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
ALARMS = {
    name: one["Properties"]
    for name, one in TEMPLATE["Resources"].items()
    if one["Type"] == "AWS::CloudWatch::Alarm"
}
LIMITS = {"LongestWaitMinutes": 120, "StorageGigabytes": 1}
STACK = str({"Ref": "AWS::StackName"})
CONTEXT = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=256,
    invoked_function_arn="arn",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 600_000,
)
FIVE_MINUTES, HOUR = timedelta(minutes=5), timedelta(hours=1)
CVE = Finding("CVE-2026-0001", Severity.CRITICAL, (Package("openssl", "3.0.1", "3.0.9"),), fixable=True)


class Handlers:
    """The handlers of functions, over the steps of a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", STACK)

    def call(self, function: str, step: Any, now: datetime) -> Samples:
        """Run the function on its schedule, and return the samples that it emits."""
        spec = importlib.util.spec_from_file_location(function, ROOT / f"functions/{function}/handler.py")
        assert spec
        assert spec.loader
        module: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.monkeypatch.setattr(module, "step", lambda: step)
        self.monkeypatch.setattr("imagegate.wiring.now", lambda: now)
        module.handler(json.loads((ROOT / "events/reconcile.json").read_text()), CONTEXT)
        return dict(emitted(self.capsys.readouterr().out))


def emitted(log: str) -> Iterator[tuple[WatchedMetric, Sequence[float]]]:
    for line in map(json.loads, log.splitlines()):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", ()):
            for metric, names in (
                (one["Name"], names) for one in directive["Metrics"] for names in directive["Dimensions"]
            ):
                dimensions = tuple(sorted((name, line[name]) for name in names))
                value = line[metric]
                yield (
                    WatchedMetric(directive["Namespace"], metric, dimensions),
                    value if isinstance(value, list) else [value],
                )


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Handlers:
    return Handlers(monkeypatch, capsys)


def after(name: str, *periods: Samples) -> str:
    return state(ALARMS[name], periods, LIMITS)


def test_a_release_that_waits_for_hours(handlers: Handlers) -> None:
    world = World()
    image = world.registry.push_image(DEV, "1.0")
    world.start(image)
    world.wait(image)
    early = handlers.call("reconcile", world.reconciling(), NOW + HOUR)
    late = handlers.call("reconcile", world.reconciling(), NOW + 3 * HOUR)
    assert after("ReleasesWait", early, early, early) == "OK"
    assert after("ReleasesWait", early, late, late) == "ALARM"
    assert after("ReleasesWait", late, early, early) == "OK"


def test_a_reconciler_that_is_busy_now_and_then_rings_nothing_and_one_that_never_ends_rings(
    handlers: Handlers,
) -> None:
    """A period is 15 minutes long: three runs."""
    world = World()
    done = handlers.call("reconcile", world.reconciling(), NOW)
    assert world.ledger.take_turn(_WORK, NOW + FIVE_MINUTES, _TURN_LASTS)
    busy = handlers.call("reconcile", world.reconciling(), NOW + FIVE_MINUTES)
    assert busy == {}
    # A turn that was taken and never ended, because its run was killed, is over before the next run.
    assert _TURN_LASTS < FIVE_MINUTES
    assert handlers.call("reconcile", world.reconciling(), NOW + 2 * FIVE_MINUTES)
    assert after("ReconcilerStops", done, done, done) == "OK"
    assert after("ReconcilerStops", done, busy, busy) == "OK"
    assert after("ReconcilerStops", busy, busy, busy) == "ALARM"


@pytest.mark.parametrize(("number", "expected"), [(2, "OK"), (3, "ALARM")])
def test_pushes_that_no_event_announced(handlers: Handlers, number: int, expected: str) -> None:
    world = World()
    for tag in range(number):
        world.registry.push_image(DEV, f"{tag}.0", seed=str(tag))
    assert after("PushesAreLost", handlers.call("reconcile", world.reconciling(), NOW)) == expected


def test_a_canary_that_does_not_come_through(handlers: Handlers) -> None:
    world = World(canary=DEV)
    world.registry.push_image(DEV, TAG)
    in_time = [handlers.call("reconcile", world.reconciling(), NOW + n * HOUR) for n in (0, 1, 2)]
    late = [handlers.call("reconcile", world.reconciling(), NOW + n * HOUR) for n in (3, 4, 5)]
    assert after("CanaryIsLate", *in_time) == "OK"
    assert after("CanaryIsLate", *late) == "ALARM"


def test_images_with_more_bytes_than_the_limit(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    image = world.registry.push_image(DEV, "1.0")
    world.registry.push_attestation(DEV, image)  # has no tag, and counts
    size = sum(one.size for one in world.registry.all_images(DEV))
    assert size > sum(one.size for one in world.registry.tagged(DEV))
    samples = handlers.call("reconcile", world.reconciling(), NOW)
    assert list(samples[WatchedMetric(NAMESPACE, "StoredBytes", (("service", STACK),))]) == [size]
    assert after("StorageGrows", samples) == "OK"
    monkeypatch.setitem(LIMITS, "StorageGigabytes", (size - 1) / 1e9)
    assert after("StorageGrows", samples) == "ALARM"
    soon = handlers.call("reconcile", world.reconciling(), NOW + FIVE_MINUTES)
    assert after("StorageGrows", samples, soon) == "ALARM"  # it is measured once an hour


def test_an_image_in_use_that_would_not_pass_today(handlers: Handlers) -> None:
    watch = Watch()
    image = watch.released()
    fine = handlers.call("judge_again", watch.step(), NOW)
    watch.found(image, CVE)
    at_risk = handlers.call("judge_again", watch.step(), NOW + HOUR)
    assert after("ImagesAreAtRisk", fine) == "OK"
    assert after("ImagesAreAtRisk", at_risk) == "ALARM"


def test_every_alarm_about_a_metric_of_the_gate_is_driven_here() -> None:
    own = {name for name in ALARMS for one in metrics_of({name: ALARMS[name]}) if one.namespace == NAMESPACE}
    source = Path(__file__).read_text()
    assert {name for name in own if f'after("{name}"' not in source} == set()
