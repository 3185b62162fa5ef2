"""One hop of an image through the handlers of the functions, against the sandbox: every call to AWS and to the registry
is counted.

The test plays the state machine and EventBridge. Step Functions, SNS and EventBridge answer from this file.
"""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.client import BaseClient
from moto.events.models import EventPattern
from samtranslator.yaml_helper import yaml_parse

from imagegate import wiring
from imagegate.aws import clients
from imagegate.evidence.attestation import IN_TOTO, STATEMENT_TYPE
from imagegate.oci.artifact import ATTESTATION, NO_PLATFORM, REFERENCE, REFERENCE_TYPE
from imagegate.oci.image import OCI_EMPTY, OCI_INDEX, Descriptor, Digest
from sandbox.aws.signer.jobs import trust_root_thumbprint
from tests.contract.registry_sandbox import LAYER, OCI_CONFIG, OCI_MANIFEST, Repository, Sandbox
from tests.patience import eventually

ROOT = Path(__file__).parents[2]
POLICY = b"""\
version: 1
stages:
  dev:
    repositories: "{app}-dev"
    promotes_to: staging
    findings: {max: {critical: 0}}
  staging:
    repositories: "{app}-staging"
"""
_ANSWERS: dict[str, dict[str, Any]] = {
    "StartExecution": {},
    "SendTaskSuccess": {},
    "Publish": {"MessageId": "message"},
    "PutEvents": {"FailedEntryCount": 0},
}
_TABLES = ("Ledger", "Grants")
CONTEXT = {
    "function_name": "function",
    "memory_limit_in_mb": 512,
    "invoked_function_arn": "arn:aws:lambda:eu-central-1:123456789012:function:function:live",
    "aws_request_id": "request",
    "get_remaining_time_in_millis": lambda: 800_000,
}

Call = tuple[str, str]  # the service and its operation; the service "registry" and the request


@dataclass
class Calls:
    """The calls that each function has made."""

    by_function: dict[str, Counter[Call]] = field(default_factory=dict)
    function: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)  # what StartExecution got

    def note(self, service: str, operation: str) -> None:
        self.by_function.setdefault(self.function, Counter())[service, operation] += 1

    def total(self) -> Counter[Call]:
        return sum(self.by_function.values(), Counter[Call]())


@dataclass
class Hop:
    """The functions, and the world around them."""

    sandbox: Sandbox
    calls: Calls = field(default_factory=Calls)
    digest: str = ""  # of the last image
    scanned: str = ""  # its only platform

    def push(self, app: str, tag: str, *, by_buildx: bool = False) -> tuple[str, str]:
        """Push an image of the application into its first stage. Return repository and digest.

        `by_buildx`: as an index of one platform and its attestation, as buildx makes by default.
        """
        name = f"{app}-dev"
        ecr = self.sandbox.client("ecr")
        for stage in ("dev", "staging"):
            with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
                ecr.create_repository(
                    repositoryName=f"{app}-{stage}", imageScanningConfiguration={"scanOnPush": True}
                )
        repository = Repository(self.sandbox, name)
        layer = f"{app} {tag}".encode()
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer))]},
            }
        ).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": repository.blob(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": repository.blob(layer), "size": len(layer)}],
        }
        content = json.dumps(manifest).encode()
        self.scanned = str(Digest.of(content))
        if by_buildx:
            content = _index(repository, content)
        assert repository.manifest(content, tag, OCI_INDEX if by_buildx else OCI_MANIFEST).status == 201
        return name, str(Digest.of(content))

    def run(self, app: str, tag: str, *, scan_is_first: bool = False, by_buildx: bool = False) -> Calls:
        """Bring an image from its push to its announcement. Return the calls."""
        quirks = self.sandbox.settings.quirks
        quirks.hold_scans = not scan_is_first
        self.calls.by_function.clear()
        name, digest = self.push(app, tag, by_buildx=by_buildx)
        self.invoke("start_release", self.event("ECR Image Action", name, digest))
        release = self.calls.requests[-1]["release"]
        task = {"schema": 1, "release": release}
        if scan_is_first:
            self.invoke("on_scan_completed", self.event("ECR Image Scan", name, self.scanned))
        self.invoke("await_scan", {**task, "token": "token"})
        if not scan_is_first:
            quirks.hold_scans = False
            self.invoke("on_scan_completed", self.event("ECR Image Scan", name, self.scanned))
        judged = self.invoke("judge_image", task)
        assert judged["route"] == "SIGN", judged
        self.invoke("sign_image", {"schema": 1, "decision": judged["decision"]})
        promoted = self.invoke("promote_image", task)
        assert promoted["route"] == "ANNOUNCE"
        announced = self.invoke("announce", {**task, "outcome": promoted["outcome"]})
        assert announced == {"route": "END", "outcome": "released"}
        self.digest = digest
        return self.calls

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        before = len(self.requested())
        self.calls.function = function
        result: dict[str, Any] = handler(function).handler(event, SimpleNamespace(**CONTEXT))
        for line in self.requested()[before:]:
            self.calls.note("registry", _describe(line))
        self.calls.function = ""
        return result

    def requested(self) -> list[dict[str, Any]]:
        path = self.sandbox.settings.state / "registry.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def event(self, kind: str, repository: str, digest: str) -> dict[str, Any]:
        """Wait for the first event of this kind about the image, and return it as EventBridge delivers it."""

        def look() -> dict[str, Any] | None:
            return next(iter(self.events(kind, repository, digest)), None)

        return eventually(look)

    def events(self, kind: str, repository: str, digest: str) -> list[dict[str, Any]]:
        about = {"repository-name": repository, "image-digest": digest}
        return [
            _envelope(sent, detail)
            for sent, detail, _ in list(self.sandbox.events)
            if sent == kind and about.items() <= detail.items()
        ]


