"""The IAM actions and resources that one request needs, read from its parameters.

Source: the Service Authorization Reference. A service or operation that is not here needs its own name on `*`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

from moto.kms.models import kms_backends

from sandbox.registry import scanning

Need = tuple[str, str]  # action, resource ARN
_EQUALITY = re.compile(r"=\s*(:\w+)")


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """One request: `parameters` are keyed by the names of the service's model."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    account: str
    region: str

    def arn(self, resource: str, *, service: str | None = None) -> str:
        return f"arn:aws:{service or self.service}:{self.region}:{self.account}:{resource}"

    def text(self, *names: str) -> str:
        """Return the first of these parameters that is given."""
        return next((str(self.parameters[name]) for name in names if self.parameters.get(name)), "")

    def need(self, resource: str, operation: str | None = None) -> Need:
        return f"{self.service}:{operation or self.operation}", resource


def _arn_or(call: ServiceCall, value: str, prefix: str) -> str:
    return value if value.startswith("arn:") else call.arn(prefix + value)


# IAM has no action with this operation's name (Service Authorization Reference, Amazon ECR); ECR's API reference says
# which one it asks for.
_ECR_ACTIONS = {"ListImageReferrers": "BatchGetImage"}


def _ecr(call: ServiceCall) -> Iterator[Need]:
    names = [call.text("repositoryName")] if call.text("repositoryName") else []
    names += list(call.parameters.get("repositoryNames") or [])
    if call.operation == "DescribeImageScanFindings" and scanning.scan_type() == "ENHANCED":
        yield "inspector2:ListFindings", "*"  # ECR calls Inspector on behalf of the caller
    for name in names:
        yield call.need(call.arn(f"repository/{name}"), _ECR_ACTIONS.get(call.operation))
        if call.operation == "CreateRepository" and call.parameters.get("tags"):
            yield call.need(call.arn(f"repository/{name}"), "TagResource")
    if not names:
        listing = call.operation == "DescribeRepositories"
        yield call.need(call.arn("repository/*") if listing else call.text("resourceArn") or "*")


_ITEM_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}


def _dynamodb(call: ServiceCall) -> Iterator[Need]:
    for item in call.parameters.get("TransactItems") or []:
        for kind, request in item.items():
            table = _arn_or(call, request["TableName"], "table/")
            yield call.need(table, _ITEM_ACTIONS[kind])
    for table in call.parameters.get("RequestItems") or {}:
        yield call.need(_arn_or(call, table, "table/"))
    if "TransactItems" in call.parameters or "RequestItems" in call.parameters:
        return
    name = call.text("TableName", "ResourceArn")
    arn = _arn_or(call, name, "table/") if name else "*"
    index = call.text("IndexName")
    yield call.need(f"{arn}/index/{index}" if index else arn)


def _sns(call: ServiceCall) -> Iterator[Need]:
    arn = call.text("TopicArn", "TargetArn", "ResourceArn", "SubscriptionArn")
    name = call.text("Name")
    operation = {"PublishBatch": "Publish"}.get(call.operation)
    yield call.need(arn or (call.arn(name) if name else "*"), operation)


def function_arn(call: ServiceCall) -> str:
    name, qualifier = call.text("FunctionName"), call.text("Qualifier")
    if not name.startswith("arn:"):
        name = call.arn("function:" + name.rpartition("function:")[2])
    # The ARN's seventh part is the name; a qualifier in it makes an eighth.
    return f"{name}:{qualifier}" if qualifier and name.count(":") == 6 else name


def _lambda(call: ServiceCall) -> Iterator[Need]:
    operation = {"Invoke": "InvokeFunction", "InvokeAsync": "InvokeFunction"}.get(call.operation)
    if call.text("LayerName"):
        yield call.need(_arn_or(call, call.text("LayerName"), "layer:"), operation)
    else:
        yield call.need(function_arn(call) if call.text("FunctionName") else "*", operation)


