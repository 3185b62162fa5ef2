"""The KMS permissions that a request to S3, SNS, SQS, DynamoDB or ECR needs: the service calls KMS for the caller.

Keys that AWS manages need no permission.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox.aws.iam.resource_arns import Need, ServiceCall
from sandbox.settings import ACCOUNT, REGION

# Actions on the key: a new data key to write, the old one to read.
_USES = {
    "s3:PutObject": ["kms:GenerateDataKey"],
    "s3:GetObject": ["kms:Decrypt"],
    "sns:Publish": ["kms:GenerateDataKey", "kms:Decrypt"],
    "sqs:SendMessage": ["kms:GenerateDataKey", "kms:Decrypt"],
    "sqs:ReceiveMessage": ["kms:Decrypt"],
    "dynamodb:GetItem": ["kms:Decrypt"],
    "dynamodb:PutItem": ["kms:Decrypt"],
    "dynamodb:UpdateItem": ["kms:Decrypt"],
    "dynamodb:DeleteItem": ["kms:Decrypt"],
    "dynamodb:Query": ["kms:Decrypt"],
    "dynamodb:Scan": ["kms:Decrypt"],
}


def _bucket_key(name: str) -> Any:
    bucket = s3_backends[ACCOUNT]["aws"].buckets.get(name.partition("/")[0])
    rule = (bucket.encryption or {}).get("Rule", {}) if bucket else {}
    default = (rule[0] if isinstance(rule, list) else rule).get("ApplyServerSideEncryptionByDefault", {})
    return default.get("KMSMasterKeyID")


def _topic_key(name: str) -> Any:
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"
    topic = sns_backends[ACCOUNT][REGION].topics.get(arn)
    return topic.kms_master_key_id if topic else None


def _queue_key(name: str) -> Any:
    queue = sqs_backends[ACCOUNT][REGION].queues.get(name)
    return getattr(queue, "kms_master_key_id", None)


def _table_key(resource: str) -> Any:
    table = dynamodb_backends[ACCOUNT][REGION].tables.get(resource.split("/")[1])
    return (table.sse_specification or {}).get("KMSMasterKeyId") if table else None


_KEYS: dict[str, Callable[[str], Any]] = {
    "s3": _bucket_key,
    "sns": _topic_key,
    "sqs": _queue_key,
    "dynamodb": _table_key,
}


def key_needs(action: str, resource: str) -> Iterator[Need]:
    """Yield actions on the key, to be allowed in the context of `kms_context`."""
    uses = _USES.get(action, [])
    key = _KEYS[action.partition(":")[0]](resource.split(":", 5)[5]) if uses else None
    backend = kms_backends[ACCOUNT][REGION]
    key_id = backend.any_id_to_key_id(key) if key else None
    if key_id and not any(alias.startswith("alias/aws/") for alias in backend.keys[key_id].aliases):
        for use in uses:
            yield use, f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key_id}"


def repository_key_needs(call: ServiceCall) -> list[Need]:
    """Return what ECR does with a customer's key for whoever creates a repository.

    Pushes and pulls need nothing: ECR uses its grants. Source: Amazon ECR user guide, "Encryption at rest".
    """
    encryption = call.parameters.get("encryptionConfiguration") or {}
    if (call.service, call.operation) != ("ecr", "CreateRepository") or not encryption.get("kmsKey"):
        return []
    backend = kms_backends[call.account][call.region]
    key = backend.keys[backend.any_id_to_key_id(encryption["kmsKey"])]
    if any(alias.startswith("alias/aws/") for alias in key.aliases):
        return []
    return [("kms:DescribeKey", key.arn), ("kms:CreateGrant", key.arn)]


def kms_context(action: str) -> dict[str, str]:
    """Return the context that a service adds when it calls KMS for a caller."""
    service = action.partition(":")[0]
    via = f"{service}.{REGION}.amazonaws.com"
    return {"kms:ViaService": via, "kms:CallerAccount": ACCOUNT, "kms:GrantIsForAWSResource": "true"}
