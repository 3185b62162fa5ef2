"""What the first enhanced scan of an image says before it is really over: quirks of when and in which order.

Seen on AWS: COMPLETE with an empty list and nothing else (aws-sdk issue 289), the same with ACTIVE (aws-cli issue
6759). The others are what the same kind of service may also do.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sandbox.quirks import Quirks
from sandbox.scanner.scan import Scan


def of(done: Scan, quirks: Quirks) -> list[tuple[Scan, float]]:
    """Scenes and how long they last, in seconds; the last one is the result.

    The event is sent with the first scene whose coverage says that Inspector has looked, or whose findings are all
    there; never again with the last one.
    """
    if quirks.coverage_reason:
        done = replace(done, coverage=quirks.coverage_reason)
    if not done.completed:
        return [(done, 0.0)]
    quiet = replace(done, is_told=False)
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
        (replace(empty, is_told=True), quirks.late_findings_seconds),
        (replace(quiet, findings=[]), quirks.scan_seconds if quirks.summary_before_findings else 0.0),
        (
            replace(
                done, coverage="PENDING_INITIAL_SCAN", looked=None, is_told=not quirks.late_findings_seconds
            ),
            quirks.late_coverage_seconds,
        ),
    ]
    played = [(scene, seconds) for scene, seconds in scenes if seconds > 0]
    was_told = any(scene.is_told for scene, _ in played)
    return [*played, (quiet if was_told else done, 0.0)]
