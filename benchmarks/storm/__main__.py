"""A storm of pushes into the whole product in the sandbox, and the check that nothing was lost in it.

`python -m benchmarks.storm --pushes 500 --seed 1 --json FILE` writes one object: pushes, outcomes, lost,
double_outcomes, promoted_unsigned, blocked_signed, stuck (all five must be 0), p50_s and p95_s from a push to the end
of its release, seconds, and faults: how often what went wrong. Exits with 1 if a number that must be 0 is not, and
prints what it is.

The real template is deployed. Between functions and AWS, 5 % of the calls fail: throttled, answered 5xx, or cut off
before or after their effect; every fifth of them fails again when the SDK repeats it. Processes are killed at calls.
Events of ECR are lost (10 %), come three times (20 %), or come up to ten seconds late and so in another order (40 %).
The storm ends when every release that began has ended; then the reconciler finds what was lost. The benchmark gives up
when nothing has changed for ten minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

from cryptography import x509

from benchmarks.output import write_result
from benchmarks.storm.end_state import Judgement, Observed
from benchmarks.storm.faults import Storm
from benchmarks.storm.pushes import POLICY, Push, plan, push_all
from sandbox.cloud import Cloud
from sandbox.ports import free_port
from sandbox.session import find_session
from sandbox.settings import Settings

_ZEROS = ("lost", "double_outcomes", "promoted_unsigned", "blocked_signed", "stuck")
_TIME_SCALE = 0.1
_LOOK_SECONDS, _PATIENCE_SECONDS = 10.0, 600.0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Push into a storm, and count what was lost in it.")
    parser.add_argument("--pushes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the result there; default: print it")
    parser.add_argument("--state", type=Path, help="keep the sandbox's logs there")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        result, wrong = run(arguments.pushes, arguments.seed, arguments.state or Path(folder))
    write_result(result, arguments.json)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def run(count: int, seed: int, state: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the numbers, and a line for everything that is wrong."""
    storm = Storm(seed, is_over=True)
    state.mkdir(parents=True, exist_ok=True)
    policy = state / "storm-policy.yaml"
    policy.write_text(POLICY)
    settings = Settings(
        state=state.resolve(),
        aws_port=free_port(),
        registry_port=free_port(),
        time_scale=_TIME_SCALE,
        policy=policy,
        disturbance=storm,
    )
    with Cloud(settings) as cloud:
        os.environ.update(cloud.env)
        start = time.monotonic()
        storm.is_over = False
        pushes = push_all(plan(count, seed), settings.state, find_session(settings.state))
        judgement = _come_to_rest(pushes, _observed(cloud), storm)
        return _result(judgement, storm, time.monotonic() - start)


def _observed(cloud: Cloud) -> Observed:
    assert cloud.deployment
    return Observed(
        find_session(cloud.settings.state),
        cloud.settings.registry,
        cloud.deployment.outputs,
        x509.load_pem_x509_certificate((cloud.settings.state / "trust-root.pem").read_bytes()),
        cloud.settings.state / "messages.jsonl",
    )


def _come_to_rest(pushes: list[Push], seen: Observed, storm: Storm) -> Judgement:
    """Wait until every release has ended; then end the storm, and wait for the reconciler."""
    start = changed = time.monotonic()
    outcomes: dict[str, int] = {}
    while not (judgement := Judgement(pushes, seen)).is_quiet():
        now = time.monotonic()
        if judgement.outcomes() != outcomes:
            outcomes, changed = judgement.outcomes(), now
        if now - changed > _PATIENCE_SECONDS:
            break
        print(f"{now - start:.0f} s: {outcomes}", file=sys.stderr)
        storm.is_over = storm.is_over or not judgement.stuck()
        time.sleep(_LOOK_SECONDS)
    return judgement


def _result(judgement: Judgement, storm: Storm, seconds: float) -> tuple[dict[str, Any], list[str]]:
    wrong = {name: getattr(judgement, name)() for name in _ZEROS}
    cuts = quantiles(judgement.waits(), n=20)
    result = {
        "pushes": len(judgement.pushes),
        "outcomes": judgement.outcomes(),
        **{name: len(found) for name, found in wrong.items()},
        "p50_s": round(cuts[9], 1),
        "p95_s": round(cuts[18], 1),
        "seconds": round(seconds, 1),
        "faults": dict(sorted(storm.counts.items())),
    }
    return result, [f"{name}: {line}" for name, found in wrong.items() for line in found]


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # threads of executions that wait may still run
