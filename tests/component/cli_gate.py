"""The command line over a gate of in-memory ports: what it prints, and how it exits."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from imagegate.errors import ImageGateError
from imagegate.events.decide_call import error_response, parse_decision
from imagegate.findings.finding import Finding
from imagegate.grants.power import Power
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Policy
from imagegate.release.release import Outcome, Release
from imagegate.release.start import Push
from imagegate_cli.context import CommandLine, Pauses
from imagegate_cli.main import main
from imagegate_cli.stack import Stack
from tests.component.one_gate import World
from tests.fakes import DEV, NOW, critical

ARN = "arn:aws:cloudformation:eu-central-1:123456789012:stack/imagegate/1"
CALLER = "arn:aws:iam::123456789012:user/ann"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class MemoryStack(Stack):
    """A stack whose resources are held in memory."""

    def has_repository(self, name: str) -> bool:
        return name in self.images.repositories()


@dataclass
class CliGate:
    """A gate for the command line. `world` has the stack's resources; the time is always `now`."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    world: World = field(default_factory=World)
    outputs: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    now: datetime = NOW
    policy_content: bytes = b""
    installed_at: datetime | None = NOW - timedelta(days=1)
    pauses: Pauses = field(default_factory=lambda: Pauses(sleep=lambda _seconds: None))

    def __post_init__(self) -> None:
        for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "r"}.items():
            self.monkeypatch.setenv(f"AWS_{name}", value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "COLUMNS"):
            self.monkeypatch.delenv(name, raising=False)

    @property
    def stack(self) -> Stack:
        stack = MemoryStack("imagegate", ARN, self.outputs, self.parameters)
        vars(stack).update(
            ledger=self.world.ledger,
            records=self.world.records,
            grants=self.world.grants,
            images=self.world.registry,
            scans=self.world.scans,
            starter=self.world.starter,
            policy=self.world.policy,
            policy_content=self.policy_content,
            installed_at=self.installed_at,
            caller_arn=CALLER,
            rollback_planning=self.world.planning(),
        )
        return stack

    def deploy(self, policy: Policy) -> None:
        self.world.policy = self.world.records.policies[policy.digest] = policy

    def call(self, *arguments: str, columns: int = 0) -> Result:
        if columns:
            self.monkeypatch.setenv("COLUMNS", str(columns))
        self.monkeypatch.setattr(sys, "argv", ["imagegate", *arguments])
        with pytest.raises(SystemExit) as exited:
            main(CommandLine(lambda: self.now, lambda _name: self.stack, self.pauses))
        captured = self.capsys.readouterr()
        return Result(int(exited.value.code or 0), captured.out, captured.err)

    # What happened at this gate

    def blocked(self, tag: str = "1.0", *, findings: Sequence[Finding] = (), **more: Any) -> ImageRef:
        return self.judged(tag, findings or critical(), **more)

    def judged(
        self, tag: str, findings: Sequence[Finding], *, repository: str = DEV, ago: timedelta = timedelta()
    ) -> ImageRef:
        """Take one image from its push to its message, that long ago."""
        world, then = self.world, self.now - ago
        image = world.registry.push_image(repository, tag, seed=f"{repository} {tag} {then}", at=then)
        world.scans.finish(image, findings)
        if world.policy.repositories_before(repository):
            world.ledger.claim_tag(repository, tag, image.digest, then)  # the gate before promoted it
        starting = replace(world.starting(), installed_at=then - timedelta(days=1))
        started = starting.on_push(Push(image, then, tag=tag), then)
        assert isinstance(started, Release)
        found = world.judge(image, now=then)
        outcome = Outcome.BLOCKED if found.outcome is Outcome.BLOCKED else Outcome.RELEASED
        world.ledger.close(started.id, outcome, None, then, "")
        return image


@pytest.fixture
def gate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CliGate:
    return CliGate(capsys, monkeypatch)


@dataclass
class Served:
    """A function URL on loopback, with the real function's parts behind it. `broken`: what Lambda says instead."""

    gate: CliGate
    broken: tuple[int, Any] | None = None
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)

    def answer(self, body: str) -> tuple[int, Any]:
        """Answer without a check of the signer."""
        asked = json.loads(json.loads(body)["request"])["decision"]
        self.bodies.append(asked)
        if self.broken:
            return self.broken
        try:
            request = parse_decision({"body": json.dumps(asked)})
            return 200, self.gate.world.decide(request, CALLER, self.gate.now)
        except ImageGateError as error:
            return error_response(error)


@contextmanager
def serving(gate: CliGate) -> Iterator[Served]:
    served = Served(gate)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            served.headers.append({name.lower(): value for name, value in self.headers.items()})
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            status, told = served.answer(body)
            content = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    for power in Power:
        gate.outputs[power.output] = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def url(gate: CliGate) -> Iterator[Served]:
    with serving(gate) as served:
        yield served


def with_stage(policy: Policy, name: str = "dev", **changes: Any) -> Policy:
    """Return the policy with another stage of that name, under another digest."""
    stages = {**policy.stages, name: replace(policy.stages[name], **changes)}
    digest = Digest.of(repr((name, sorted(changes.items(), key=str))).encode())
    return replace(policy, digest=digest, stages=stages)
