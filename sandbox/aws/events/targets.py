"""The targets of EventBridge rules that moto lacks, each with its input and its permissions.

A target lets EventBridge in by its own policy, as in AWS: a function by `AWS::Lambda::Permission`, a queue or topic by
its policy, a state machine by the role that the rule names.

Source: EventBridge guide, "Input transformation", "Dead-letter queues", "Resource-based policies".
"""

from __future__ import annotations

import json
import re
import time
from fnmatch import fnmatchcase
from typing import Any
from uuid import uuid4

from jsonpath_ng.parser import parse as parse_path
from moto.awslambda.models import lambda_backends
from moto.events.models import Rule
from moto.logs.models import logs_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from sandbox.aws.iam import used_statements
from sandbox.aws.iam.encryption import key_needs
from sandbox.aws.iam.resource_policies import statements_on
from sandbox.settings import Settings

_RETRIES = 2  # AWS: 185 times in 24 hours

_settings: Settings


class UndeliverableError(Exception):
    """A target will never accept this event; `code` is one of EventBridge's error codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def deliver(rule: Rule, target: dict[str, Any], event: dict[str, Any]) -> None:
    """Deliver an event. Raises `UndeliverableError` if that is hopeless or was tried often enough."""
    policy = target.get("RetryPolicy") or {}
    retries = min(int(policy.get("MaximumRetryAttempts", 185)), _RETRIES)
    body = target_input(target, event, rule)
    for left in range(retries, -1, -1):
        try:
            return _call(rule, target, body)
        except UndeliverableError:
            raise
        except Exception as error:
            if not left:
                raise UndeliverableError("ERROR_FROM_TARGET", str(error)) from error
            time.sleep(_settings.time_scale)
    return None


def _call(rule: Rule, target: dict[str, Any], body: str) -> None:
    service = target["Arn"].split(":")[2]
    if service not in _TARGETS:
        raise UndeliverableError("NO_RESOURCE", f"the sandbox delivers nothing to {service}")
    _TARGETS[service](rule, target, body)


def _to_lambda(rule: Rule, target: dict[str, Any], body: str) -> None:
    name, _, qualifier = target["Arn"].split(":function:")[1].partition(":")
    backend = lambda_backends[_settings.account][_settings.region]
    try:
        function = backend.get_function(name, qualifier or None)
        latest = backend.get_function(name)
    except Exception as error:
        raise UndeliverableError("NO_RESOURCE", f"no function {target['Arn']}") from error
    statements = [*function.policy.statements, *latest.policy.statements]
    _permit(statements, "lambda:InvokeFunction", rule, target["Arn"])
    headers = {"x-amz-invocation-type": "Event"}
    backend.invoke(name, qualifier or None, body, headers, {})


def _to_state_machine(rule: Rule, target: dict[str, Any], body: str) -> None:
    from sandbox.aws.iam.principals import is_allowed, role_credentials

    arn = target["Arn"]
    keys = role_credentials(target.get("RoleArn") or rule.role_arn or "", "events")
    if not is_allowed(keys["aws_access_key_id"], "states:StartExecution", arn):
        raise UndeliverableError("NO_PERMISSIONS", f"the rule's role may not start {arn}")
    backend = stepfunctions_parser_backends[_settings.account][_settings.region]
    backend.start_execution(arn, None, body)


def _to_queue(rule: Rule, target: dict[str, Any], body: str) -> None:
    queue = _queue(target["Arn"])
    _permit(_statements(queue.policy), "sqs:SendMessage", rule, target["Arn"])
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    backend = sqs_backends[_settings.account][_settings.region]
    backend.send_message(queue.name, body, group_id=group)


def _to_topic(rule: Rule, target: dict[str, Any], body: str) -> None:
    topic = sns_backends[_settings.account][_settings.region].topics.get(target["Arn"])
    if topic is None:
        raise UndeliverableError("NO_RESOURCE", f"no topic {target['Arn']}")
    _permit(_statements(topic.policy), "sns:Publish", rule, target["Arn"])
    topic.publish(body)


def _to_log_group(rule: Rule, target: dict[str, Any], body: str) -> None:
    """Write one event; policies of the account let EventBridge in, and its groups are those of /aws/events."""
    backend = logs_backends[_settings.account][_settings.region]
    name = target["Arn"].split(":log-group:")[1]
    if name not in backend.groups or not name.startswith("/aws/events/"):
        raise UndeliverableError("NO_RESOURCE", f"no log group {target['Arn']}")
    policies = backend.resource_policies.values()
    statements = [one for policy in policies for one in _statements(policy.policy_document)]
    covering = [one for one in statements if fnmatchcase(f"{target['Arn']}:*", one["Resource"])]
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        _permit(covering, action, rule, target["Arn"])
    stream = uuid4().hex
    backend.create_log_stream(name, stream)
    backend.put_log_events(name, stream, [{"timestamp": int(time.time() * 1000), "message": body}])


_TARGETS = {
    "logs": _to_log_group,
    "lambda": _to_lambda,
    "states": _to_state_machine,
    "sqs": _to_queue,
    "sns": _to_topic,
}


def _queue(arn: str) -> Any:
    backend = sqs_backends[_settings.account][_settings.region]
    found = backend.queues.get(arn.rsplit(":", 1)[1])
    if found is None:
        raise UndeliverableError("NO_RESOURCE", f"no queue {arn}")
    return found


def send_to_dead_letters(
    rule: Rule, target: dict[str, Any], event: dict[str, Any], error: UndeliverableError
) -> None:
    """Send an event to the rule's dead-letter queue. Raises if no queue lets EventBridge in."""
    arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not arn:
        raise UndeliverableError("NO_RESOURCE", "the target has no dead-letter queue")
    queue = _queue(arn)
    _permit(_statements(queue.policy), "sqs:SendMessage", rule, arn)
    for action, key in key_needs("sqs:SendMessage", arn):
        _permit([dict(one) for one in statements_on(key)], action, rule, key)
    attributes = {
        "RULE_ARN": rule.arn,
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": error.code,
        "ERROR_MESSAGE": str(error),
    }
    sqs_backends[_settings.account][_settings.region].send_message(
        queue.name,
        json.dumps(event),
        message_attributes={
            key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()
        },
    )


