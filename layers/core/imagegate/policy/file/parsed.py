"""A policy as its file was read when it was published: MessagePack that needs neither YAML nor a check of the file."""

from __future__ import annotations

import msgspec

from imagegate.policy.policy import Policy


def write_policy(policy: Policy) -> bytes:
    """Return the policy as `read_policy` takes it. Sets have no order, so equal policies may give other bytes."""
    return msgspec.msgpack.encode(policy)


def read_policy(content: bytes) -> Policy | None:
    """Return the policy, or None if another version of the product wrote it, whose policies had other fields."""
    try:
        return msgspec.msgpack.decode(content, type=Policy)
    except msgspec.ValidationError:
        return None
