"""A policy file as it was read when it was published: MessagePack that needs neither YAML nor a check of the file.

It has two parts, the policy and the section `baseline`, and each reader skips the other one: no gate needs a baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from imagegate.policy.policy import Policy

if TYPE_CHECKING:
    from imagegate.baseline.section import RegistryBaseline


def write_parsed(policy: Policy, baseline: RegistryBaseline) -> bytes:
    """Return both parts for the readers. Sets have no order, so equal policies may give other bytes."""
    return msgspec.msgpack.encode((policy, baseline))


def read_policy(content: bytes) -> Policy | None:
    """Return the policy, or None if another version of the product wrote it, whose policies had other fields."""
    try:
        return msgspec.msgpack.decode(content, type=tuple[Policy, msgspec.Raw])[0]
    except msgspec.ValidationError:
        return None


def read_baseline(content: bytes) -> RegistryBaseline | None:
    """Return the section `baseline`, or None if another version of the product wrote it."""
    from imagegate.baseline.section import RegistryBaseline

    try:
        return msgspec.msgpack.decode(content, type=tuple[msgspec.Raw, RegistryBaseline])[1]
    except msgspec.ValidationError:
        return None