# Permissions of the targets


def _statements(policy: Any) -> list[dict[str, Any]]:
    document = json.loads(policy) if isinstance(policy, str) and policy else policy or {}
    statements = document.get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


def _permit(statements: list[dict[str, Any]], action: str, rule: Rule, resource: str) -> None:
    found = [one for one in statements if allows(one, action, rule.arn, _settings.account)]
    used_statements.record_use(resource, found)
    if not found:
        message = f"the policy of {resource} does not let events.amazonaws.com {action} for {rule.arn}"
        raise UndeliverableError("NO_PERMISSIONS", message)


def allows(statement: dict[str, Any], action: str, source_arn: str, account: str) -> bool:
    """Return whether a statement of a resource policy lets EventBridge act for a rule. Denies are not used."""
    principal = statement.get("Principal", {})
    names = _list(principal.get("Service", []) if isinstance(principal, dict) else principal)
    known = {"aws:sourcearn": source_arn, "aws:sourceaccount": account}
    actions = [name.lower() for name in _list(statement.get("Action", []))]
    return (
        statement.get("Effect", "Allow") == "Allow"
        and any(name in {"events.amazonaws.com", "*"} for name in names)
        and any(fnmatchcase(action.lower(), pattern) for pattern in actions)
        and all(_conditions_hold(test, known) for test in (statement.get("Condition") or {}).items())
    )


def _conditions_hold(test: tuple[str, dict[str, Any]], known: dict[str, str]) -> bool:
    """Return whether the conditions hold: those on the rule's ARN and account are known, any other does not hold."""
    return all(
        any(fnmatchcase(known.get(key.lower(), ""), pattern) for pattern in _list(patterns))
        for key, patterns in test[1].items()
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# Input


def target_input(target: dict[str, Any], event: dict[str, Any], rule: Rule) -> str:
    """Return the JSON text that the target gets."""
    if target.get("Input"):
        return str(target["Input"])
    if target.get("InputPath"):
        return json.dumps(_at(target["InputPath"], event))
    transformer = target.get("InputTransformer")
    if not transformer:
        return json.dumps(event)
    values = {name: _at(path, event) for name, path in (transformer.get("InputPathsMap") or {}).items()}
    values |= {
        "aws.events.rule-arn": rule.arn,
        "aws.events.rule-name": rule.name,
        "aws.events.event.json": event,
        "aws.events.event": event,
        "aws.events.event.ingestion-time": event["time"],
    }
    return _fill(transformer["InputTemplate"], values)


def _at(path: str, event: dict[str, Any]) -> Any:
    # EventBridge writes $.detail-type where JSONPath proper wants quotes.
    quoted = re.sub(r"\.([\w-]*-[\w-]*)", r'."\1"', path)
    found = parse_path(quoted).find(event)
    return found[0].value if found else None


def _fill(template: str, values: dict[str, Any]) -> str:
    """Fill in the values: as text inside quotes, as JSON outside."""

    def text(match: re.Match[str]) -> str:
        value = values.get(match[1])
        as_text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
        return json.dumps(as_text)[1:-1]

    def part(match: re.Match[str]) -> str:
        if match[0].startswith('"'):
            return re.sub(r"<([\w.-]+)>", text, match[0])
        return json.dumps(values.get(match[0][1:-1]))

    return re.sub(r'"(?:\\.|[^"\\])*"|<[\w.-]+>', part, template)


def install(settings: Settings) -> None:
    """Set the sandbox to which the targets belong."""
    global _settings
    _settings = settings
