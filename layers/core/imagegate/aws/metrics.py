"""The gate's own metrics in Amazon CloudWatch: their names, and when they are emitted.

A metric is one line of JSON in the function's log (CloudWatch user guide, "Embedded metric format"). CloudWatch bills
each combination of a name and dimensions. So the dimensions are `service` (the stack), `stage` and `outcome`; never a
repository, a tag or a vulnerability: these are fields of the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from imagegate.canonical_json import parse_timestamp
from imagegate.release.release import Outcome, Release, StartReason
from imagegate.settings import setting

NAMESPACE = "imagegate"


class Metric(StrEnum):
    """The names. Alarms and dashboard of the template use them; `tests/contract/test_monitoring.py` compares."""

    RELEASES = "Releases"  # by stage and outcome
    PUSH_TO_VERDICT = "PushToVerdict"  # by stage
    SCAN_WAIT = "ScanWait"  # by stage: from the beginning of the attempt to its verdict
    PUSH_TO_PROMOTION = "PushToPromotion"  # by stage
    CRITICALS = "Criticals"  # by stage: findings of each judged image
    SCANNED = "Scanned"  # by stage: 1 for each image that was judged on a complete scan, else 0
    SIGNED = "Signed"  # by stage: 1 for each released image that its gate has signed, else 0
    FIX_TIME = "FixTime"  # by stage: from the first sight of a fix to the image with it
    TIME_TO_ROLLBACK = "TimeToRollback"  # from a release to the rollback that replaced it
    OLDEST_WAIT = "OldestWait"  # of a release for its scan; every five minutes, so it is the heartbeat, too
    OPEN_APPROVALS = "OpenApprovals"
    OLDEST_APPROVAL = "OldestApproval"
    LOST_PUSHES = "LostPushes"  # that the reconciler found, and no event announced
    STORED_BYTES = "StoredBytes"  # in all guarded repositories, as Amazon ECR counts each image; once an hour
    CANARY_WAIT = (
        "CanaryWait"  # since the push of the first canary that has not arrived; 0 if the last one has
    )
    IMAGES_AT_RISK = "ImagesAtRisk"  # in use, and they would not pass today
    IMAGES_NOT_WATCHED = "ImagesNotWatched"  # in use, and no scanner looks at them any more


def emit_verdict(release: Release, now: datetime) -> None:
    """Emit how long the image waited for its verdict and what was found, unless it was judged again later."""
    if release.reason is not StartReason.PUSH:
        return
    _emit(Metric.SCANNED, int(release.criticals is not None), stage=release.stage)
    if release.criticals is not None:
        _emit(Metric.CRITICALS, release.criticals, stage=release.stage)
    _emit(Metric.SCAN_WAIT, _seconds(now - release.started_at), stage=release.stage)
    _emit(Metric.PUSH_TO_VERDICT, _seconds(now - release.arrived_at), stage=release.stage)


def emit_ending(release: Release, now: datetime) -> None:
    """Emit how the release ended, and how long a promotion took that waited for nobody."""
    _emit(Metric.RELEASES, 1, stage=release.stage, outcome=str(release.outcome))
    if release.outcome is Outcome.RELEASED:
        _emit(Metric.SIGNED, int(release.signature is not None), stage=release.stage)
    if release.promotion and release.reason is StartReason.PUSH:
        _emit(Metric.PUSH_TO_PROMOTION, _seconds(now - release.arrived_at), stage=release.stage)


def emit_waits(scan: timedelta, approvals: int, approval: timedelta) -> None:
    """Emit the longest waits for a scan and for an approval, and the number of open approvals."""
    _emit(Metric.OLDEST_WAIT, _seconds(scan))
    _emit(Metric.OPEN_APPROVALS, approvals)
    _emit(Metric.OLDEST_APPROVAL, _seconds(approval))


def emit_pass(lost: int, stored_bytes: int | None, canary_seconds: int | None) -> None:
    """Emit what the reconciler found, as far as it is known."""
    _emit(Metric.LOST_PUSHES, lost)
    if stored_bytes is not None:
        _emit(Metric.STORED_BYTES, stored_bytes)
    if canary_seconds is not None:
        _emit(Metric.CANARY_WAIT, canary_seconds)


def emit_risks(at_risk: int, not_watched: int, fixed: Iterable[tuple[str, float]] = ()) -> None:
    """Emit how many images in use are at risk, and how many no scanner looks at any more.

    `fixed`: the stages of images that another one replaced, and the seconds since their fix was known.
    """
    for stage, seconds in fixed:
        _emit(Metric.FIX_TIME, seconds, stage=stage)
    _emit(Metric.IMAGES_AT_RISK, at_risk)
    _emit(Metric.IMAGES_NOT_WATCHED, not_watched)


def emit_rollback(decided: Mapping[str, Any]) -> None:
    """Emit how long the replaced release was the current one, if the result of a decision is a rollback's."""
    if since := decided.get("since"):
        _emit(Metric.TIME_TO_ROLLBACK, _seconds(parse_timestamp(decided["at"]) - parse_timestamp(since)))


def _emit(metric: Metric, value: float, **dimensions: str) -> None:
    named = {"service": setting("POWERTOOLS_SERVICE_NAME"), **dimensions}
    unit = _UNITS.get(metric, MetricUnit.Count)
    with single_metric(metric, unit, value, namespace=NAMESPACE, default_dimensions=named):
        pass  # the line is written at the end of the block


_TIMES = (
    Metric.PUSH_TO_VERDICT,
    Metric.SCAN_WAIT,
    Metric.PUSH_TO_PROMOTION,
    Metric.FIX_TIME,
    Metric.TIME_TO_ROLLBACK,
)
_WAITS = (Metric.OLDEST_WAIT, Metric.OLDEST_APPROVAL, Metric.CANARY_WAIT)
_UNITS = {**dict.fromkeys((*_TIMES, *_WAITS), MetricUnit.Seconds), Metric.STORED_BYTES: MetricUnit.Bytes}


def _seconds(span: timedelta) -> float:
    return max(0.0, round(span.total_seconds(), 3))
