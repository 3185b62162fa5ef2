"""The result of `imagegate policy check`: the faults of a file, or its stages and notes about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from imagegate.policy.file.yaml import Fault, dotted
from imagegate.policy.policy import Entry, Mode, Policy
from imagegate.policy.rules import RULES_OF_KINDS, Action, active, is_on
from imagegate.policy.waiver import ENDING, Waiver
from imagegate.text import counted
from imagegate_cli.policy import effective as policy_effective
from imagegate_cli.policy.source import PolicyFile


@dataclass(frozen=True, slots=True)
class StageLine:
    """A stage in one line."""

    name: str
    repositories: str
    mode: str
    rules: int
    warnings: int
    approval: bool

    def __str__(self) -> str:
        warn = f", {self.warnings} of them warn{'s' if self.warnings == 1 else ''}" if self.warnings else ""
        return f"{self.name}: {counted(self.rules, 'rule')}{warn}; {self.mode}" + (
            "; approval required" if self.approval else ""
        )


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The faults of a file; or its stages, and notes about what is correct but may surprise, or ends soon."""

    name: str
    faults: tuple[Fault, ...] = ()
    stages: tuple[StageLine, ...] = ()
    notes: tuple[Fault, ...] = ()


def check(source: PolicyFile, today: date) -> CheckResult:
    """Return the faults of the file, or its stages and notes."""
    examined = source.examined
    if examined.policy is None:
        return CheckResult(source.name, examined.faults)
    stages = tuple(_stage(source, examined.policy, name) for name in examined.policy.stages)
    return CheckResult(source.name, (), stages, tuple(_notes(source, examined.policy, today)))


def _stage(source: PolicyFile, policy: Policy, name: str) -> StageLine:
    stage = policy.stages[name]
    rules = [part for part in policy_effective.rules(source.examined, name) if part.is_on]
    return StageLine(
        name=name,
        repositories=stage.repositories.text,
        mode=str(stage.mode),
        rules=len(rules),
        warnings=sum(rule.action == Action.WARN for rule in rules),
        approval=stage.approval is not None,
    )


def _notes(source: PolicyFile, policy: Policy, today: date) -> Iterator[Fault]:
    yield from _open_stages(source, policy)
    yield from _unknown_pushers(source, policy)
    yield from _unsigned_by_observers(source, policy)
    yield from _only_in_reports(source, policy)
    for number, waiver in enumerate(policy.waivers):
        path = ("waivers", number)
        if (state := ending(waiver, today)) is not None:
            line = source.examined.document.line_of(path)
            yield Fault(line, path, f"{waiver.subject} for {waiver.where} {state} (owner: {waiver.owner})")


def _open_stages(source: PolicyFile, policy: Policy) -> Iterator[Fault]:
    for name, stage in policy.stages.items():
        before = ", ".join(other.name for other in policy.stages_before(stage))
        if before and stage.entry is Entry.OPEN and stage.remote is None:
            path = ("stages", name, "entry")
            approval = " and its approval" if stage.approval else ""
            text = f"whoever pushes into {stage.repositories.text} goes past {before}{approval}"
            yield Fault(source.examined.document.line_of(path), path, f"open: {text}")


def _unknown_pushers(source: PolicyFile, policy: Policy) -> Iterator[Fault]:
    """Note what a policy cannot know: whether the stack knows who pushed, and which person uses a role."""
    for name, stage in policy.stages.items():
        if stage.approval is not None:
            path = ("stages", name, "approval")
            known = "is recognised only where the stack's parameter KnowPushers is on"
            roles = "and in a role that is not of named_sessions only as that role"
            yield Fault(
                source.examined.document.line_of(path), path, f"whoever pushed the image {known}, {roles}"
            )


def _unsigned_by_observers(source: PolicyFile, policy: Policy) -> Iterator[Fault]:
    """Note each stage that blocks what has no signature, after a stage that only observes."""
    for name, stage in policy.stages.items():
        rule = active(stage.evidence.require_signature)
        observers = [one.name for one in policy.stages_before(stage) if one.mode is Mode.OBSERVE]
        if rule is None or rule.action is not Action.ENFORCE or stage.mode is Mode.OBSERVE or not observers:
            continue
        path = ("stages", name, "evidence", "require_signature")
        written = source.examined.gates.locate((*path, "value"))
        text = f"{' and '.join(observers)} only observes: an image that does not pass there goes on without a signature"
        todo = f"and {name} blocks it; say off until {' and '.join(observers)} enforces"
        yield Fault(source.examined.document.line_of(written), path, f"{text}, {todo}")


def _only_in_reports(source: PolicyFile, policy: Policy) -> Iterator[Fault]:
    """Note each rule about findings that no scan of ECR has."""
    noted: set[tuple[int, str]] = set()
    for name, stage in policy.stages.items():
        for kind, rule in RULES_OF_KINDS.items():
            path = ("stages", name, *rule.split("."))
            line = source.examined.document.line_of(source.examined.gates.locate(path))
            if is_on(stage.findings.max_of_kind.get(kind)) and (line, rule) not in noted:
                noted.add((line, rule))
                text = f"ECR and Inspector report no {kind}s: only imagegate judge looks, in reports of Trivy"
                yield Fault(line, path, text)


def ending(waiver: Waiver, today: date) -> str | None:
    """Return `ends in 3 days, on 2027-01-31`, or None if it ends later than soon."""
    left = waiver.expires - today
    if left.days < 0:
        return f"expired on {waiver.expires}"
    if left > ENDING:
        return None
    when = "today" if not left.days else "tomorrow" if left.days == 1 else f"in {left.days} days"
    return f"ends {when}, on {waiver.expires}"


def lines(result: CheckResult) -> Iterator[str]:
    """Yield the lines for people; faults and notes begin with FILE:LINE."""
    yield from (f"{result.name}:{fault.line}: {fault}" for fault in result.faults)
    yield from map(str, result.stages)
    yield from (f"{result.name}:{note.line}: note: {note}" for note in result.notes)


def as_json(result: CheckResult) -> dict[str, Any]:
    """Return `file`, `faults` and `notes` (line, path, message), and `stages`."""
    return {
        "file": result.name,
        "faults": [_as_json(fault) for fault in result.faults],
        "stages": [_stage_json(stage) for stage in result.stages],
        "notes": [_as_json(note) for note in result.notes],
    }


def _as_json(fault: Fault) -> dict[str, Any]:
    return {"line": fault.line, "path": dotted(fault.path), "message": fault.message}


def _stage_json(stage: StageLine) -> dict[str, Any]:
    return {
        "name": stage.name,
        "repositories": stage.repositories,
        "mode": stage.mode,
        "rules": stage.rules,
        "warnings": stage.warnings,
        "approval": stage.approval,
    }
