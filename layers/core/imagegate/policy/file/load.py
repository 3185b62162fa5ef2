"""Loading a policy file: from its bytes to a `Policy`, or to every fault in it with its line and path."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from imagegate.errors import InvalidPolicyError
from imagegate.oci.image import Digest
from imagegate.policy.file.inheritance import ExpandedPolicy, inherit
from imagegate.policy.file.validate import baseline_of, size_fault, validate
from imagegate.policy.file.yaml import Fault, YamlDocument, describe, misleading_faults, read_yaml
from imagegate.policy.policy import Policy

if TYPE_CHECKING:
    from imagegate.baseline.section import RegistryBaseline
    from imagegate.policy.file.schema.policy import PolicyShape

FILE = "policy.yaml"


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy file that was read: either a policy, or its faults in the order of the file."""

    document: YamlDocument
    gates: ExpandedPolicy
    faults: tuple[Fault, ...] = ()
    policy: Policy | None = None
    shape: PolicyShape | None = None

    @property
    def baseline(self) -> RegistryBaseline | None:
        """Return the section `baseline`, empty if the file has none, or None if the file has faults."""
        if self.policy is None:
            return None
        # Imported late: judging needs none.
        from imagegate.baseline.section import RegistryBaseline

        section = baseline_of(self.shape)
        entered = {stage.promotes_to for stage in self.policy.stages.values() if stage.promotes_to}
        return section.baseline(entered) if section else RegistryBaseline()


def parse_policy(content: bytes, *, prefix: str = "", name: str = FILE, today: date | None = None) -> Policy:
    """Return the policy. Raises `InvalidPolicyError` with one line per fault: `policy.yaml:LINE: path: message`.

    The arguments are those of `load_policy`; `name`: of the file, for the messages.
    """
    loaded = load_policy(content, prefix=prefix, today=today)
    if loaded.policy is None:
        raise _refusal(loaded, name)
    return loaded.policy


def parse_file(
    content: bytes, *, prefix: str = "", name: str = FILE, today: date | None = None
) -> tuple[Policy, RegistryBaseline]:
    """Return the policy and its section `baseline`, which is empty if the file has none.

    The arguments and errors are those of `parse_policy`.
    """
    loaded = load_policy(content, prefix=prefix, today=today)
    policy, baseline = loaded.policy, loaded.baseline
    if policy is None or baseline is None:
        raise _refusal(loaded, name)
    return policy, baseline


def _refusal(loaded: LoadedPolicy, name: str) -> InvalidPolicyError:
    return InvalidPolicyError(*(f"{name}:{fault.line}: {fault}" for fault in loaded.faults))


def load_policy(content: bytes, *, prefix: str = "", today: date | None = None) -> LoadedPolicy:
    """Return the policy or its faults, whatever the file contains. Raises nothing.

    `prefix`: the beginning of the name of every guarded repository, as the stack's permissions have it. `today`: the
    day on which a new file is checked. Without it the file was accepted before, and stays readable.
    """
    document = read_yaml(content)
    if today is not None:
        document.faults.extend(misleading_faults(content))
    if not isinstance(document.data, dict):
        not_a_mapping = Fault(1, (), f"must be a mapping, not {describe(document.data)}")
        return LoadedPolicy(document, ExpandedPolicy({}), tuple(document.faults or [not_a_mapping]))
    too_large = size_fault(document)
    if too_large is not None:
        return LoadedPolicy(document, ExpandedPolicy({}), (*document.faults, too_large))
    gates = inherit(document)
    shape, faults = validate(document, gates, prefix=prefix, today=today)
    if shape is None or faults:
        return LoadedPolicy(document, gates, faults)
    return LoadedPolicy(document, gates, faults, shape.policy(Digest.of(content)), shape)
