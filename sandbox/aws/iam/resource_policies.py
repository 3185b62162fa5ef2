"""The policies of resources: buckets, queues, topics, keys, functions and repositories; and tags of repositories.

A key's policy is taken to delegate to the account, so that an identity's own permission counts too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend
from moto.ecr.models import ecr_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox.aws.iam.policies import Statement, statements_of
from sandbox.settings import ACCOUNT, REGION


def _bucket(name: str) -> Any:
    bucket = s3_backends[ACCOUNT]["aws"].buckets.get(name.partition("/")[0])
    return bucket.policy if bucket else None


def _queue(name: str) -> Any:
    queue = sqs_backends[ACCOUNT][REGION].queues.get(name)
    return queue.policy if queue else None


def _topic(name: str) -> Any:
    topic = sns_backends[ACCOUNT][REGION].topics.get(f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}")
    return topic._policy_json if topic else None


def _key(name: str) -> Any:
    key = kms_backends[ACCOUNT][REGION].keys.get(name.removeprefix("key/"))
    return key.policy if key else None


# Parameters of AddPermission, and the conditions that they become.
_PERMISSION_CONDITIONS = {
    "FunctionUrlAuthType": ("StringEquals", "lambda:FunctionUrlAuthType"),
    "InvokedViaFunctionUrl": ("Bool", "lambda:InvokedViaFunctionUrl"),
}


def _function(name: str) -> Any:
    kind, _, function = name.partition(":")
    if kind != "function" or not function:
        return None
    try:
        # moto keeps one policy for a function with its versions and aliases.
        policy = get_backend(ACCOUNT, REGION).get_function(function.partition(":")[0]).policy
    except UnknownFunctionException:
        return None
    return {"Statement": [_with_conditions(statement) for statement in policy.statements]}


def _with_conditions(statement: Statement) -> Statement:
    given = {name: statement[name] for name in _PERMISSION_CONDITIONS if name in statement}
    conditions: dict[str, Any] = dict(statement.get("Condition", {}))
    for name, value in given.items():
        operator, key = _PERMISSION_CONDITIONS[name]
        conditions[operator] = conditions.get(operator, {}) | {key: value}
    rest = {name: value for name, value in statement.items() if name not in given}
    return rest | {"Condition": conditions}


def _repository(name: str) -> Any:
    repository = ecr_backends[ACCOUNT][REGION].repositories.get(name.removeprefix("repository/"))
    return repository.policy if repository else None


_POLICIES: dict[str, Callable[[str], Any]] = {
    "s3": _bucket,
    "sqs": _queue,
    "sns": _topic,
    "kms": _key,
    "lambda": _function,
    "ecr": _repository,
}


def statements_on(resource: str) -> list[Statement]:
    """Return the statements of the resource's policy; empty if it has none."""
    service, name = ([*resource.split(":", 5), *[""] * 5])[2:6:3]
    policy = _POLICIES[service](name) if service in _POLICIES else None
    if not policy:
        return []
    return statements_of(policy if isinstance(policy, dict) else json.loads(policy))


def tag_conditions(resource: str) -> dict[str, str]:
    """Return the condition keys of a repository's tags; none for other resources."""
    if resource.split(":", 3)[2:3] != ["ecr"]:
        return {}
    tags = ecr_backends[ACCOUNT][REGION].tagger.get_tag_dict_for_resource(resource)
    return {
        f"{service}:ResourceTag/{key}": value for key, value in tags.items() for service in ("aws", "ecr")
    }
