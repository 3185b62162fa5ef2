"""The validator of a policy file: its shape, what its parts need from each other, and where each fault is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from imagegate.policy.file.explain import empty_faults, shape_faults
from imagegate.policy.file.inheritance import ExpandedPolicy
from imagegate.policy.file.schema.policy import PolicyShape
from imagegate.policy.file.validate_gates import gate_faults
from imagegate.policy.file.validate_owners import owner_faults
from imagegate.policy.file.validate_stages import stage_faults
from imagegate.policy.file.validate_waivers import waiver_faults
from imagegate.policy.file.yaml import Fault, PathFault, YamlDocument, did_you_mean

if TYPE_CHECKING:
    from imagegate.policy.file.schema.baseline import BaselineShape

# Each stage is compared with each, and has all of the defaults.
_MAX_STAGES = 100


def size_fault(document: YamlDocument) -> Fault | None:
    """Return a fault if the file has too many stages to be validated in a short time, else None."""
    stages = document.data.get("stages")
    if not isinstance(stages, dict) or len(stages) <= _MAX_STAGES:
        return None
    return Fault(document.line_of(("stages",)), ("stages",), f"more than {_MAX_STAGES} stages")


def validate(
    document: YamlDocument, gates: ExpandedPolicy, *, prefix: str, today: date | None
) -> tuple[PolicyShape | None, tuple[Fault, ...]]:
    """Return the shape, or None if it cannot be built, and every fault of the file in the order of its lines.

    `gates`: the document in its long form. The arguments `prefix` and `today` are those of `load_policy`.
    """
    shape: PolicyShape | None = None
    in_long_form: list[PathFault] = []
    try:
        shape = _shape_of(gates.data).model_validate(gates.data)
    except ValidationError as error:
        in_long_form += shape_faults(error)
    in_long_form += gate_faults(gates)
    in_long_form += waiver_faults(gates.data, today)
    in_long_form += owner_faults(gates.data.get("owners"))
    in_long_form += _unknown_stages(gates.data)
    in_long_form += _shut_stages(shape)
    located = _located(document, gates, in_long_form, stage_faults(document.data.get("stages"), prefix))
    # Each is reported once: a fault of `defaults` is a fault of every stage.
    faults = dict.fromkeys((*document.faults, *gates.faults, *located))
    return shape, tuple(sorted(faults, key=lambda fault: (fault.line, str(fault))))


def baseline_of(shape: PolicyShape | None) -> BaselineShape | None:
    """Return the section `baseline`, or None if the file does not have it."""
    section: BaselineShape | None = getattr(shape, "baseline", None)
    return section


def _shape_of(data: Mapping[str, Any]) -> type[PolicyShape]:
    if "baseline" not in data:
        return PolicyShape
    # Imported late: most files have no such section, and its shapes take a tenth of `imagegate judge`.
    from imagegate.policy.file.schema.whole import PolicyFileShape

    return PolicyFileShape


def _unknown_stages(data: Mapping[str, Any]) -> Iterator[PathFault]:
    """Yield each stage of the baseline that the policy does not have."""
    stages, baseline = data.get("stages"), data.get("baseline")
    named = baseline.get("stages") if isinstance(baseline, dict) else None
    if not isinstance(named, dict) or not isinstance(stages, dict):
        return
    for name in named:
        if name not in stages:
            yield ("baseline", "stages", name), f"there is no stage {name!r}" + did_you_mean(name, stages)


def _shut_stages(shape: PolicyShape | None) -> Iterator[PathFault]:
    """Yield each stage into whose repositories nobody could push."""
    section = baseline_of(shape)
    if shape is None or section is None:
        return
    entered = {stage.promotes_to for stage in shape.stages.values()}
    for name, terms in section.stages.items():
        access = terms.access
        if name not in entered and access and access.push == "promotion" and not access.push_exceptions:
            message = "nobody could push: no stage promotes into this one; name who may as push_exceptions"
            yield ("baseline", "stages", name, "access", "push"), message


def _located(
    document: YamlDocument,
    gates: ExpandedPolicy,
    in_long_form: Iterable[PathFault],
    as_written: Iterable[PathFault],
) -> Iterator[Fault]:
    """Yield each fault with the path and the line where it is written. An empty part has no second fault."""
    empty = dict(empty_faults(document.data))
    for path, message in (*empty.items(), *as_written):
        yield Fault(document.line_of(path), path, message)
    for path, message in in_long_form:
        written = gates.locate(path)
        if written not in empty:
            yield Fault(document.line_of(written), written, message)
