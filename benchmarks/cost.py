"""Print what the stack costs in a month, line by line, for a number of pushes a day. Amazon Inspector is apart.

`python -m benchmarks.cost --pushes-per-day N [--hops-per-push H] [--json FILE]`. The number of calls is counted by
tests/integration/test_calls.py (`hop_calls.json`), the transitions by tests/e2e/test_transitions.py; times and sizes
were measured (`usage.json`); each price has its source (`prices.json`). Every call is taken to be a cold start, and
every encrypted request to ask KMS: the bill is rather too high than too low.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

_HERE = Path(__file__).parent
HOP_CALLS, TEMPLATE = _HERE / "hop_calls.json", _HERE.parent / "template.yaml"
PUSHES_A_DAY, HOPS_A_PUSH = 300, 2  # with one promotion: the stage of the push, and the one that follows
_DAYS = 30
_RUNS_A_DAY = {"reconcile": 24 * 12, "judge_again": 24 * 12}  # schedules of the template
# A processor of 1,769 MB is one core (AWS Lambda developer guide, "Configure Lambda function memory").
_CORE_MB = 1769
_GB = 1024**3
# Writes of DynamoDB by item: an attempt is in two indexes, a token in one. docs/reference/ledger.md has the items.
_WRITES = {"PutItem": 2, "UpdateItem": 3, "DeleteItem": 2}
_READS = {"GetItem": 1, "Query": 1}
_ENCRYPTED = ("dynamodb", "s3", "sns")

# The lines in which each type of resource is paid; what costs nothing has none.
RESOURCES: Mapping[str, tuple[str, ...]] = {
    "AWS::Serverless::Function": ("lambda_requests", "lambda_gb_seconds"),
    "AWS::Serverless::StateMachine": ("states_transitions",),
    "AWS::DynamoDB::Table": ("dynamodb_writes", "dynamodb_reads", "dynamodb_storage"),
    "AWS::S3::Bucket": ("s3_puts", "s3_gets", "s3_storage"),
    "AWS::KMS::Key": ("kms_keys", "kms_requests"),
    "AWS::SNS::Topic": ("sns_publishes",),
    "AWS::SNS::Subscription": ("sns_mails",),
    "AWS::Logs::LogGroup": ("logs_ingested", "logs_stored", "metrics"),
    "AWS::Logs::MetricFilter": ("metrics",),
    "AWS::CloudWatch::Alarm": ("alarms",),
    "AWS::CloudWatch::CompositeAlarm": ("alarms",),
    "AWS::CloudWatch::Dashboard": ("dashboards",),
    "AWS::SQS::Queue": ("sqs_requests",),
    **dict.fromkeys(
        (
            *("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"),
            *("AWS::Lambda::Alias", "AWS::Lambda::Url", "AWS::Lambda::Permission"),
            *("AWS::Lambda::EventInvokeConfig", "AWS::Serverless::LayerVersion"),
            *(
                "AWS::Events::Rule",
                "AWS::KMS::Alias",
                "Custom::PublishedPolicy",
                "AWS::Logs::QueryDefinition",
                "AWS::Logs::ResourcePolicy",
            ),
            *("AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"),
        ),
        (),
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill: an amount in units of its price, in dollars."""

    name: str
    amount: float
    usd: float
    source: str


@cache
def read_json(name: str) -> Any:
    return json.loads((_HERE / name).read_text())


@cache
def template() -> Mapping[str, Any]:
    resources: Mapping[str, Any] = yaml_parse(TEMPLATE.read_text())["Resources"]
    return resources


def count_resources(*types: str) -> int:
    return sum(resource["Type"] in types for resource in template().values())


