"""`python -m sandbox demo`: push three images into the gate as a user does, and report what happens to them."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from imagegate.aws.clients import client, forget
from imagegate.oci.image import ImageRef
from imagegate.release.release import Release
from imagegate_cli.output import screen
from imagegate_cli.releases.steps import ExecutionHistory
from imagegate_cli.stack import Stack, find_stack
from sandbox.cloud import Cloud
from sandbox.demo.progress import View, showing
from sandbox.demo.report import Hop, faults, measure, table_of
from sandbox.demo.story import STORY, Act
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from sandbox.ports import free_port
from sandbox.scanner import findings
from sandbox.session import Session, find_session
from sandbox.settings import Settings

_LOOK_SECONDS = 0.15
_PATIENCE_SECONDS = 60.0
_WIDTH = 140


class DemoError(Exception):
    """The demo did not go as expected; the message says what."""


def main(argv: Sequence[str]) -> int:
    """Run the demo; return 0 if all three images ended as they must, else 1."""
    options = _parser().parse_args(argv)
    console = screen.console()
    console.width = min(console.width, _WIDTH)
    try:
        wrong = _run(options.state, console)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except Exception as error:  # noqa: BLE001 - a person reads it; the logs have the rest
        return _fail(f"{error or type(error).__name__} (logs: {options.state / 'demo' / 'logs'})", 1)
    for fault in wrong:
        _fail(fault, 1)
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox demo", description=__doc__)
    parser.add_argument("--state", type=Path, default=Path(".sandbox"), metavar="DIR", help="for demo.json")
    return parser


def _fail(message: str, code: int) -> int:
    print(f"demo: {message}", file=sys.stderr)
    return code


def _run(state: Path, console: Console) -> list[str]:
    """Run the demo in a folder of its own, because a sandbox may be running beside it; return the faults."""
    folder = state / "demo"
    # Build anew: images of an earlier version may differ, and the layout would then have both.
    shutil.rmtree(folder / "images", ignore_errors=True)
    settings = Settings(state=folder.resolve(), aws_port=free_port(), registry_port=free_port())
    began = time.monotonic()
    with Cloud(settings, progress=lambda text: console.print(text, style="dim")) as cloud:
        os.environ.update(cloud.env)
        forget()
        ready = time.monotonic()
        console.print(f"ready after {ready - began:.1f} s", style="dim")
        console.print()
        show = _Show(find_stack(settings.stack), find_session(folder), folder, console)
        hops, wrong = show.play(STORY)
        console.print(table_of(hops, console))
        console.print()
        console.print(f"{time.monotonic() - ready:.1f} s in all. {_calls(folder)}", style="dim")
    (state / "demo.json").write_text(json.dumps([hop.as_json() for hop in hops], indent=2) + "\n")
    if not wrong:
        # Lines to copy must not be broken.
        for line in _next_steps(state, folder).splitlines():  # wraps would break commands to copy
            console.print(line, soft_wrap=True)
    return wrong


class _Show:
    """Plays the acts one after the other and records their results."""

    def __init__(self, stack: Stack, session: Session, folder: Path, console: Console) -> None:
        self._stack = stack
        self._session = session
        self._folder = folder
        self._console = console
        self._history = ExecutionHistory(stack)
        self._inbox = _Inbox(stack.output("AlertsTopic"))

    def play(self, story: Sequence[Act]) -> tuple[list[Hop], list[str]]:
        acts = [(act, [measure(self._stack, release) for release in self._play(act)]) for act in story]
        messages = self._inbox.messages([str(hop.release.message_id) for _, hops in acts for hop in hops])
        self._console.print("Messages to people:", style="bold")
        for subject in messages.values():
            self._console.print(f"  {subject}")
        self._console.print()
        wrong = [fault for act, hops in acts for fault in faults(self._stack, act, hops, messages)]
        return [hop for _, hops in acts for hop in hops], wrong

    def _play(self, act: Act) -> list[Release]:
        self._console.print(Text.assemble((act.reference, "bold"), f"  {act.title}"))
        layout = act.build(self._folder / "images")
        if act.findings:
            self._configure_scanner(act)
        pushed = push(layout, SandboxReference.parse(act.reference), self._session)
        image = ImageRef.of(pushed.repository, pushed.digest)
        with showing(self._console, self._history) as show:
            chain = self._follow(image, show)
        self._console.print()
        return chain

    def _configure_scanner(self, act: Act) -> None:
        file = act.write_findings(self._folder / "images")
        if findings.main([act.reference, str(file), "--state", str(self._folder)]):
            raise DemoError(f"the sandbox's scanner does not take {file}")

    def _follow(self, image: ImageRef, show: View) -> list[Release]:
        """Wait until the image and its promoted copies have ended; return their releases."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            chain = list(_chain(self._stack, image))
            show.update(chain)
            if chain and _has_ended(chain[-1]):
                return chain
            if time.monotonic() > deadline:
                raise DemoError(f"{image}: no end after {_PATIENCE_SECONDS:.0f} s")
            time.sleep(_LOOK_SECONDS)


def _chain(stack: Stack, image: ImageRef) -> Iterator[Release]:
    """Yield the release of the image, then that of its promoted copy, and so on."""
    release = stack.ledger.latest(image)
    while release is not None:
        yield release
        promotion = release.promotion
        if release.is_open or promotion is None:
            return
        release = stack.ledger.latest(ImageRef(promotion.repository, promotion.digest))


def _has_ended(release: Release) -> bool:
    return release.message_id is not None and release.promotion is None


class _Inbox:
    """A queue that is subscribed to the topic, as a team's tools are."""

    def __init__(self, topic: str) -> None:
        sqs, sns = client("sqs"), client("sns")
        self._url = sqs.create_queue(QueueName="demo-inbox")["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=attributes["QueueArn"])

    def messages(self, ids: Sequence[str]) -> dict[str, str]:
        """Return subjects by message id; messages that do not arrive within a few seconds are missing."""
        subjects: dict[str, str] = {}
        deadline = time.monotonic() + 5
        while set(ids) - set(subjects) and time.monotonic() < deadline:
            answer = client("sqs").receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            for message in answer.get("Messages", []):
                envelope = json.loads(message["Body"])
                subjects[envelope["MessageId"]] = envelope["Subject"]
        return {id_: subjects[id_] for id_ in ids if id_ in subjects}


def _calls(folder: Path) -> str:
    """Describe the calls of all functions, also of those that only woke others or ignored a signature's push."""
    lines = (folder / "invocations.jsonl").read_text().splitlines()
    records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    cold = sum(record["cold"] for record in records)
    return f"All functions together were called {len(records)} times since the deploy, {cold} of them cold."


def _next_steps(state: Path, folder: Path) -> str:
    layout = folder / "images" / STORY[0].reference.replace(":", "-")
    return f"""
The same as JSON: {state / "demo.json"}

Next, try it yourself. The same cloud, until Ctrl-C:
  make sandbox
Then, in another terminal:
  source .sandbox/env
  .venv/bin/python -m sandbox push {layout} shop-dev:1.1
  .venv/bin/imagegate status --watch shop-dev:1.1
Instead of that folder: what `docker save` wrote. Or with skopeo:
  skopeo copy --dest-tls-verify=false --dest-creds "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
    docker-archive:IMAGE.tar docker://$IMAGEGATE_REGISTRY/shop-dev:1.2"""
