"""Measure how long releases wait for scans and for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from imagegate.ports.ledger import RecordedReleases
from imagegate.ports.pending import HeldReleases, ScanTokens


@dataclass(frozen=True, slots=True)
class Waits:
    """The waits at one moment. The times are those of the oldest ones, and zero if nothing waits."""

    scan: timedelta
    approvals: int
    approval: timedelta


class WaitsLedger(ScanTokens, HeldReleases, RecordedReleases, Protocol):
    """The parts of the ledger that `measure_waits` uses."""


def measure_waits(ledger: WaitsLedger, now: datetime) -> Waits:
    """Read the waits from the ledger."""
    scans = [token.since for token in ledger.all_tokens()]
    held = [ledger.get(release) for release in ledger.held()]
    approvals = [release.closed_at or release.started_at for release in held]
    return Waits(_oldest(scans, now), len(approvals), _oldest(approvals, now))


def _oldest(times: Iterable[datetime], now: datetime) -> timedelta:
    return max((now - time for time in times), default=timedelta())