def count_alarms() -> int:
    """Return the number of metrics that alarms watch; a composite alarm costs as much as five."""
    alarms = [one["Properties"] for one in template().values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    watched = (sum("MetricStat" in metric for metric in alarm.get("Metrics", ())) for alarm in alarms)
    return sum(max(1, number) for number in watched) + 5 * count_resources("AWS::CloudWatch::CompositeAlarm")


def memory_of(function: str) -> int:
    """Return the megabytes of a function of the template; `judge_image` is `JudgeImageFunction` there."""
    megabytes: int = template()[_logical_name(function)]["Properties"].get("MemorySize", 512)
    return megabytes


def _logical_name(function: str) -> str:
    return function.title().replace("_", "") + "Function"


def gb_seconds(function: str, calls: int) -> float:
    """Return what one cold call costs that makes so many calls of services."""
    usage, megabytes = read_json("usage.json"), memory_of(function)
    slower = max(1.0, _CORE_MB / megabytes)
    seconds = (usage["cold_start_ms"] + usage["cpu_ms"][function]) * slower + calls * usage["call_ms"]
    return float(seconds / 1000 * megabytes / 1024)


def of_a_hop() -> dict[str, float]:
    """Return the amounts that one promoted hop adds."""
    usage, by_function = read_json("usage.json"), read_json("hop_calls.json")
    calls = [(*name.split(":"), times) for made in by_function.values() for name, times in made.items()]
    per_month = usage["months_kept"]
    return {
        "lambda_requests": len(by_function),
        "lambda_gb_seconds": sum(gb_seconds(name, sum(made.values())) for name, made in by_function.items()),
        "dynamodb_writes": sum(_WRITES.get(operation, 0) * times for _, operation, times in calls),
        "dynamodb_reads": sum(_READS.get(operation, 0) * times for _, operation, times in calls),
        "dynamodb_storage": usage["ledger_bytes_a_hop"] * per_month / _GB,
        "states_transitions": usage["transitions"],
        "s3_puts": sum(times for _, operation, times in calls if operation == "PutObject"),
        "s3_gets": sum(times for _, operation, times in calls if operation == "GetObject"),
        "s3_storage": usage["record_bytes_a_hop"] * per_month / _GB,
        "kms_requests": sum(times for service, _, times in calls if service in _ENCRYPTED),
        "sns_publishes": sum(times for service, _, times in calls if service == "sns"),
        "sns_mails": sum(times for service, _, times in calls if service == "sns"),
        "events_custom": sum(times for service, _, times in calls if service == "events"),
        "logs_ingested": len(by_function) * usage["log_bytes_an_invocation"] / _GB,
        "logs_stored": len(by_function) * usage["log_bytes_an_invocation"] * 3 / _GB,  # for 90 days
        "ecr_storage": usage["evidence_bytes_a_hop"] * per_month / _GB,
        "signer_signatures": sum(times for _, operation, times in calls if operation == "SignPayload"),
    }


def of_a_month() -> dict[str, float]:
    """Return the amounts that the stack costs however few images are pushed."""
    usage = read_json("usage.json")
    scheduled = {
        name: runs * _DAYS for name, runs in _RUNS_A_DAY.items() if _logical_name(name) in template()
    }
    runs = sum(scheduled.values())
    calls = sum(usage["calls"][name] * times for name, times in scheduled.items())
    return {
        "lambda_requests": runs,
        "lambda_gb_seconds": sum(
            gb_seconds(name, usage["calls"][name]) * times for name, times in scheduled.items()
        ),
        "dynamodb_reads": calls,
        "kms_keys": count_resources("AWS::KMS::Key"),
        "kms_requests": runs * len(_ENCRYPTED),  # the keys of a table are kept for five minutes
        "logs_ingested": runs * usage["log_bytes_an_invocation"] / _GB,
        "logs_stored": runs * usage["log_bytes_an_invocation"] * 3 / _GB,
        "metrics": usage["metrics"] + count_resources("AWS::Logs::MetricFilter"),
        "alarms": count_alarms(),
        "dashboards": count_resources("AWS::CloudWatch::Dashboard"),
        "sqs_requests": 1000,
    }


def bill(hops: float) -> list[Line]:
    """Return the lines of a month with so many promoted hops."""
    hop, month, prices = of_a_hop(), of_a_month(), read_json("prices.json")["prices"]
    return [
        Line(name, amount, amount / price["per"] * price["usd"], price["source"])
        for name, price in prices.items()
        for amount in (hop.get(name, 0) * hops + month.get(name, 0),)
    ]


def marginal_usd(hops: int = 1000) -> float:
    """Return what so many promoted images add to a bill."""
    return sum(line.usd for line in bill(hops)) - sum(line.usd for line in bill(0))


def _text(lines: list[Line]) -> Iterator[str]:
    prices = read_json("prices.json")
    for line in lines:
        yield f"{line.name:20} {line.amount:16,.3f} {line.usd:8.2f} USD  {line.source}"
    yield f"{'sum':20} {'':16} {sum(line.usd for line in lines):8.2f} USD  {prices['region']}, {prices['date']}"
    yield f"1,000 promoted images add {marginal_usd():.2f} USD. Amazon Inspector and the images themselves are apart."


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pushes-per-day", type=int, default=PUSHES_A_DAY)
    parser.add_argument("--hops-per-push", type=int, default=HOPS_A_PUSH)
    parser.add_argument("--json", type=Path, help="write the lines to this file, too")
    options = parser.parse_args()
    lines = bill(options.pushes_per_day * options.hops_per_push * _DAYS)
    print("\n".join(_text(lines)))
    if options.json:
        options.json.write_text(json.dumps([asdict(line) for line in lines], indent=2) + "\n")


if __name__ == "__main__":
    main()
