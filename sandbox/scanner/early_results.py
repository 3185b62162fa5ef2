"""The phases of an enhanced scan that reports results before it is over: quirks of time and order.

Seen on AWS: COMPLETE with an empty list and nothing else (aws-sdk issue 289), the same with ACTIVE (aws-cli issue
6759). The other phases are what the same kind of service may also do.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sandbox.quirks import Quirks
from sandbox.scanner.scan import Scan


def phases(done: Scan, quirks: Quirks) -> list[tuple[Scan, float]]:
    """Return the phases and their lengths in seconds; the last one is the result.

    The event is sent with the first phase whose coverage says that Inspector has looked, or which has all findings;
    never again with the last one.
    """
    if quirks.coverage_reason:
        done = replace(done, coverage=quirks.coverage_reason)
    if not done.completed:
        return [(done, 0.0)]
    quiet = replace(done, is_announced=False)
    empty = replace(quiet, is_early=True, completed=None, counts={}, findings=[])
    too_early = replace(empty, coverage="PENDING_INITIAL_SCAN", looked=None)
    half = done.findings[: len(done.findings) // 2]
    numbers = dict(Counter(finding["severity"] for finding in half))
    scenes = [
        (replace(too_early, status="COMPLETE"), quirks.early_result_seconds),
        (replace(too_early, status="ACTIVE"), quirks.early_result_seconds),
        (
            replace(quiet, findings=half, counts=numbers, coverage="SCAN_IN_PROGRESS", looked=None),
            quirks.partial_findings_seconds,
        ),
        (replace(empty, is_announced=True), quirks.late_findings_seconds),
        (replace(quiet, findings=[]), quirks.scan_seconds if quirks.summary_before_findings else 0.0),
        (
            replace(
                done,
                coverage="PENDING_INITIAL_SCAN",
                looked=None,
                is_announced=not quirks.late_findings_seconds,
            ),
            quirks.late_coverage_seconds,
        ),
    ]
    played = [(scene, seconds) for scene, seconds in scenes if seconds > 0]
    was_announced = any(scene.is_announced for scene, _ in played)
    return [*played, (quiet if was_announced else done, 0.0)]
