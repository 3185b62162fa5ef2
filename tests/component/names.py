"""When two worlds are the same: everything that is kept, on its way, or running is equal in both."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from typing import Any

from imagegate.oci.manifest import Manifest
from imagegate.policy.policy import Policy
from tests.component.world import World

_PLAIN = frozenset({str, int, bool, bytes, type(None)})


class Names:
    """A short name for every value, the same for equal values: what worlds are compared by."""

    def __init__(self) -> None:
        self._names: dict[Hashable, int] = {}
        # Held, so that no other object gets the same id.
        self._kept: dict[int, tuple[object, int]] = {}
        self._dicts: dict[frozenset[tuple[int, int]], tuple[object, int]] = {}

    def of_world(self, world: World) -> Hashable:
        registry, records = world.registry, world.records
        return (
            self.of(registry.manifests),
            self.of(registry.tags),
            self.of(registry.pushed_at),
            len(registry.blobs),
            self.of(world.scans.results),
            frozenset(map(self.of, world.scans.started)),
            *(self.of(value) for value in vars(world.ledger).values()),
            self.of(frozenset(records.contents)),
            frozenset(world.signer.signed),
            self.of(world.notifications.messages),
            self.of(world.executions.all),
            tuple(sorted(map(self.of, world.events.pending))),
            world.events.dead,
            tuple(sorted(map(self.of, world.calls))),
            world.done,
            (world.kills, world.timeouts, world.stopped, world.reconciles),
            self.of(world.truths),
            self.of(world.pushes),
        )

    def of(self, value: Any) -> Any:
        if type(value) in _PLAIN:
            return value
        kept = self._kept.get(id(value))
        if kept is not None:
            return kept[1]
        if type(value) is dict:
            return self._of_dict(value)
        name = self._names.setdefault(self._frozen(value), len(self._names))
        if not isinstance(value, list | set):
            self._kept[id(value)] = value, name
        return name

    def _of_dict(self, value: dict[Any, Any]) -> int:
        """Return the number of a mapping; mostly it is a copy of one with a number: the same keys and values."""
        members = frozenset(zip(map(id, value), map(id, value.values()), strict=True))
        kept = self._dicts.get(members)
        if kept is None:
            name = self._names.setdefault(self._frozen(value), len(self._names))
            kept = self._dicts[members] = tuple(value.items()), name
        return kept[1]

    def _frozen(self, value: Any) -> Hashable:
        kind = type(value).__name__
        if isinstance(value, Manifest | Policy):
            return kind, value.digest
        if isinstance(value, dict):
            return kind, frozenset((self.of(key), self.of(one)) for key, one in value.items())
        if isinstance(value, set | frozenset):
            return kind, frozenset(map(self.of, value))
        if isinstance(value, tuple | list):
            return kind, tuple(map(self.of, value))
        if is_dataclass(value):
            return kind, tuple(self.of(getattr(value, part.name)) for part in fields(value))
        if isinstance(value, Exception):
            return kind, str(value)
        assert isinstance(value, Hashable)
        return kind, value
