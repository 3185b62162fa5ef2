"""The policies that are attached to resources: of buckets, queues and topics.

Keys and functions have policies too; for them the identity's own permission has to do, as AWS's default key policy
has it.
"""

from __future__ import annotations

import json
from typing import Any

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


def _topic(arn: str) -> Any:
    topic = sns_backends[ACCOUNT][REGION].topics.get(arn)
    return topic._policy_json if topic else None


def statements_on(resource: str) -> list[Statement]:
    """Empty where nothing is attached."""
    service, name = (resource.split(":", 5) + [""] * 6)[2:6:3]
    if service == "s3":
        policy = _bucket(name)
    elif service == "sqs":
        policy = _queue(name)
    else:
        policy = _topic(resource) if service == "sns" else None
    if not policy:
        return []
    return statements_of(policy if isinstance(policy, dict) else json.loads(policy))