def _index(repository: Repository, platform: bytes) -> bytes:
    """Push the platform and an attestation of it; return the index of both (BuildKit, "attestation storage")."""
    statement = json.dumps(
        {"_type": STATEMENT_TYPE, "subject": [], "predicateType": "https://spdx.dev/Document"}
    )
    empty = {"mediaType": OCI_EMPTY, "digest": repository.blob(b"{}"), "size": 2}
    layer = {"mediaType": IN_TOTO, "digest": repository.blob(statement.encode()), "size": len(statement)}
    attestation = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/vnd.docker.attestation.manifest.v1+json",
            "config": empty,
            "layers": [layer],
        }
    ).encode()
    entries = []
    for content, system in ((platform, "linux/amd64"), (attestation, NO_PLATFORM)):
        assert repository.manifest(content).status == 201
        os, _, architecture = system.partition("/")
        entry = Descriptor(OCI_MANIFEST, Digest.of(content), len(content)).as_json()
        entries.append({**entry, "platform": {"os": os, "architecture": architecture}})
    about = {REFERENCE_TYPE: ATTESTATION, REFERENCE: str(Digest.of(platform))}
    entries[1]["annotations"] = about
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


def starts(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events for which the rule of the template calls `start_release`."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    rule = template["Resources"]["StartReleaseFunction"]["Properties"]["Events"]["ImagePushed"]
    pattern = EventPattern.load(json.dumps(rule["Properties"]["Pattern"]))
    return [event for event in events if pattern.matches_event(event)]


def _envelope(kind: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "event",
        "detail-type": kind,
        "source": "aws.ecr",
        "account": "123456789012",
        "time": "2100-01-01T00:00:00Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": detail,
    }


def _describe(line: dict[str, Any]) -> str:
    """Return the request without the names of repositories: `PUT manifests`, `POST blobs/uploads`."""
    parts = line["path"].split("/")
    kind = next(part for part in ("manifests", "blobs", "referrers") if part in parts)
    return f"{line['method']} {kind}{'/uploads' if 'uploads' in parts else ''}"


@cache
def handler(function: str) -> ModuleType:
    path = ROOT / "functions" / function / "handler.py"
    spec = importlib.util.spec_from_file_location(f"counted_{function}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def deployed(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hop]:
    """Deploy what the functions need."""
    _make_storage(sandbox)
    for name, value in _settings(sandbox).items():
        monkeypatch.setenv(name, value)
    forget()
    try:
        for stage in ("dev", "staging"):
            wiring.signer().make_profile(stage)
        wiring.records().put_policy(POLICY)
        yield Hop(sandbox)
    finally:
        forget()
        for table in _TABLES:  # the next sandbox of this process begins with empty ones
            sandbox.client("dynamodb").delete_table(TableName=table)


@contextmanager
def counting(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hop]:
    """Deploy what the functions need, and count their calls."""
    with deployed(sandbox, monkeypatch) as hop:
        call_aws = BaseClient._make_api_call  # type: ignore[attr-defined]

        def count(client: Any, operation: str, parameters: Any) -> Any:
            if not hop.calls.function:
                return call_aws(client, operation, parameters)
            hop.calls.note(client.meta.service_model.service_name, operation)
            if operation == "StartExecution":
                hop.calls.requests.append(json.loads(parameters["input"]))
            return _ANSWERS[operation] if operation in _ANSWERS else call_aws(client, operation, parameters)

        monkeypatch.setattr(BaseClient, "_make_api_call", count)
        yield hop


def _make_storage(sandbox: Sandbox) -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    known = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    for table in _TABLES:
        properties = template[table]["Properties"]
        wanted = {name: properties[name] for name in known if name in properties}
        sandbox.client("dynamodb").create_table(TableName=table, **wanted)
    s3 = sandbox.client("s3")
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(
            Bucket="records", CreateBucketConfiguration={"LocationConstraint": sandbox.settings.region}
        )


def _settings(sandbox: Sandbox) -> dict[str, str]:
    return {
        **{name.upper(): value for name, value in sandbox.admin.items()},
        "AWS_ENDPOINT_URL": sandbox.settings.endpoint,
        "AWS_DEFAULT_REGION": sandbox.settings.region,
        "POWERTOOLS_SERVICE_NAME": "imagegate",
        "POWERTOOLS_METRICS_NAMESPACE": "imagegate",
        "REGISTRY": sandbox.settings.registry,
        "LEDGER_TABLE": "Ledger",
        "GRANTS_TABLE": "Grants",
        "RECORDS_BUCKET": "records",
        "POLICY_DIGEST": str(Digest.of(POLICY)),
        "INSTALLED_AT": "2020-01-01T00:00:00Z",
        "CANARY_REPOSITORY": "",
        "STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:release",
        "START_FUNCTION": "start",
        "SIGNING_PROFILE_PREFIX": "imagegate",
        "TRUSTED_ROOTS": trust_root_thumbprint(sandbox.settings),
        "SECOND_LOOK_SECONDS": "60",
        "SCAN_TIMEOUT_SHARE": "1",
        "QUIET_SECONDS": "900",
        "ALERTS_TOPIC": "arn:aws:sns:eu-central-1:123456789012:alerts",
        "APPROVALS_TOPIC": "arn:aws:sns:eu-central-1:123456789012:approvals",
    }


def forget() -> None:
    """Make clients, adapters and handlers anew: they keep the addresses of the sandbox."""
    clients.client.cache_clear()
    handler.cache_clear()
    for part in vars(wiring).values():
        if hasattr(part, "cache_clear"):
            part.cache_clear()
