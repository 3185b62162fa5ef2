"""The policies that are attached to resources: of buckets, queues, topics and keys.

A key's policy is taken to delegate to the account, so that an identity's own permission counts too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.kms.models import kms_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox.aws.policies import Statement, statements_of
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


_POLICIES: dict[str, Callable[[str], Any]] = {
    "s3": _bucket,
    "sqs": _queue,
    "sns": _topic,
    "kms": _key,
}


def statements_on(resource: str) -> list[Statement]:
    """Empty where nothing is attached."""
    service, name = ([*resource.split(":", 5), *[""] * 5])[2:6:3]
    policy = _POLICIES[service](name) if service in _POLICIES else None
    if not policy:
        return []
    return statements_of(policy if isinstance(policy, dict) else json.loads(policy))
