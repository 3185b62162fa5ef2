"""Alarms, dashboard and saved queries of the template: they watch what exists, and each alarm can go off."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imagegate.aws import metrics
from imagegate.aws.metrics import NAMESPACE, Metric
from imagegate.canonical_json import timestamp
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.promotion import Promotion
from imagegate.release.release import Outcome, Release, StartReason
from imagegate.workflow.announce import AnnounceResult
from imagegate.workflow.judge import JudgeResult
from tests.contract.alarm_states import Samples, WatchedMetric, metrics_of, state, watched
from tests.contract.test_docs_answers import sections
from tests.contract.test_template import FUNCTIONS, RESOURCES, TEMPLATE, of_type
from tests.fakes import DEV, NOW

ROOT = Path(__file__).parents[2]
ALARMS = of_type("AWS::CloudWatch::Alarm")
[COMPOSITE] = of_type("AWS::CloudWatch::CompositeAlarm").values()
DASHBOARD = of_type("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"][0]
QUERIES = of_type("AWS::Logs::QueryDefinition")
DEFAULTS = {name: one.get("Default") for name, one in TEMPLATE["Parameters"].items()}
SERVICE = ("service", str({"Ref": "AWS::StackName"}))
# Metrics of AWS that the template may watch, and their dimensions, from each service's page about its metrics.
OF_AWS = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): ("QueueName",),
    ("AWS/States", "ExecutionsFailed"): ("StateMachineArn",),
    ("AWS/States", "ExecutionsAborted"): ("StateMachineArn",),
    ("AWS/States", "ExecutionsTimedOut"): ("StateMachineArn",),
    ("AWS/Events", "Invocations"): ("RuleName",),
    ("AWS/Lambda", "Errors"): ("FunctionName",),
    ("AWS/Lambda", "Throttles"): ("FunctionName",),
    ("AWS/SNS", "NumberOfNotificationsFailed"): ("TopicName",),
}
# Watched by the dashboard alone.
SEARCHED_OF_AWS = {"RepositoryPullCount": "AWS/ECR,RepositoryName", "Duration": "AWS/Lambda,FunctionName"}
LIMIT_OF_THE_BILL = 25.0  # dollars a month, for what is watched


# Names: in code, alarms and dashboard


def emitted(capsys: pytest.CaptureFixture[str]) -> dict[str, set[tuple[str, ...]]]:
    """Return the dimensions of each metric that the code emits."""
    image = ImageRef.of(DEV, f"sha256:{'1' * 64}")
    release = Release(
        image=image,
        attempt=1,
        stage="dev",
        policy=Digest.of(b""),
        tags=frozenset({"1.0"}),
        reason=StartReason.PUSH,
        started_at=NOW,
        outcome=Outcome.RELEASED,
        criticals=0,
        promotion=Promotion("shop-staging", image.digest, ("1.0",)),
    )
    metrics.emit_verdict(release, NOW)
    metrics.emit_ending(release, NOW)
    metrics.emit_waits(timedelta(), 0, timedelta())
    metrics.emit_pass(0, 0, 0)
    metrics.emit_risks(0, 0, [("dev", 1.0)])
    metrics.emit_rollback({"at": timestamp(NOW), "since": timestamp(NOW)})
    found: dict[str, set[tuple[str, ...]]] = {}
    for line in capsys.readouterr().out.splitlines():
        [directive] = json.loads(line)["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == NAMESPACE
        for metric in directive["Metrics"]:
            found.setdefault(metric["Name"], set()).update(map(tuple, directive["Dimensions"]))
    return found


@pytest.fixture
def dimensions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, set[tuple[str, ...]]]:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "imagegate")
    return emitted(capsys)


def test_the_code_emits_every_metric_with_few_dimensions(dimensions: dict[str, set[tuple[str, ...]]]) -> None:
    assert set(dimensions) == set(Metric)
    used = {name for sets in dimensions.values() for names in sets for name in names}
    assert used == {"service", "stage", "outcome"}
    assert TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == {
        "Ref": "AWS::StackName"
    }


def test_alarms_watch_metrics_that_exist(dimensions: dict[str, set[tuple[str, ...]]]) -> None:
    for metric in metrics_of(ALARMS):
        names = tuple(name for name, _ in metric.dimensions)
        if metric.namespace == NAMESPACE:
            assert names in dimensions[metric.name], metric
            assert metric.dimensions == (SERVICE,), metric
        elif metric.namespace.startswith("AWS/"):
            assert names == OF_AWS[metric.namespace, metric.name], metric
        else:
            counted = RESOURCES["DeniedCallsAreCounted"]["Properties"]["MetricTransformations"][0]
            assert (metric.namespace, metric.name) == (str(counted["MetricNamespace"]), counted["MetricName"])
    assert {(one.namespace, one.name) for one in metrics_of(ALARMS)} >= set(OF_AWS)


def widgets() -> list[dict[str, Any]]:
    text = re.sub(r"\$\{!?([^}]*)\}", r"<\1>", DASHBOARD.replace("${Optional}", ""))
    found: list[dict[str, Any]] = json.loads(text)["widgets"]
    return found


def test_the_dashboard_shows_every_metric_of_the_gate(dimensions: dict[str, set[tuple[str, ...]]]) -> None:
    shown = set()
    for widget in widgets():
        for metric in widget["properties"].get("metrics", ()):
            if isinstance(metric[0] if isinstance(metric, list) else metric, str):
                if metric[0] == NAMESPACE:
                    assert metric[2:4] == ["service", "<AWS::StackName>"]
                    assert ("service",) in dimensions[metric[1]]
                    shown.add(metric[1])
                else:
                    assert (metric[0], metric[1]) in OF_AWS, metric
                continue
            expression = metric["expression"]
            ids = {one[-1].get("id") for one in widget["properties"]["metrics"] if isinstance(one, list)}
            named = {one.get("id") for one in widget["properties"]["metrics"] if isinstance(one, dict)}
            known = ids | named | {"p50", "p95", "service"}
            assert "SEARCH" in expression or set(re.findall(r"[a-z]\w+", expression)) <= known, metric
            for schema, name in re.findall(r"SEARCH\('\{([^}]+)\}.*?MetricName=\"(\w+)\"", expression):
                namespace, *names = schema.split(",")
                if namespace == NAMESPACE:
                    assert tuple(names) in dimensions[name], metric
                    assert 'service="<AWS::StackName>"' in expression
                    shown.add(name)
                else:
                    assert SEARCHED_OF_AWS[name] == schema
    assert shown == set(Metric)


def test_the_dashboard_has_no_gaps_beyond_its_width_and_no_overlaps() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in widgets():
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, widget["properties"]
        taken |= cells


def test_the_dashboard_names_only_resources_that_always_exist() -> None:
    names = {name.partition(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", DASHBOARD)}
    rules = {name + rule for name, function in FUNCTIONS.items() for rule in function.get("Events", ())}
    for name in names - {"AWS::StackName", "AWS::Region", "Runbook", "Optional"} - rules:
        assert "Condition" not in RESOURCES[name], name


def test_the_dashboard_shows_every_alarm_that_the_stack_has() -> None:
    shown = set(re.findall(r"\$\{(\w+)\.Arn\}", DASHBOARD))
    parts = of_type("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"][1]
    for condition, text, nothing in (part["Fn::If"] for part in parts["Optional"]["Fn::Join"][1]):
        [name] = re.findall(r"\$\{(\w+)\.Arn\}", text["Fn::Sub"])
        assert (RESOURCES[name]["Condition"], nothing) == (condition, "")
        shown.add(name)
    assert {*ALARMS, "GateIsDown"} <= shown


# Alarms


@pytest.mark.parametrize("name", [*ALARMS, "GateIsDown"])
def test_each_alarm_says_what_to_do_first(name: str) -> None:
    alarm = RESOURCES[name]["Properties"]
    description = alarm["AlarmDescription"]["Fn::Sub"].rstrip()
    assert re.search(r"First: (imagegate |aws |run the saved query )", description), name
    assert description.endswith(f"More: ${{Runbook}}#{name.lower()}")
    # CloudWatch API reference, PutMetricAlarm.AlarmDescription; the longest address of a runbook, and names.
    assert len(description) + 200 + 128 <= 1024
    page = ROOT / DEFAULTS["Runbook"]
    assert f"### {name}\n" in page.read_text()
    assert name.lower() in sections(page)
    in_rule = name in re.findall(r"\$\{(\w+)\}", COMPOSITE["AlarmRule"]["Fn::Sub"])
    action = "InsufficientDataActions" if alarm.get("TreatMissingData") == "missing" else "AlarmActions"
    assert alarm.get(action) == (None if in_rule else [{"Ref": "Alerts"}])


def test_pushes_that_stop_are_a_message_and_a_stack_without_pushes_is_none() -> None:
    """CloudWatch acts on changes of state only, and an alarm begins with insufficient data."""
    alarm, [(pushes, _)] = ALARMS["PushesStop"], watched(ALARMS["PushesStop"]).values()
    hours = int(DEFAULTS["QuietHours"])
    a_push: list[Samples] = [{pushes: [1.0]}]
    nothing: list[Samples] = [{}]
    assert state(alarm, nothing * 500, DEFAULTS) == "INSUFFICIENT_DATA"
    assert state(alarm, a_push, DEFAULTS) == "OK"
    assert state(alarm, a_push + nothing * (hours - 1), DEFAULTS) == "OK"
    assert state(alarm, a_push + nothing * hours, DEFAULTS) == "INSUFFICIENT_DATA"
    assert state(alarm, a_push * 500, DEFAULTS) == "OK"


HEALTHY: Mapping[str, list[Mapping[WatchedMetric, list[float]]]] = {
    "ReconcilerStops": [{WatchedMetric(NAMESPACE, "OldestWait", (SERVICE,)): [0.0]}] * 3,
}
# The metric's unit by that of the threshold.
UNITS = {"ReleasesWait": 60.0, "CanaryIsLate": 60.0, "StorageGrows": 1e9}


@pytest.mark.parametrize("name", sorted(set(ALARMS) - {"PushesStop"}))
def test_each_metric_that_an_alarm_watches_can_set_it_off_alone(name: str) -> None:
    alarm = ALARMS[name]
    healthy = HEALTHY.get(name, [{}])
    assert state(alarm, healthy, DEFAULTS) == "OK"
    assert state(alarm, [{one: [0.0] for one, _ in watched(alarm).values()}] * 200, DEFAULTS) == "OK"
    if name in HEALTHY:  # a heartbeat: it is missed
        assert state(alarm, [], DEFAULTS) == "ALARM"
        return
    threshold = alarm["Threshold"]
    high = float(DEFAULTS[threshold["Ref"]] if isinstance(threshold, dict) else threshold)
    high = (high + 1) * UNITS[name] if name in UNITS else high
    for metric, _ in watched(alarm).values():
        bad = {metric: [high]}
        assert state(alarm, [bad] * int(alarm.get("EvaluationPeriods", 1)), DEFAULTS) == "ALARM", metric
        if not name.endswith("Throttled"):  # a late sample is seen in the next period, too
            assert state(alarm, [bad] * int(alarm.get("DatapointsToAlarm", 1)), DEFAULTS) == "ALARM", metric


def test_every_function_is_watched() -> None:
    for metric in ("Errors", "Throttles"):
        seen = {value for one in metrics_of(ALARMS) if one.name == metric for _, value in one.dimensions}
        unseen = {name for name in FUNCTIONS if str({"Ref": name}) not in seen}
        # An alarm watches ten metrics at most. Its own limit throttles the page, SBOMs and the audit block nothing, a
        # deploy shows its own errors, and Amazon ECS those of its hook.
        allowed = {
            f"{name}Function"
            for name in (
                "ApprovalPage",
                "AttachSbom",
                "Audit",
                "PublishPolicy",
                "CheckDeployment",
                "MakeBoard",
            )
        }
        assert unseen <= (allowed if metric == "Throttles" else set())


def test_every_state_machine_is_watched() -> None:
    for metric in ("ExecutionsFailed", "ExecutionsTimedOut"):
        seen = {value for one in metrics_of(ALARMS) if one.name == metric for _, value in one.dimensions}
        machines = of_type("AWS::Serverless::StateMachine")
        assert [name for name in machines if str({"Ref": name}) not in seen] == [], metric


def test_watching_costs_little() -> None:
    stages, outcomes = 3, len(Outcome)
    by_stage = [Metric.PUSH_TO_VERDICT, Metric.SCAN_WAIT, Metric.PUSH_TO_PROMOTION]
    by_stage += [Metric.CRITICALS, Metric.SCANNED, Metric.SIGNED, Metric.FIX_TIME]
    own = stages * outcomes + stages * len(by_stage) + len(set(Metric) - {*by_stage, Metric.RELEASES}) + 1
    alarms = sum(len(watched(alarm)) for alarm in ALARMS.values())
    # CloudWatch pricing, us-east-1: metrics, metrics of alarms, composite alarm, dashboard.
    assert own * 0.30 + alarms * 0.10 + 0.50 + 3.00 <= LIMIT_OF_THE_BILL


# Saved queries


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_reads_logs_of_the_stack_and_text_that_the_code_writes(name: str) -> None:
    groups = [group["Ref"] for group in QUERIES[name]["LogGroupNames"]]
    assert all(group in RESOURCES or group == "TrailLogGroup" for group in groups)
    text = QUERIES[name]["QueryString"]
    source = "".join(path.read_text() for path in (ROOT / "functions").glob("*/handler.py"))
    for message in re.findall(r'message = "([^"]+)"', text):
        assert f'logger.info("{message}"' in source
    assert len(text) <= 10_000


# Powertools for AWS Lambda, "Logger": standard keys, and those of `inject_lambda_context`.
STANDARD = {
    "level",
    "message",
    "timestamp",
    "service",
    "function_name",
    "exception",
    "exception_name",
    "cold_start",
}
_WORDS = {
    "fields",
    "filter",
    "stats",
    "sort",
    "limit",
    "by",
    "as",
    "and",
    "or",
    "in",
    "like",
    "not",
    "desc",
    "asc",
}


def written(group: str) -> set[str]:
    """Return the keys that the function of the log group writes."""
    function = re.sub(r"(?<!^)([A-Z])", r"_\1", group.removesuffix("Logs")).lower()
    if not (path := ROOT / f"functions/{function}/handler.py").exists():
        return set()
    keys = set(re.findall(r"\b(\w+)=", path.read_text()))
    results = {"announce": AnnounceResult, "judge_image": JudgeResult}
    if result := results.get(function):
        keys |= set(re.findall(r'^            "(\w+)":', inspect.getsource(result), re.MULTILINE))
    return keys | STANDARD


def names_in(query: str) -> set[str]:
    """Return the fields that a query reads, without those that CloudWatch or the query itself makes."""
    text = re.sub(r'"[^"]*"|/(?:[^/\n])+/(?=\s|$)', "", query)
    made = set(re.findall(r"\bas (\w+)", text))
    names = re.findall(r"(?<![@\w.])[a-zA-Z]\w*(?:\.\w+)*(?![\w(])", text)
    return (
        {name.partition(".")[0] for name in names if not re.search(r"\d[dhm]$", name)}
        - made
        - _WORDS
        - {"1d"}
    )


@pytest.mark.parametrize(
    "name", [name for name, one in QUERIES.items() if one["LogGroupNames"] != [{"Ref": "TrailLogGroup"}]]
)
def test_a_query_reads_fields_that_the_functions_write(name: str) -> None:
    keys = set[str]().union(*(written(group["Ref"]) for group in QUERIES[name]["LogGroupNames"]))
    assert names_in(QUERIES[name]["QueryString"]) <= keys


def test_errors_are_sought_in_all_functions() -> None:
    groups = {group["Ref"] for group in QUERIES["ErrorsQuery"]["LogGroupNames"]}
    functions = {name.removesuffix("Function") + "Logs" for name in FUNCTIONS} - {
        "CheckDeploymentLogs",
        "MakeBoardLogs",
    }
    assert groups == functions
