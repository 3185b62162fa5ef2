"""Parts of the template that only AWS can judge: event patterns, the dashboard, and the filter of the trail's log."""

from __future__ import annotations

import json
import re
from functools import cache, partial
from typing import Any

from botocore.exceptions import ClientError

from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench
from tools.translated import translated

_DENIED_CALL = {"eventSource": "ecr.amazonaws.com", "errorCode": "AccessDeniedException"}


@behaviour(
    "Events of ECR and EventBridge",
    'EventBridge user guide, "Comparison operators for use in event patterns"',
    None,
    looser="the sandbox has no such call",
)
def every_event_pattern_is_taken(bench: Bench) -> None:
    """EventBridge takes the pattern of each rule, and no pattern is of an event of somebody else."""
    event = {
        "id": "1",
        "account": bench.account,
        "source": "somebody.else",
        "time": "2026-01-01T00:00:00Z",
        "region": bench.region,
        "resources": [],
        "detail-type": "Other",
        "detail": {},
    }
    for name, rule in sorted(_of_type("AWS::Events::Rule").items()):
        if "EventPattern" in rule:
            asked = {
                "EventPattern": json.dumps(_plain(bench, rule["EventPattern"])),
                "Event": json.dumps(event),
            }
            bench.observe(
                f"the pattern of {name}", _answer(bench, "events", "TestEventPattern", asked) is False
            )


@behaviour("CloudWatch", 'CloudWatch user guide, "Dashboard body structure and syntax"', ("ok",))
def the_dashboard_is_taken(bench: Bench) -> None:
    """CloudWatch takes the dashboard, and has nothing to say against it. It is made under a name of this run."""
    name = bench.name()
    body = _plain(bench, _of_type("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"])
    delete = partial(bench.do, "cloudwatch", "DeleteDashboards", DashboardNames=[name])
    bench.throw_away.add(f"dashboard {name}", delete)
    show = "DashboardValidationMessages[].[DataPath, Message]"
    bench.ask(
        "cloudwatch",
        "PutDashboard",
        show=show,
        hide=["DashboardBody"],
        DashboardName=name,
        DashboardBody=body,
    )


@behaviour(
    "CloudWatch",
    'CloudWatch Logs user guide, "Filter pattern syntax"',
    None,
    looser="the sandbox has no such call",
)
def the_filter_of_the_trail_finds_denied_calls(bench: Bench) -> None:
    """The filter matches a denied call of ECR, and no call that succeeded."""
    [metric_filter] = _of_type("AWS::Logs::MetricFilter").values()
    fine = {"eventSource": "ecr.amazonaws.com"}
    lines = [json.dumps(one) for one in (_DENIED_CALL, fine)]
    asked = {"filterPattern": metric_filter["FilterPattern"], "logEventMessages": lines}
    found = _answer(bench, "logs", "TestMetricFilter", asked)
    bench.observe("the denied call alone", found is not None and [one["eventNumber"] for one in found] == [1])


def _answer(bench: Bench, service: str, operation: str, asked: dict[str, Any]) -> Any:
    """Return the one value of the answer, or None if AWS refuses the question."""
    try:
        return next(iter(bench.do(service, operation, **asked).values()), None)
    except ClientError:
        return None


@cache
def _resources() -> dict[str, Any]:
    found: dict[str, Any] = translated()["Resources"]
    return found


def _of_type(kind: str) -> dict[str, Any]:
    return {name: one["Properties"] for name, one in _resources().items() if one["Type"] == kind}


def _plain(bench: Bench, value: Any) -> Any:
    """Return the value with something plausible in place of each function of CloudFormation."""
    match value:
        case {"Fn::Sub": [str() as text, _]} | {"Fn::Sub": str() as text}:
            return re.sub(r"\$\{(!?)([^}]*)\}", lambda found: _substituted(bench, found), text)
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::If": _}:
            return "x"
        case dict():
            return {key: _plain(bench, one) for key, one in value.items()}
        case list():
            return [_plain(bench, one) for one in value]
    return value


def _substituted(bench: Bench, found: re.Match[str]) -> str:
    is_kept, name = found[1], found[2]
    if is_kept:
        return f"${{{name}}}"
    known = {
        "AWS::Region": bench.region,
        "AWS::AccountId": bench.account,
        "AWS::Partition": bench.partition,
        "Optional": "",
    }
    if name.endswith(".Arn"):
        return bench.arn("cloudwatch", "alarm:x")
    return known.get(name, "x")
