"""The whole product in a sandbox, used as a developer and an operator use it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import urllib3

from sandbox.images.build import build_image
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from sandbox.session import Session
from tests.contract.served_cloud import ROOT, ServedCloud, served_cloud
from tests.patience import PATIENCE_SECONDS, eventually

T = TypeVar("T")
NOTATION = "application/vnd.cncf.notary.signature"


@dataclass
class Gate:
    cloud: ServedCloud
    work: Path

    @property
    def session(self) -> Session:
        env = self.cloud.env
        credentials = {
            "aws_access_key_id": env["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"],
        }
        return Session(env["AWS_ENDPOINT_URL"], env["AWS_REGION"], credentials)

    # What a developer does

    def push(self, repository: str, tag: str, content: str = "") -> str:
        """Build an image with this content, push it; its digest."""
        layout = self.work / f"{repository}-{tag}-{content}".replace("/", "_")
        if not layout.exists():
            build_image(layout, files={"app.txt": f"{repository} {content}".encode()})
        return push(layout, SandboxReference.parse(f"{repository}:{tag}"), self.session).digest

    def findings(self, reference: str, **counts: int) -> None:
        """Configure the findings that the scanner will report."""
        listed = [
            {
                "name": f"CVE-2026-{severity}-{number}",
                "severity": severity,
                "attributes": [{"key": "package_name", "value": "openssl"}],
            }
            for severity, count in counts.items()
            for number in range(count)
        ]
        file = self.work / "findings.json"
        file.write_text(
            json.dumps({"imageScanFindings": {"findings": listed, "findingSeverityCounts": counts}})
        )
        from sandbox.scanner.findings import main

        assert main([reference, str(file), "--state", str(self.cloud.state)]) == 0

    def scan_again(self, repository: str, digest: str) -> None:
        """Let the scanner look at a present image again, now."""
        url = f"http://{self.cloud.env['IMAGEGATE_REGISTRY']}/sandbox-api/rescan"
        answer = urllib3.request(
            "POST",
            url,
            json={"repository": repository, "digest": digest},
            retries=False,
            timeout=PATIENCE_SECONDS,
        )
        assert answer.status == 200

    # What an operator sees

    def releases(self, repository: str, digest: str) -> list[dict[str, Any]]:
        """Return all attempts from the ledger, oldest first."""
        answer = self.cloud.client("dynamodb").query(
            TableName=self.cloud.outputs["LedgerTable"],
            KeyConditionExpression="pk = :pk AND begins_with(sk, :attempt)",
            ExpressionAttributeValues={
                ":pk": {"S": f"IMAGE#{repository}@{digest}"},
                ":attempt": {"S": "ATTEMPT#"},
            },
            ConsistentRead=True,
        )
        return [{key: next(iter(value.values())) for key, value in item.items()} for item in answer["Items"]]

    def ended(
        self, repository: str, digest: str, attempt: int = 1, patience: float = PATIENCE_SECONDS
    ) -> dict[str, Any]:
        """Wait until the attempt is closed and announced; return it."""

        def look() -> dict[str, Any] | None:
            attempts = self.releases(repository, digest)
            done = len(attempts) >= attempt and "messageId" in attempts[attempt - 1]
            return attempts[attempt - 1] if done else None

        return self.eventually(look, f"{repository}@{digest[:19]} attempt {attempt} ends", patience)

    def eventually(self, look: Callable[[], T | None], what: str, patience: float = PATIENCE_SECONDS) -> T:
        return eventually(look, what, patience)

    def settled(self) -> None:
        """Wait until every execution has ended and no event is on its way."""
        states = self.cloud.client("stepfunctions")
        machine = self.cloud.outputs["ReleaseStateMachine"]

        def quiet() -> bool:
            running = states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
            return not running

        time.sleep(1.0)
        self.eventually(quiet, "all executions end")

    def executions(self) -> list[dict[str, Any]]:
        machine = self.cloud.outputs["ReleaseStateMachine"]
        found: list[dict[str, Any]] = self.cloud.client("stepfunctions").list_executions(
            stateMachineArn=machine
        )["executions"]
        return found

    def messages(self) -> list[dict[str, Any]]:
        path = self.cloud.state / "messages.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def dead_letters(self) -> list[dict[str, Any]]:
        queue = self.cloud.outputs["DeadLettersQueue"]
        answer = self.cloud.client("sqs").receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0, MessageAttributeNames=["All"]
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found

    # What anybody sees in the registry

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        env = self.cloud.env
        login = f"{env['AWS_ACCESS_KEY_ID']}:{env['AWS_SECRET_ACCESS_KEY']}".encode()
        headers = {"Authorization": "Basic " + base64.b64encode(login).decode(), **headers}
        return urllib3.request(
            "GET", f"http://{env['IMAGEGATE_REGISTRY']}/v2/{path}", headers=headers, timeout=PATIENCE_SECONDS
        )

    def manifest(self, repository: str, reference: str) -> bytes | None:
        answer = self.get(f"{repository}/manifests/{reference}", Accept="*/*")
        return answer.data if answer.status == 200 else None

    def referrers(self, repository: str, digest: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"{repository}/referrers/{digest}").json()["manifests"]
        return found

    def signatures(self, repository: str, digest: str) -> list[dict[str, Any]]:
        return [entry for entry in self.referrers(repository, digest) if entry["artifactType"] == NOTATION]

    def quirks(self, **changes: Any) -> None:
        self.cloud.api("/sandbox-api/quirks", changes)


@contextmanager
def running_gate(folder: Path, *arguments: str) -> Iterator[Gate]:
    work = folder / "work"
    work.mkdir()
    with served_cloud(folder / "state", str(ROOT), *arguments) as cloud:
        yield Gate(cloud, work)
