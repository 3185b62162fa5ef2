"""Start the release of a dead letter's image again: by its repository and digest, never by the letter's body.

The request is one by hand: the function `decide` checks and records who makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from imagegate.errors import ImageNotFoundError
from imagegate.release.release import Release, StartReason
from imagegate_cli.dead_letters.letter import DeadLetter, Event
from imagegate_cli.stack import Stack


class Step(StrEnum):
    """The step to take with one letter."""

    START = "start"  # request a release, then delete the letter
    DELETE = "delete"  # its image has its outcome already
    KEEP = "keep"  # starting again does not help


@dataclass(frozen=True, slots=True)
class Plan:
    """The step for one letter, and its reason."""

    letter: DeadLetter
    step: Step
    why: str
    tags: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {**self.letter.as_json(), "step": str(self.step), "why": self.why}


def plan(stack: Stack, letter: DeadLetter) -> Plan:
    """Decide by what the ledger and ECR say now. The body of the letter only names the image."""
    if letter.kind is Event.OTHER or letter.image is None:
        return Plan(letter, Step.KEEP, letter.remedy)
    if stack.policy.stage_of(letter.image.repository) is None:
        return Plan(letter, Step.KEEP, "no stage of the policy has this repository")
    latest = stack.ledger.latest(letter.image)
    if latest and not _is_needed(letter, latest):
        return Plan(letter, Step.DELETE, f"attempt {latest.attempt} came after it: {latest.outcome}")
    try:
        facts = stack.images.facts(letter.image)
    except ImageNotFoundError:
        return Plan(letter, Step.KEEP, "the image was deleted: imagegate dlq drop")
    if not facts.tags:
        return Plan(letter, Step.KEEP, "the image has no tag any more: imagegate dlq drop")
    verb = "joins" if latest and latest.is_open else "begins"
    return Plan(letter, Step.START, f"{verb} an attempt", tuple(sorted(facts.tags)))


def carry_out(stack: Stack, planned: Plan, delete: Callable[[DeadLetter], None]) -> None:
    """Do what the plan says. The letter is deleted after the request was accepted, never before."""
    if planned.step is Step.START and planned.letter.image:
        stack.starter.request(planned.letter.image, planned.tags, StartReason.OPERATOR)
    if planned.step is not Step.KEEP:
        delete(planned.letter)


def _is_needed(letter: DeadLetter, latest: Release) -> bool:
    if latest.is_open:
        return True
    if letter.kind is Event.STOPPED:  # a release that has ended, and said so, needs no execution
        return latest.message_id is None
    # A scan that nobody waits for changes nothing.
    return latest.timed_out if letter.kind is Event.SCAN else latest.started_at < letter.happened_at
