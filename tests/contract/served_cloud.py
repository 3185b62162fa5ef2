"""A sandbox in a process of its own, as a person starts it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import Any

import boto3

from sandbox.aws.iam.used_statements import VARIABLE

ROOT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "fixtures"


@dataclass
class ServedCloud:
    state: Path
    process: subprocess.Popen[str]
    printed: str
    env: dict[str, str]
    clients: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def client(self, service: str, **credentials: str) -> Any:
        """Return a client, the administrator's without credentials. Clients are kept: making one takes 50 ms."""
        key = (service, *sorted(credentials.items()))
        if key not in self.clients:
            self.clients[key] = self._new_client(service, credentials)
        return self.clients[key]

    def _new_client(self, service: str, credentials: Mapping[str, str]) -> Any:
        own = {
            "aws_access_key_id": self.env["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": self.env["AWS_SECRET_ACCESS_KEY"],
        }
        session: Any = boto3.Session(
            **(credentials or own),  # type: ignore[arg-type]
            region_name=self.env["AWS_REGION"],
        )
        return session.client(service, endpoint_url=self.env["AWS_ENDPOINT_URL"])

    @cached_property
    def outputs(self) -> dict[str, str]:
        stacks = self.client("cloudformation").describe_stacks(StackName=self.env["IMAGEGATE_STACK"])
        return {item["OutputKey"]: item["OutputValue"] for item in stacks["Stacks"][0]["Outputs"]}

    def invoke(self, function: str, event: Any, **parameters: str) -> Any:
        """Return the decoded payload of a function, which is named by its output or its ARN."""
        arn = self.outputs.get(function, function)
        answer = self.client("lambda").invoke(FunctionName=arn, Payload=json.dumps(event), **parameters)
        payload = answer["Payload"].read()
        return json.loads(payload) if payload else None

    def api(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self.env["AWS_ENDPOINT_URL"] + path, data) as answer:
            return json.loads(answer.read())


def start(state: Path, template: Path, *arguments: str) -> subprocess.Popen[str]:
    # No coverage of the developer's shell: the sandbox must not need it.
    environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
    if VARIABLE in os.environ:
        environment[VARIABLE] = os.environ[VARIABLE]
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "sandbox", "serve", "--no-seed"),
            *("--state", str(state), "--template", str(template)),
            *arguments,
        ],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def sourced(env_file: Path) -> dict[str, str]:
    lines = [shlex.split(line) for line in env_file.read_text().splitlines()]
    return dict(words[1].split("=", 1) for words in lines if words[0] == "export")


@contextmanager
def served_cloud(state: Path, template: str, *arguments: str) -> Iterator[ServedCloud]:
    process = start(state, FIXTURES / template / "template.yaml", *arguments)
    assert process.stdout
    printed: list[str] = []
    reader = Thread(target=printed.extend, args=[process.stdout])
    try:
        for line in process.stdout:
            printed.append(line)
            if "Ctrl-C" in line:
                break
        else:
            raise AssertionError("".join(printed))
        # Whatever it prints from here on: a full pipe would hold it up for ever.
        reader.start()
        yield ServedCloud(state, process, "".join(printed), sourced(state / "env"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)  # what is under way may end
        if reader.is_alive():
            reader.join(timeout=10)
        process.stdout.close()
