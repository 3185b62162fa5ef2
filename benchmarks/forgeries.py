"""A count of forged signatures that the verifier accepts or crashes on: it must be zero.

`python -m benchmarks.forgeries --count 100000 --seed 1 --json FILE` writes one object: tried, accepted, crashed,
by_kind (how many of each), seconds, told (accepted and crashed ones, with their envelope in base64, because keys are
new each time), and the processor's milliseconds for one verification: of a genuine signature, and of the slowest
forgery. The genuine signatures that the forgeries are made from are verified first; all must be valid.
"""

from __future__ import annotations

import argparse
import base64
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.output import write_result
from tests.component.forgeries import KINDS
from tests.component.forging import Evidence, Outcome, originals

_TOLD = 20


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Verify forged signatures; none may be accepted, none may crash."
    )
    parser.add_argument("--count", type=int, default=10_000, help="how many (default: 10,000)")
    parser.add_argument("--seed", type=int, default=1, help="other forgeries for another one (default: 1)")
    parser.add_argument("--json", type=Path, help="write the result there; default: print it")
    arguments = parser.parse_args(argv)
    if arguments.count < 1:
        parser.error("--count must be 1 or more")
    result = run(arguments.count, arguments.seed)
    write_result(result, arguments.json)
    return 1 if result["accepted"] or result["crashed"] else 0


def run(count: int, seed: int) -> dict[str, Any]:
    """Verify the forgeries. Raises `RuntimeError` if a genuine signature is refused: then refusals mean nothing."""
    genuine_ms = _genuine_ms()
    kinds, outcomes, told = Counter[str](), Counter[Outcome](), list[dict[str, Any]]()
    slowest, began = (0.0, ""), time.perf_counter()
    for kind, evidence in _forgeries(count, seed):
        outcome, seconds, error = evidence.judge()
        kinds[kind] += 1
        outcomes[outcome] += 1
        slowest = max(slowest, (seconds, kind))
        if outcome is not Outcome.REFUSED and len(told) < _TOLD:
            envelope = base64.b64encode(evidence.envelope).decode()
            told.append({"kind": kind, "outcome": outcome, "error": repr(error)[:500], "envelope": envelope})
    return {
        "tried": count,
        "accepted": outcomes[Outcome.ACCEPTED],
        "crashed": outcomes[Outcome.CRASHED],
        "by_kind": dict(sorted(kinds.items())),
        "seconds": round(time.perf_counter() - began, 2),
        "genuine_ms": round(genuine_ms, 2),
        "slowest_ms": round(slowest[0] * 1000, 2),
        "slowest_kind": slowest[1],
        "told": told,
    }


def _forgeries(count: int, seed: int) -> Iterator[tuple[str, Evidence]]:
    names = sorted(KINDS)
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - the same forgeries for the same seed
        kind = chance.choice(names)
        yield kind, KINDS[kind](chance)


def _genuine_ms() -> float:
    """Return the processor's milliseconds for one signature of a gate: P-384, four certificates."""
    evidence = originals()
    for one in evidence:
        outcome, _, error = one.judge()
        if outcome is not Outcome.ACCEPTED:
            raise RuntimeError(f"a genuine signature does not hold: {error!r}")
    seconds = sorted(evidence[0].judge()[1] for _ in range(50))
    return seconds[len(seconds) // 2] * 1000


if __name__ == "__main__":
    sys.exit(main())
