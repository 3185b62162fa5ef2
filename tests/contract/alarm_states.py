"""The state of an alarm of the template, from given samples.

Source: CloudWatch user guide, "Using Amazon CloudWatch alarms" (missing data, M out of N), "Using metric math" (a sum
with a missing part is missing; FILL replaces it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Value = float | None  # None: missing
_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "SampleCount": len,
}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": float.__ge__,
    "GreaterThanThreshold": float.__gt__,
    "LessThanThreshold": float.__lt__,
}


@dataclass(frozen=True)
class WatchedMetric:
    """One metric as an alarm or a widget names it. Values of dimensions are as in the template."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


Samples = Mapping[WatchedMetric, Sequence[float]]  # of one period


def watched(alarm: Mapping[str, Any]) -> dict[str, tuple[WatchedMetric, str]]:
    """Return the metrics of an alarm with their statistics, by their ids in its expression."""
    if "Metrics" not in alarm:
        return {"total": (_metric(alarm), alarm["Statistic"])}
    stats = [(one["Id"], one["MetricStat"]) for one in alarm["Metrics"] if "MetricStat" in one]
    return {id_: (_metric(stat["Metric"]), stat["Stat"]) for id_, stat in stats}


def state(alarm: Mapping[str, Any], periods: Sequence[Samples], parameters: Mapping[str, Any]) -> str:
    """Return the state after these periods, the newest last; periods before them are missing."""

    def number(value: Any) -> float:
        return float(parameters[value["Ref"]] if isinstance(value, dict) else value)

    length = int(number(alarm["EvaluationPeriods"]))
    needed = number(alarm.get("DatapointsToAlarm", length))
    values = [None] * length + [_value(alarm, samples) for samples in periods]
    is_breaching = _COMPARISONS[alarm["ComparisonOperator"]]
    missing = {"breaching": True, "notBreaching": False, "missing": None}[alarm["TreatMissingData"]]
    if missing is None and all(one is None for one in values[-length:]):
        return "INSUFFICIENT_DATA"
    threshold = number(alarm["Threshold"])
    breaches = [bool(missing) if one is None else is_breaching(one, threshold) for one in values[-length:]]
    return "ALARM" if sum(breaches) >= needed else "OK"


def _value(alarm: Mapping[str, Any], samples: Samples) -> Value:
    values = {
        id_: _statistic(samples.get(metric, ()), stat) for id_, (metric, stat) in watched(alarm).items()
    }
    expressions = [one["Expression"] for one in alarm.get("Metrics", ()) if "Expression" in one]
    if not expressions:
        return values["total"]
    try:
        found = eval(expressions[0], {"FILL": lambda value, other: other if value is None else value}, values)  # noqa: S307
    except TypeError:  # of None and a number
        return None
    return float(found)


def _statistic(samples: Sequence[float], statistic: str) -> Value:
    return float(_STATISTICS[statistic](samples)) if samples else None


def _metric(raw: Mapping[str, Any]) -> WatchedMetric:
    dimensions = tuple(sorted((one["Name"], str(one["Value"])) for one in raw.get("Dimensions", ())))
    return WatchedMetric(str(raw["Namespace"]), raw["MetricName"], dimensions)


def metrics_of(alarms: Mapping[str, Mapping[str, Any]]) -> Iterator[WatchedMetric]:
    """Yield every metric that an alarm watches."""
    for alarm in alarms.values():
        yield from (metric for metric, _ in watched(alarm).values())