_SIGNER_BY_PROFILE = {
    "SignPayload",
    "GetSigningProfile",
    "CancelSigningProfile",
    "RevokeSigningProfile",
    "AddProfilePermission",
    "RemoveProfilePermission",
    "ListProfilePermissions",
}


def _signer(call: ServiceCall) -> Iterator[Need]:
    if call.operation == "GetRevocationStatus":  # needs both: the reference marks them as required
        yield call.need(call.text("profileVersionArn").rpartition("/")[0])
        yield call.need(call.text("jobArn"))
    elif call.operation in _SIGNER_BY_PROFILE:
        yield call.need(call.arn(f"/signing-profiles/{call.text('profileName')}"))
    elif call.text("jobId"):
        yield call.need(call.arn(f"/signing-jobs/{call.text('jobId')}"))
    else:
        yield call.need(call.text("resourceArn") or "*")


def _states(call: ServiceCall) -> Iterator[Need]:
    created = call.operation == "CreateStateMachine"
    own = call.arn(f"stateMachine:{call.text('name')}") if created else ""
    yield call.need(own or call.text("stateMachineArn", "executionArn", "mapRunArn") or "*")


def _sqs(call: ServiceCall) -> Iterator[Need]:
    url = call.text("QueueUrl")
    name = url.rpartition("/")[2] or call.text("QueueName")
    batch = {"SendMessageBatch": "SendMessage", "DeleteMessageBatch": "DeleteMessage"}
    yield call.need(call.arn(name) if name else "*", batch.get(call.operation))


def _kms(call: ServiceCall) -> Iterator[Need]:
    key = call.text("KeyId", "TargetKeyId")
    if not key:
        yield call.need("*")
        return
    key_id = kms_backends[call.account][call.region].any_id_to_key_id(key)
    yield call.need(call.arn(f"key/{key_id}"))


def _events(call: ServiceCall) -> Iterator[Need]:
    if call.operation == "PutEvents":
        for entry in call.parameters.get("Entries") or []:
            bus = entry.get("EventBusName") or "default"
            yield call.need(_arn_or(call, bus, "event-bus/"))
        return
    name, bus = call.text("Rule", "Name"), call.text("EventBusName")
    rule = f"{bus}/{name}" if bus not in ("", "default") else name
    yield call.need(call.arn(f"rule/{rule}") if name else "*")


def _logs(call: ServiceCall) -> Iterator[Need]:
    group, stream = call.text("logGroupName"), call.text("logStreamName")
    arn = call.arn(f"log-group:{group}")
    if call.operation in ("CreateLogGroup", "DeleteLogGroup", "PutRetentionPolicy"):
        yield call.need(arn)
    else:
        yield call.need(f"{arn}:log-stream:{stream}" if group else "*")


def _iam(call: ServiceCall) -> Iterator[Need]:
    for parameter, kind in (("RoleName", "role"), ("UserName", "user"), ("GroupName", "group")):
        if call.text(parameter):
            yield call.need(f"arn:aws:iam::{call.account}:{kind}/{call.text(parameter)}")
            return
    yield call.need(call.text("PolicyArn", "PolicySourceArn") or "*")


def _sts(call: ServiceCall) -> Iterator[Need]:
    yield call.need(call.text("RoleArn") or "*")


def _cloudformation(call: ServiceCall) -> Iterator[Need]:
    name = call.text("StackName")
    yield call.need(_arn_or(call, name, "stack/") + ("" if ":" in name else "/*") if name else "*")


def _ecs(call: ServiceCall) -> Iterator[Need]:
    """Return the needs of ECS; a service revision needs its service, too.

    Refusals of ListTasks name the container instances of the cluster, whatever runs its tasks (from issue threads).
    """
    cluster = (call.text("cluster") or "default").rpartition("/")[2]
    if call.operation == "ListTasks":
        yield call.need(call.arn(f"container-instance/{cluster}/*"))
        return
    if call.operation == "DescribeTasks":
        for task in call.parameters.get("tasks") or []:
            yield call.need(_arn_or(call, task, f"task/{cluster}/"))
        return
    for arn in call.parameters.get("serviceRevisionArns") or []:
        service = arn.rpartition("/")[0].replace(":service-revision/", ":service/")
        yield from (call.need(service), call.need(arn))
    if not call.parameters.get("serviceRevisionArns"):
        yield call.need("*")


