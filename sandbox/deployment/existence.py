"""Checks in each service's backend that the resources of a stack really exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.awslambda.utils import get_backend
from moto.cloudformation.models import cloudformation_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.dynamodb.models import dynamodb_backends
from moto.events.models import events_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.models import stepfunctions_backends

from sandbox.settings import Settings

# Arguments: the settings, the physical id and the resolved properties. A probe raises or returns something false
# if the resource does not exist.
Probe = Callable[[Settings, str, dict[str, Any]], Any]


def _lambda(settings: Settings) -> Any:
    return get_backend(settings.account, settings.region)


def _regional(backends: Any) -> Callable[[Settings], Any]:
    return lambda settings: backends[settings.account][settings.region]


def _global(backends: Any) -> Callable[[Settings], Any]:
    return lambda settings: backends[settings.account]["aws"]


_iam, _s3 = _global(iam_backends), _global(s3_backends)
_dynamodb, _sns, _sqs = _regional(dynamodb_backends), _regional(sns_backends), _regional(sqs_backends)
_events, _logs, _kms = _regional(events_backends), _regional(logs_backends), _regional(kms_backends)
_states, _cloudwatch = _regional(stepfunctions_backends), _regional(cloudwatch_backends)


def _permission(settings: Settings, physical_id: str, properties: dict[str, Any]) -> bool:
    name = properties["FunctionName"]
    name = name.rpartition(":")[0] if name.count(":") == 7 else name
    statements = _lambda(settings).get_function(name).policy.statements
    return any(statement["Sid"] == physical_id for statement in statements)


def _role_policy(settings: Settings, _id: str, properties: dict[str, Any]) -> bool:
    names = properties["Roles"]
    return all(_iam(settings).get_role_policy(r, properties["PolicyName"]) for r in names)


_PROBES: dict[str, Probe] = {
    "AWS::Lambda::Function": lambda s, i, _: _lambda(s).get_function(i).code_bytes,
    "AWS::Lambda::LayerVersion": lambda s, i, _: _lambda(s).layers_versions_by_arn(i).code_bytes,
    "AWS::Lambda::Version": lambda s, i, _: _lambda(s).get_function(i),
    "AWS::Lambda::Alias": lambda s, i, _: _lambda(s).get_function(i),
    "AWS::Lambda::Permission": _permission,
    "AWS::Lambda::EventInvokeConfig": lambda s, _, p: _lambda(s).get_function_event_invoke_config(
        p["FunctionName"]
    ),
    "AWS::Lambda::Url": lambda s, i, _: _lambda(s).get_function_url_config(i),
    "AWS::IAM::Role": lambda s, i, _: _iam(s).get_role(i),
    "AWS::IAM::Policy": _role_policy,
    "AWS::IAM::ManagedPolicy": lambda s, i, _: _iam(s).get_policy(i),
    "AWS::KMS::Key": lambda s, i, _: _kms(s).describe_key(i),
    "AWS::KMS::Alias": lambda s, i, _: _kms(s).alias_exists(i),
    "AWS::DynamoDB::Table": lambda s, i, _: _dynamodb(s).describe_table(i),
    "AWS::S3::Bucket": lambda s, i, _: _s3(s).head_bucket(i),
    "AWS::S3::BucketPolicy": lambda s, i, _: _s3(s).get_bucket_policy(i),
    "AWS::SNS::Topic": lambda s, i, _: _sns(s).get_topic(i),
    "AWS::SNS::Subscription": lambda s, i, _: _sns(s).subscriptions[i],
    "AWS::SNS::TopicPolicy": lambda s, _, p: all(_sns(s).get_topic(t) for t in p["Topics"]),
    "AWS::SQS::Queue": lambda s, i, _: _sqs(s).get_queue(i.rpartition("/")[2]),
    "AWS::SQS::QueuePolicy": lambda s, _, p: all(
        _sqs(s).get_queue(q.rpartition("/")[2]).policy for q in p["Queues"]
    ),
    "AWS::Events::Rule": lambda s, i, _: _events(s).describe_rule(i.rpartition("|")[2], None),
    "AWS::Logs::LogGroup": lambda s, i, _: _logs(s).groups[i],
    "AWS::Logs::MetricFilter": lambda s, i, p: _logs(s).describe_metric_filters(i, p["LogGroupName"]),
    "AWS::Logs::ResourcePolicy": lambda s, i, _: _logs(s).resource_policies[i],
    "AWS::CloudWatch::Alarm": lambda s, i, _: _cloudwatch(s).alarms[i],
    "AWS::CloudWatch::CompositeAlarm": lambda *_: (
        True
    ),  # moto has none; its children are checked when it is made
    "AWS::CloudWatch::Dashboard": lambda s, i, _: _cloudwatch(s).dashboards[i],
    "AWS::Logs::QueryDefinition": lambda *_: (
        True
    ),  # moto has none; its log groups are checked when it is made
    "AWS::StepFunctions::StateMachine": lambda s, i, _: _states(s).describe_state_machine(i),
}


def _is_there(settings: Settings, kind: str, instance: Any, definition: dict[str, Any]) -> bool:
    if kind.startswith("Custom::"):
        return bool(instance.physical_resource_id)
    try:
        return bool(_PROBES[kind](settings, instance.physical_resource_id, definition))
    except KeyError:
        if kind not in _PROBES:
            raise
        return False
    except Exception:  # noqa: BLE001 - every service has its own "not found"
        return False


def missing_resources(settings: Settings, template: dict[str, Any], stack_id: str) -> list[str]:
    """Return `LogicalId (Type)` of each resource that the template requires and that does not exist."""
    from moto.cloudformation.parsing import clean_json

    backend = cloudformation_backends[settings.account][settings.region]
    resources = backend.get_stack(stack_id).resource_map
    missing = []
    for logical_id, definition in template["Resources"].items():
        kind, condition = definition["Type"], definition.get("Condition")
        if condition and not resources.lazy_condition_map[condition]:
            continue
        instance = resources._parsed_resources.get(logical_id)
        if kind not in _PROBES and not kind.startswith("Custom::"):
            missing.append(f"{logical_id} ({kind}): the sandbox has no way to look for this type")
        elif instance is None or not _is_there(
            settings, kind, instance, clean_json(definition.get("Properties") or {}, resources)
        ):
            missing.append(f"{logical_id} ({kind})")
    return missing
