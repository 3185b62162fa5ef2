"""The results of the demo: each release from the ledger, Step Functions and its message, and the checks of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from imagegate.aws.clients import client
from imagegate.board import release_facts as facts
from imagegate.oci.image import ImageRef
from imagegate.release.release import Outcome, Release
from imagegate_cli.durations import span
from imagegate_cli.output import screen
from imagegate_cli.stack import Stack
from sandbox.demo.story import Act

_WIDE = 130
# start_release runs before there is an execution that counts its calls.
_STARTED_BY = 1


@dataclass(frozen=True, slots=True)
class Hop:
    """One ended release, with what its execution cost."""

    release: Release
    transitions: int  # StateEntered events of the execution
    lambda_invocations: int  # Lambda tasks that the execution scheduled, and the start_release that began it

    @property
    def name(self) -> str:
        return facts.name(self.release)

    def as_json(self) -> dict[str, Any]:
        release, promotion = self.release, self.release.promotion
        return {
            "repository": release.image.repository,
            "digest": str(release.image.digest),
            "tag": min(release.tags, default=None),
            "stage": release.stage,
            "verdict": release.verdict,
            "outcome": str(release.outcome),
            "reasons": list(release.reasons),
            "signature_digest": str(release.signature) if release.signature else None,
            "promoted_to": promotion.as_json() if promotion else None,
            "message_id": release.message_id,
            "seconds": facts.seconds(release, release.closed_at),
            "transitions": self.transitions,
            "lambda_invocations": self.lambda_invocations,
        }


def measure(stack: Stack, release: Release) -> Hop:
    """Count transitions and Lambda calls in the execution's history."""
    pages = client("stepfunctions").get_paginator("get_execution_history")
    events = [e for p in pages.paginate(executionArn=stack.execution_arn(release)) for e in p["events"]]
    transitions = sum(event["type"].endswith("StateEntered") for event in events)
    return Hop(release, transitions, _STARTED_BY + sum(map(_calls_lambda, events)))


def _calls_lambda(event: Mapping[str, Any]) -> bool:
    if event["type"] == "TaskScheduled":
        return bool(event["taskScheduledEventDetails"]["resourceType"] == "lambda")
    return bool(event["type"] == "LambdaFunctionScheduled")


def faults(stack: Stack, act: Act, hops: Sequence[Hop], messages: Mapping[str, str]) -> list[str]:
    """Return everything that is wrong in the ledger, in the registry, or in the announcements."""
    first = hops[0].release
    found = [f"{hop.name}: no message was sent" for hop in hops if hop.release.message_id not in messages]
    if first.outcome is not act.ends:
        why = facts.why(first) or "no reason is given"
        return [f"{act.reference} ended as {first.outcome}, not as {act.ends}: {why}", *found]
    check = _faults_of_released if act.ends is Outcome.RELEASED else _faults_of_blocked
    return [*found, *check(stack, act, hops)]


def _faults_of_released(stack: Stack, act: Act, hops: Sequence[Hop]) -> Iterator[str]:
    release = hops[0].release
    if release.signature not in _referrers(release.image):
        yield f"{act.reference}: its signature {release.signature} is not in the registry"
    if release.promotion is None:
        yield f"{act.reference} was released, but not promoted"
        return
    target = release.promotion.repository
    if stack.images.digest_of(target, act.tag) != release.image.digest:
        yield f"{target}:{act.tag} is not the image that was released"
    if len(hops) < 2 or hops[1].release.verdict != "PASS":
        yield f"{target}:{act.tag} did not pass the next gate"


def _faults_of_blocked(stack: Stack, act: Act, hops: Sequence[Hop]) -> Iterator[str]:
    release = hops[0].release
    if release.signature or _referrers(release.image):
        yield f"{act.reference} was blocked, and yet it is signed"
    target = act.repository.replace("-dev", "-staging")
    if release.promotion or stack.images.digest_of(target, act.tag):
        yield f"{act.reference} was blocked, and yet it is in {target}"


def _referrers(image: ImageRef) -> set[Any]:
    """Return the digests of the evidence that the registry lists."""
    subject = {"imageDigest": str(image.digest)}
    answer = client("ecr").list_image_referrers(repositoryName=image.repository, subjectId=subject)
    return {type(image.digest).parse(referrer["digest"]) for referrer in answer["referrers"]}


def table_of(hops: Sequence[Hop], console: Console) -> RenderableType:
    return _wide(hops) if console.width >= _WIDE else _narrow(hops)


def _wide(hops: Sequence[Hop]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("IMAGE", "VERDICT", "SIGNATURE", "WENT TO"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "SIGNATURE")
    for heading in ("TIME", "STATES", "LAMBDA CALLS"):
        table.add_column(heading, justify="right", no_wrap=True)
    for hop in hops:
        counts = (_seconds(hop), str(hop.transitions), str(hop.lambda_invocations))
        table.add_row(hop.name, _verdict(hop.release), _signature(hop.release), _place(hop.release), *counts)
    return table


def _narrow(hops: Sequence[Hop]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), header_style="bold")
    table.add_column("IMAGE", overflow="fold")
    table.add_column("VERDICT, SIGNATURE, WHERE IT WENT", overflow="fold")
    table.add_column("TIME, COST", no_wrap=True)
    for hop in hops:
        signature = _signature(hop.release)
        happened = Group(_verdict(hop.release), signature, _place(hop.release))
        cost = Group(
            _seconds(hop), f"{hop.transitions} transitions", f"{hop.lambda_invocations} Lambda calls"
        )
        table.add_row(hop.name, happened, cost)
    return table


def _verdict(release: Release) -> Group:
    return Group(screen.coloured(release.verdict), *(reason["message"] for reason in release.reasons))


def _signature(release: Release) -> str:
    return release.signature.short if release.signature else "not signed"


def _place(release: Release) -> Text:
    if release.promotion:
        tags = ", ".join(release.promotion.tags)
        return Text(f"{release.promotion.repository}:{tags}", style="green")
    if release.outcome is Outcome.HELD:
        return Text("held for an approval", style="yellow")
    return screen.coloured(str(release.outcome))


def _seconds(hop: Hop) -> str:
    return span(facts.seconds(hop.release, hop.release.closed_at) or 0.0)