def _securityhub(call: ServiceCall) -> Iterator[Need]:
    for product in {finding.get("ProductArn", "*") for finding in call.parameters.get("Findings") or [{}]}:
        yield call.need(product)


_SERVICES: dict[str, Callable[[ServiceCall], Iterator[Need]]] = {
    "ecr": _ecr,
    "dynamodb": _dynamodb,
    "sns": _sns,
    "lambda": _lambda,
    "signer": _signer,
    "states": _states,
    "sqs": _sqs,
    "kms": _kms,
    "events": _events,
    "logs": _logs,
    "iam": _iam,
    "sts": _sts,
    "cloudformation": _cloudformation,
    "ecs": _ecs,
    "securityhub": _securityhub,
}


def needs(call: ServiceCall) -> list[Need]:
    by_service = _SERVICES.get(call.service)
    return list(by_service(call)) if by_service else [call.need("*")]


def condition_keys(call: ServiceCall) -> dict[str, str | list[str]]:
    """Return the condition keys of this request: the items of a table, how a code is made, who calls."""
    if call.service == "kms" and call.text("MacAlgorithm"):
        return {"kms:MacAlgorithm": call.text("MacAlgorithm")}
    if call.service == "kms" and call.operation == "CreateGrant":
        return {"kms:GrantIsForAWSResource": "false"}  # true only if a service calls on behalf of the caller
    keys = list(dict.fromkeys(_leading_keys(call))) if call.service == "dynamodb" else []
    return {"dynamodb:LeadingKeys": keys} if keys else {}


def _leading_keys(call: ServiceCall) -> Iterator[str]:
    """Return the partition keys of all items of the request; the tables' own key is `pk`. A Scan has none.

    Source: DynamoDB developer guide, "Using IAM policy conditions for fine-grained access control".
    """
    for item in _items(call.parameters):
        if "pk" in item:
            yield str(next(iter(item["pk"].values())))
    equality = _EQUALITY.search(call.text("KeyConditionExpression"))
    if equality:  # of the table, or of an index: its partition key comes first
        yield str(next(iter(call.parameters["ExpressionAttributeValues"][equality[1]].values())))


def _items(parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the keys or whole items that a request names."""
    for name in ("Item", "Key"):
        if name in parameters:
            yield parameters[name]
    for request in parameters.get("RequestItems", {}).values():
        if "Keys" in request:
            yield from request["Keys"]
        else:
            for write in request:
                yield from (part for one in write.values() for part in one.values())
    for one in parameters.get("TransactItems", []):
        yield from (item for request in one.values() for item in _items(request))


def object_keys(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the condition keys of a write to S3 (user guide, "Enforce conditional writes on Amazon S3 buckets")."""
    return {f"s3:{name}": headers[name] for name in ("if-match", "if-none-match") if name in headers}


def deletion_needs(bucket: str, body: bytes) -> Iterator[Need]:
    """Return the needs of DeleteObjects: one per object, and another action for a version."""
    for one in ElementTree.fromstring(body).iterfind("{*}Object"):  # noqa: S314 (what our own clients send)
        operation = "DeleteObject" if one.find("{*}VersionId") is None else "DeleteObjectVersion"
        yield f"s3:{operation}", f"arn:aws:s3:::{bucket}/{one.findtext('{*}Key')}"


def listing_keys(query: str) -> dict[str, str]:
    """Return the condition keys of a listing of S3, by the query of its URL."""
    prefix = parse_qs(query).get("prefix", [])
    return {"s3:prefix": prefix[0]} if prefix else {}
