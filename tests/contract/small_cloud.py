"""A small cloud in a process of its own, for the contract tests of the workflow."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from tests.patience import eventually

ROOT = Path(__file__).parent.parent.parent
SERVER = Path(__file__).parent / "fixtures" / "small_cloud_server.py"


class SmallCloud:
    """Clients with an administrator's keys, and the ways to look inside."""

    def __init__(self, process: subprocess.Popen[str], state: Path, port: int, keys: Any) -> None:
        self.process, self.state = process, state
        self.session = boto3.Session(**keys, region_name="eu-central-1")
        self.endpoint = f"http://127.0.0.1:{port}"
        self.clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self.clients:
            make: Any = self.session.client
            self.clients[service] = make(service, endpoint_url=self.endpoint)
        return self.clients[service]

    def order(self, **order: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def emit(self, source: str, detail_type: str, detail: dict[str, Any]) -> None:
        self.order(emit=[source, detail_type, detail, []])

    @contextmanager
    def quirks(self, **quirks: Any) -> Iterator[None]:
        off = {"event_copies": 1, "event_delay_seconds": 0.0}
        self.order(quirks=quirks)
        yield
        self.order(quirks={name: off.get(name, False) for name in quirks})

    def lines(self, name: str) -> list[dict[str, Any]]:
        file = self.state / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def role(self, name: str, *actions: str, resource: str = "*") -> str:
        iam = self.client("iam")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        if actions:
            statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
            document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
        return str(arn)

    def function(self, name: str) -> str:
        """Return the ARN of the function's alias `live`."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("handler.py", "")
        client = self.client("lambda")
        client.create_function(
            FunctionName=name,
            Role=self.role(f"{name}-role"),
            Handler="handler.handler",
            Runtime="python3.13",
            Code={"ZipFile": archive.getvalue()},
            Publish=True,
        )
        alias = client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        return str(alias["AliasArn"])

    def machine(self, name: str, states: dict[str, Any], role: str, **top: Any) -> str:
        asl = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states, **top}
        created = self.client("stepfunctions").create_state_machine(
            name=name, definition=json.dumps(asl), roleArn=role
        )
        return str(created["stateMachineArn"])

    def start(self, machine: str, value: Any = None, name: str | None = None) -> str:
        optional = {"name": name} if name else {}
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps(value), **optional
        )
        return str(started["executionArn"])

    def end(self, execution: str) -> dict[str, Any]:
        """Wait for the end of the execution; return it with its output parsed."""

        def look() -> dict[str, Any] | None:
            found = self.client("stepfunctions").describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else dict(found)

        ended = eventually(look)
        return ended | {"output": json.loads(ended.get("output", "null"))}

    def history(self, execution: str) -> list[dict[str, Any]]:
        return list(self.client("stepfunctions").get_execution_history(executionArn=execution)["events"])


@contextmanager
def small_cloud(state: Path) -> Iterator[SmallCloud]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "MOTO_PORT": str(port), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(SERVER), str(state), str(port)]
    with (state / "server.log").open("w") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdin
    assert process.stdout
    try:
        first = process.stdout.readline()
        assert first, (state / "server.log").read_text()
        yield SmallCloud(process, state, port, json.loads(first))
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
