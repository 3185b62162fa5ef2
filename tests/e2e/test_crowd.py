"""Fifty pushes at once: all end rightly, and how long they took is printed."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from tests.e2e.gate import Gate

PUSHES = 50


def test_fifty_pushes_at_once_all_end_rightly(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(0, PUSHES, 10):
        gate.findings(f"crowd{number}-dev", CRITICAL=1)
    with ThreadPoolExecutor(16) as pool:
        digests = list(pool.map(lambda n: gate.push(f"crowd{n}-dev", "1.0"), range(PUSHES)))
    took = []
    for number, digest in enumerate(digests):
        release = gate.ended(f"crowd{number}-dev", digest, patience=180)
        expected = "blocked" if number % 10 == 0 else "released"
        assert release["outcome"] == expected, release
        began, closed = (datetime.fromisoformat(release[key]) for key in ("startedAt", "closedAt"))
        took.append((closed - began).total_seconds())
    for number, digest in enumerate(digests):
        if number % 10:
            assert gate.manifest(f"crowd{number}-staging", "1.0") == gate.manifest(
                f"crowd{number}-dev", digest
            )
    cuts = statistics.quantiles(took, n=20)
    with capsys.disabled():
        print(
            f"\n{PUSHES} releases at once: p50 {cuts[9]:.1f} s, p95 {cuts[18]:.1f} s, longest {max(took):.1f} s"
        )
