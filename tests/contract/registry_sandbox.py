"""moto's server with the patched ECR and Signer, the registry in front, and recorded events."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import urllib3
from botocore.config import Config
from moto.iam.models import iam_backends
from moto.server import ThreadedMotoServer

from sandbox import registry
from sandbox.aws.ecr import operations
from sandbox.aws.inspector import inspector2
from sandbox.aws.signer import jobs
from sandbox.ports import free_port
from sandbox.settings import ACCOUNT, Settings
from sandbox.wiring import registry_hooks

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass
class Sandbox:
    settings: Settings
    events: list[tuple[str, dict[str, Any], list[str]]] = field(default_factory=list)
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))
    admin: dict[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.settings.endpoint,
            region_name=self.settings.region,
            config=Config(inject_host_prefix=False, retries={"max_attempts": 1}),
            **self.admin,
        )

    def write_env(self) -> None:
        """Write the env file, by which commands find the running sandbox."""
        variables = {
            "AWS_ENDPOINT_URL": self.settings.endpoint,
            "AWS_REGION": self.settings.region,
            "AWS_ACCESS_KEY_ID": self.admin["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.admin["aws_secret_access_key"],
            "IMAGEGATE_REGISTRY": self.settings.registry,
        }
        lines = [f"export {name}={value}\n" for name, value in variables.items()]
        (self.settings.state / "env").write_text("".join(lines))

    def user(self, *statements: dict[str, Any]) -> dict[str, str]:
        """Create an IAM user; return its access key."""
        backend = iam_backends[ACCOUNT]["aws"]
        name = f"user-{uuid.uuid4().hex[:8]}"
        backend.create_user(ACCOUNT, name)
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        backend.put_user_policy(name, "policy", policy)
        key = backend.create_access_key(name)
        return {
            "aws_access_key_id": key.access_key_id,
            "aws_secret_access_key": key.secret_access_key,
        }

    def repository(self, **options: Any) -> Repository:
        name = f"team/app-{uuid.uuid4().hex[:8]}"
        self.client("ecr").create_repository(repositoryName=name, **options)
        return Repository(self, name)


@dataclass
class Repository:
    sandbox: Sandbox
    name: str
    key: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        """Send a request; `path` is below the repository, or the Location that the registry gave."""
        key = self.key or self.sandbox.admin
        login = f"{key['aws_access_key_id']}:{key['aws_secret_access_key']}"
        headers = urllib3.make_headers(basic_auth=login) | options.pop("headers", {})
        base = f"http://{self.sandbox.settings.registry}/v2/{self.name}/"
        url = path if path.startswith("http") else base + path
        return self.sandbox.http.request(method, url, headers=headers, **options)

    def blob(self, content: bytes) -> str:
        digest = digest_of(content)
        answer = self.call("POST", f"blobs/uploads/?digest={digest}", body=content)
        assert answer.status == 201, answer.data
        return digest

    def manifest(self, content: bytes, reference: str | None = None, kind: str = OCI_MANIFEST) -> Any:
        path = f"manifests/{reference or digest_of(content)}"
        return self.call("PUT", path, body=content, headers={"Content-Type": kind})

    def image(self, tag: str | None = None, layer: bytes = b"layer", **fields: Any) -> str:
        """Push a small image; its digest."""
        content = self.image_manifest(layer, **fields)
        answer = self.manifest(content, tag)
        assert answer.status == 201, answer.data
        return digest_of(content)

    def image_manifest(self, layer: bytes = b"layer", **fields: Any) -> bytes:
        config = b'{"architecture": "amd64", "os": "linux"}'
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": self.blob(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": self.blob(layer), "size": len(layer)}],
        }
        return json.dumps(document | fields, indent=3).encode()

    def artifact(self, subject: str, kind: str = "application/x-test", text: str = "") -> str:
        empty = {"mediaType": EMPTY, "digest": self.blob(b"{}"), "size": 2}
        return self.image(
            artifactType=kind,
            config=empty,
            layers=[empty],
            subject={"mediaType": OCI_MANIFEST, "digest": subject, "size": 2},
            annotations={"text": text},
        )

    def events(self, detail_type: str = "ECR Image Action") -> list[dict[str, Any]]:
        sent = list(self.sandbox.events)
        return [d for t, d, _ in sent if t == detail_type and d["repository-name"] == self.name]


@contextmanager
def serving(state: Path) -> Iterator[Sandbox]:
    settings = Settings(state=state, aws_port=free_port(), registry_port=free_port())
    settings.quirks.scan_seconds = 0.02
    sandbox = Sandbox(settings)
    operations.install(settings)
    inspector2.install(settings)
    jobs.install(settings)
    server = ThreadedMotoServer("127.0.0.1", settings.aws_port, verbose=False)
    server.start()
    hooks = replace(registry_hooks(), emit=lambda _source, *event: sandbox.events.append(event))
    stop = registry.start(settings, hooks)
    sandbox.admin = sandbox.user({"Effect": "Allow", "Action": "*", "Resource": "*"})
    sandbox.write_env()
    try:
        yield sandbox
    finally:
        stop()
        server.stop()
        sandbox.http.clear()
