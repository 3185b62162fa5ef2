"""The policy file: from its bytes to a `Policy`, or to every fault in it with its line and path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from pydantic import ValidationError

from imagegate.errors import InvalidPolicyError
from imagegate.oci.image import Digest
from imagegate.policy.file.capabilities import capability_faults
from imagegate.policy.file.faults import empty_faults, shape_faults
from imagegate.policy.file.gates import gate_faults
from imagegate.policy.file.inheritance import ExpandedPolicy, inherit
from imagegate.policy.file.model import PolicyShape
from imagegate.policy.file.stages import stage_faults
from imagegate.policy.file.waivers import waiver_faults
from imagegate.policy.file.yaml import Fault, Path, YamlDocument, describe, read
from imagegate.policy.policy import Policy

FILE = "policy.yaml"
# Each stage is compared with each, and has all of the defaults.
_MAX_STAGES = 100


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy file that was looked at: a policy, or its faults in the order of the file."""

    document: YamlDocument
    gates: ExpandedPolicy
    faults: tuple[Fault, ...] = ()
    policy: Policy | None = None


def parse(content: bytes, *, prefix: str = "", name: str = FILE, today: date | None = None) -> Policy:
    """Raise `InvalidPolicyError`, one line per fault: `policy.yaml:LINE: path: what is wrong`.

    `prefix`: what every guarded repository's name begins with, as the stack's permissions have it. `today`: the day
    on which a new file is checked; without it a policy that was accepted once is read again, and stays readable.
    """
    examined = examine(content, prefix=prefix, today=today)
    if examined.policy is None:
        raise InvalidPolicyError(*(f"{name}:{fault.line}: {fault}" for fault in examined.faults))
    return examined.policy


def line_of(content: bytes, path: Path) -> int:
    """The line, from 1, on which a part of the file stands; of what is missing, the one of its nearest parent."""
    return read(content).line_of(path)


def examine(content: bytes, *, prefix: str = "", today: date | None = None) -> LoadedPolicy:
    """Never raises: whatever stands in the file, it is a policy or a list of faults."""
    document = read(content)
    if not isinstance(document.data, dict):
        no_mapping = Fault(1, (), f"must be a mapping, not {describe(document.data)}")
        return LoadedPolicy(document, ExpandedPolicy({}), tuple(document.faults or [no_mapping]))
    stages = document.data.get("stages")
    if isinstance(stages, dict) and len(stages) > _MAX_STAGES:
        too_many = Fault(document.line_of(("stages",)), ("stages",), f"more than {_MAX_STAGES} stages")
        return LoadedPolicy(document, ExpandedPolicy({}), (*document.faults, too_many))
    gates = inherit(document)
    shape, shape_errors = _validated(gates)
    found = [*document.faults, *gates.faults, *stage_faults(document, prefix)]
    found += _located(document, gates, shape_errors, today)
    faults = _sorted(found)
    policy = shape.policy(Digest.of(content)) if shape and not faults else None
    return LoadedPolicy(document, gates, faults, policy)


def _validated(gates: ExpandedPolicy) -> tuple[PolicyShape | None, list[tuple[Path, str]]]:
    try:
        return PolicyShape.model_validate(gates.data), []
    except ValidationError as error:
        return None, list(shape_faults(error))


def _located(
    document: YamlDocument,
    gates: ExpandedPolicy,
    shape_errors: Iterable[tuple[Path, str]],
    today: date | None,
) -> Iterator[Fault]:
    """Faults of the long form, where they are written in the file; what is empty is no second fault."""
    empty = dict(empty_faults(document.data))
    for path, message in empty.items():
        yield Fault(document.line_of(path), path, message)
    more = (*shape_errors, *gate_faults(gates), *capability_faults(gates), *waiver_faults(gates.data, today))
    for path, message in more:
        written = gates.locate(path)
        if written not in empty:
            yield Fault(document.line_of(written), written, message)


def _sorted(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Each once: what `defaults` say wrongly is wrong in every stage."""
    return tuple(sorted(dict.fromkeys(faults), key=lambda fault: (fault.line, str(fault))))
