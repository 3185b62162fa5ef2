"""CloudWatch: the metrics of AWS that the template's alarms watch, as far as the account has any. It only reads."""

from __future__ import annotations

from tests.contract.recorder.behaviours import behaviour
from tests.contract.recorder.bench import Bench

# By namespace and name: the dimensions of the alarms.
_WATCHED = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): ["QueueName"],
    ("AWS/States", "ExecutionsFailed"): ["StateMachineArn"],
    ("AWS/States", "ExecutionsAborted"): ["StateMachineArn"],
    ("AWS/States", "ExecutionsTimedOut"): ["StateMachineArn"],
    ("AWS/Events", "Invocations"): ["RuleName"],
    ("AWS/Lambda", "Errors"): ["FunctionName"],
    ("AWS/Lambda", "Throttles"): ["FunctionName"],
    ("AWS/SNS", "NumberOfNotificationsFailed"): ["TopicName"],
    ("AWS/ECR", "RepositoryPullCount"): ["RepositoryName"],
}


@behaviour("CloudWatch", 'each service\'s guide, "metrics"', None, looser="the sandbox has no metrics of AWS")
def metrics_have_the_dimensions_of_the_alarms(bench: Bench) -> None:
    """A metric that the account has exists with exactly the dimensions that the alarms name."""
    for (namespace, name), dimensions in _WATCHED.items():
        found = bench.do("cloudwatch", "ListMetrics", Namespace=namespace, MetricName=name)["Metrics"]
        named = [[one["Name"] for one in metric["Dimensions"]] for metric in found]
        known = "" if named else ": none in this account"
        bench.observe(f"{namespace} {name} by {', '.join(dimensions)}{known}", dimensions in named)
