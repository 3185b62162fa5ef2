"""The template in MiniStack: an emulator of AWS by other authors, which updates, rolls back and deletes stacks.

It runs the function of the custom resource; no other is called.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError, EndpointConnectionError

from sandbox.deployment import template as templates
from sandbox.ports import free_port
from tests.patience import eventually

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / ".venv-ministack/bin/ministack"
PACKAGES = "packages"
# It refuses templates with these types, and alarms about expressions.
UNKNOWN = {"AWS::CloudWatch::CompositeAlarm", "AWS::Logs::QueryDefinition"}
# It has no /opt: layers are folders beside the function, and the libraries are those of the tests.
SURROUNDINGS = {"POLICY_FILE": "../layer_1/policy.yaml", "PYTHONPATH": sysconfig.get_path("purelib")}
# How each type of resource is listed: service, operation, list, name of one. Functions have theirs with them.
LISTS = {
    "AWS::CloudWatch::Alarm": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "AWS::DynamoDB::Table": ("dynamodb", "list_tables", "TableNames", ""),
    "AWS::Events::Rule": ("events", "list_rules", "Rules", "Name"),
    "AWS::IAM::Role": ("iam", "list_roles", "Roles", "RoleName"),
    "AWS::KMS::Alias": ("kms", "list_aliases", "Aliases", "AliasName"),
    "AWS::KMS::Key": ("kms", "list_keys", "Keys", "KeyId"),
    "AWS::Lambda::Function": ("lambda", "list_functions", "Functions", "FunctionName"),
    "AWS::Lambda::LayerVersion": ("lambda", "list_layers", "Layers", "LayerName"),
    "AWS::Logs::LogGroup": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "AWS::S3::Bucket": ("s3", "list_buckets", "Buckets", "Name"),
    "AWS::SNS::Topic": ("sns", "list_topics", "Topics", "TopicArn"),
    "AWS::SQS::Queue": ("sqs", "list_queues", "QueueUrls", ""),
    "AWS::StepFunctions::StateMachine": ("stepfunctions", "list_state_machines", "stateMachines", "name"),
}


@dataclass(frozen=True, slots=True)
class StackChange:
    """The end of a deployment: the stack's status and the reasons of what failed, first to last."""

    status: str
    reasons: list[str]
    changed: dict[str, str]  # logical id of each resource that it touched, and what was done to it last


@dataclass(frozen=True, slots=True)
class Published:
    """A version of a function, with what can be changed about it."""

    version: str
    code: str
    layers: list[str]
    variables: dict[str, str]

    @staticmethod
    def of(configuration: Mapping[str, Any]) -> Published:
        return Published(
            configuration["Version"],
            configuration["CodeSha256"],
            [one["Arn"] for one in configuration.get("Layers", [])],
            configuration["Environment"]["Variables"],
        )


@dataclass
class EmulatedAccount:
    endpoint: str
    region: str
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            session: Any = boto3.Session("id", "secret", region_name=self.region)
            self.clients[service] = session.client(service, endpoint_url=self.endpoint)
        return self.clients[service]

    def build(self, checkout: Path) -> templates.Template:
        """Upload the files of a checkout to S3, as `sam deploy` does; return the translated template."""
        s3 = self.client("s3")
        if PACKAGES not in self.names("AWS::S3::Bucket"):
            s3.create_bucket(Bucket=PACKAGES, CreateBucketConfiguration={"LocationConstraint": self.region})

        def upload(content: bytes) -> dict[str, str]:
            key = templates.object_key(content)
            s3.put_object(Bucket=PACKAGES, Key=key, Body=content)
            return {"Bucket": PACKAGES, "Key": key}

        source = templates.read(checkout / "template.yaml")
        packaged = templates.package_files(source, checkout, upload)
        return _adapted(templates.translate(packaged, self.region))

    def deploy(self, stack: str, template: templates.Template, **parameters: str) -> StackChange:
        """Create or update the stack by a change set, as `sam deploy` does; wait for the end."""
        self.client("s3").put_object(Bucket=PACKAGES, Key="template", Body=json.dumps(template).encode())
        request = {
            "StackName": stack,
            "ChangeSetName": f"change-{uuid.uuid4()}",
            "ChangeSetType": "UPDATE" if self._is_there(stack) else "CREATE",
            "TemplateURL": f"{self.endpoint}/{PACKAGES}/template",
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            "Capabilities": ["CAPABILITY_IAM"],
        }
        return self.change(request)

    def change(self, request: Mapping[str, Any]) -> StackChange:
        """Make the change set of a request, and execute it; wait for the end."""
        api, stack = self.client("cloudformation"), request["StackName"]
        seen = {one["EventId"] for one in self._events(stack)} if self._is_there(stack) else set()
        change_set = api.create_change_set(**request)["Id"]
        made = eventually(lambda: self._settled(api.describe_change_set(ChangeSetName=change_set)))
        assert made["Status"] == "CREATE_COMPLETE", made.get("StatusReason")
        api.execute_change_set(ChangeSetName=change_set)
        return self._end(stack, seen)

    def _is_there(self, stack: str) -> bool:
        return self.status(stack) not in ("", "DELETE_COMPLETE")

    @staticmethod
    def _settled(change_set: dict[str, Any]) -> dict[str, Any] | None:
        return None if change_set["Status"].endswith(("PENDING", "IN_PROGRESS")) else change_set

    def delete(self, stack: str) -> StackChange:
        arn = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
        self.client("cloudformation").delete_stack(StackName=stack)
        return self._end(arn, set())

    def _end(self, stack: str, seen: set[str]) -> StackChange:
        status = eventually(
            lambda: ended if (ended := self.status(stack)).endswith(("COMPLETE", "FAILED")) else None
        )
        events = [one for one in self._events(stack) if one["EventId"] not in seen]
        reasons = [
            str(one.get("ResourceStatusReason")) for one in events if one["ResourceStatus"].endswith("FAILED")
        ]
        return StackChange(
            status, reasons, {one["LogicalResourceId"]: one["ResourceStatus"] for one in events}
        )

    def _events(self, stack: str) -> list[dict[str, Any]]:
        """Return the events of a stack, first to last."""
        pages = self.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack)
        return [one for page in pages for one in page["StackEvents"]][::-1]

    def status(self, stack: str) -> str:
        """Return the status of a stack; empty if there is none of that name."""
        api = self.client("cloudformation")
        try:
            return str(api.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
        except ClientError as error:
            if "does not exist" in str(error):
                return ""
            raise

    def resources(self, stack: str) -> dict[str, str]:
        """Return the physical id of each resource of the stack, by logical id."""
        api = self.client("cloudformation")
        pages = api.get_paginator("list_stack_resources").paginate(StackName=stack)
        listed = [one for page in pages for one in page["StackResourceSummaries"]]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed}

    def published(self) -> dict[str, Published]:
        """Return what runs behind each alias, by the name of the function and that of the alias."""
        api = self.client("lambda")
        return {
            f"{function}:{alias['Name']}": Published.of(
                api.get_function_configuration(FunctionName=function, Qualifier=alias["FunctionVersion"])
            )
            for function in self.names("AWS::Lambda::Function")
            for alias in api.list_aliases(FunctionName=function)["Aliases"]
        }

    def definition(self, machine: str) -> str:
        api = self.client("stepfunctions")
        return str(api.describe_state_machine(stateMachineArn=machine)["definition"])

    def names(self, type_: str) -> set[str]:
        """Return what the service itself lists, whatever CloudFormation says."""
        service, operation, key, name = LISTS[type_]
        api = self.client(service)
        pages = (
            api.get_paginator(operation).paginate()
            if api.can_paginate(operation)
            else [getattr(api, operation)()]
        )
        listed = {str(one[name] if name else one) for page in pages for one in page.get(key, [])}
        return {one for one in listed if type_ != "AWS::KMS::Key" or self._is_enabled(one)}

    def _is_enabled(self, key: str) -> bool:
        """Look whether a key is enabled: one that waits for its deletion costs nothing."""
        return bool(self.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled")

    def inventory(self) -> set[tuple[str, str]]:
        """Return everything in the account that costs money or takes a name."""
        return {(type_, name) for type_ in LISTS for name in self.names(type_)}


def _adapted(template: templates.Template) -> templates.Template:
    """Return the template without what the emulator does not know, and with its surroundings."""
    resources = {
        name: one
        for name, one in template["Resources"].items()
        if one["Type"] not in UNKNOWN and "Metrics" not in one["Properties"]
    }
    resources["PublishPolicyFunction"]["Properties"]["Environment"]["Variables"] |= SURROUNDINGS
    return template | {"Resources": resources}


@contextmanager
def account(folder: Path, region: str = "eu-central-1") -> Iterator[EmulatedAccount]:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [PROGRAM], env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        try:
            found = EmulatedAccount(f"http://127.0.0.1:{port}", region)
            eventually(lambda: _answers(found))
            yield found
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _answers(account: EmulatedAccount) -> bool:
    try:
        account.client("sts").get_caller_identity()
    except EndpointConnectionError:
        return False
    return True
