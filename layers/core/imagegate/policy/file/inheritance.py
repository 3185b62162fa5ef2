"""Inheritance: a stage inherits from `defaults`, and `defaults` from built-in values; each part has its origin.

Rules: mappings are merged by key; lists and scalars are replaced as a whole. Before that, every rule is brought into
its long form: `5` becomes `{value: 5, action: enforce}`, and `off` becomes `{action: off}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from imagegate.policy.file.values import OFF
from imagegate.policy.file.yaml import Fault, Path, YamlDocument
from imagegate.policy.rules import DEFAULT_MAX_FINDINGS

LIMITS = ("findings", "max")
# Rules whose plain value is a mapping.
GRACE, NO_GRACE, LABELS = ("findings", "grace"), ("findings", "no_grace"), ("image", "labels")
FILTERS = frozenset({("findings", "only_fixable"), GRACE, NO_GRACE, ("findings", "no_worse_than")})
RULES = FILTERS | {
    *(("findings", key) for key in ("deny", "secrets", "misconfigurations", "licenses")),
    ("packages", "prohibited"),
    *(("image", key) for key in ("max_age", "max_size", "base_images", "platforms", "non_root")),
    *(("image", key) for key in ("labels", "tags", "forbidden_tags")),
    *(("evidence", key) for key in ("require_signature", "require_provenance")),
}
_MAPPINGS = (GRACE, NO_GRACE, LABELS)
_BY_SEVERITY = (LIMITS, GRACE, ("alerts",))
# Keys that are not inherited, because no two stages can have the same value, or each must be explicit.
_OWN = ("repositories", "promotes_to", "entry", "registry", "role")


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a gate, and the path where it was written, or None for a built-in value."""

    data: Any  # as it was read; None if the node has parts
    written: Path | None
    parts: Mapping[str, Node] | None = None
    is_off: bool = False  # a rule that was written as `off` alone

    @classmethod
    def of(cls, parts: Mapping[str, Node], written: Path | None, *, is_off: bool = False) -> Node:
        return cls(None, written, parts, is_off)


@dataclass(slots=True)
class ExpandedPolicy:
    """The file in its long form. `written`: the path there → the path in the file, or None for a built-in value."""

    data: dict[str, Any]
    written: dict[Path, Path | None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        """The stages that are mappings, by name."""
        stages = self.data.get("stages")
        readable = stages.items() if isinstance(stages, dict) else ()
        return {name: stage for name, stage in readable if isinstance(stage, dict)}

    def locate(self, path: Path) -> Path:
        """Return the path in the file. A part that is missing, or was not moved, is found by its nearest parent."""
        known = path
        while known and known not in self.written:
            known = known[:-1]
        return (self.written.get(known) or known) + path[len(known) :]


def inherit(document: YamlDocument) -> ExpandedPolicy:
    """Return the file with `defaults` and `stages` in their long form."""
    raw: dict[str, Any] = document.data
    gates = ExpandedPolicy(dict(raw))
    expander = _Expander(document, gates.faults)
    defaults = expander.expand(raw.get("defaults", {}), ("defaults",))
    below = merge(_BUILT_IN, defaults)
    if "defaults" in raw:
        gates.data["defaults"] = _plain(defaults, ("defaults",), gates.written)
    if isinstance(raw.get("stages"), dict):
        own = _without(below, _OWN)
        expanded = {name: expander.expand(stage, ("stages", name)) for name, stage in raw["stages"].items()}
        gates.data["stages"] = {
            name: _plain(merge(own, stage), ("stages", name), gates.written)
            for name, stage in expanded.items()
        }
    return gates


def merge(below: Node, above: Node) -> Node:
    """Return the upper layer, merged with the parts of the lower one that it does not have."""
    if below.parts is None or above.parts is None:
        return above
    # A rule that `off` alone switched off is on again as soon as the upper layer writes more about it.
    kept = {key: node for key, node in below.parts.items() if not (below.is_off and key == "action")}
    merged = {key: merge(kept[key], node) if key in kept else node for key, node in above.parts.items()}
    return Node.of(kept | merged, above.written, is_off=above.is_off)


def _without(node: Node, keys: tuple[str, ...]) -> Node:
    if node.parts is None:
        return node
    return Node.of({key: part for key, part in node.parts.items() if key not in keys}, node.written)


def _plain(node: Node, path: Path, written: dict[Path, Path | None]) -> Any:
    written[path] = node.written
    if node.parts is None:
        return node.data
    return {key: _plain(part, (*path, key), written) for key, part in node.parts.items()}


class _Expander:
    """Brings `defaults` or a stage into the long form."""

    def __init__(self, document: YamlDocument, faults: list[Fault]) -> None:
        self._document = document
        self._faults = faults

    def expand(self, raw: Any, written: Path, place: Path = ()) -> Node:
        """Return the long form. `written`: the path in the file; `place`: the path within the gate."""
        if place in RULES or place[:-1] == LIMITS:
            return self._rule(raw, written, place)
        if not isinstance(raw, dict):
            return Node(raw, written)
        named = self._named(raw, written, place)
        return Node.of({name: self.expand(part, here, (*place, name)) for name, here, part in named}, written)

    def _rule(self, raw: Any, written: Path, place: Path) -> Node:
        if raw == OFF:
            return Node.of({"action": Node(OFF, written)}, written, is_off=True)
        if not _is_long(raw, place):
            plain = {"value": self._value(raw, written, place), "action": Node("enforce", written)}
            return Node.of(plain, written)
        parts: dict[str, Node] = {}
        for key, part in raw.items():
            here = (*written, key)
            # Older files have `limit` for the value of a limit.
            name = "value" if key == "limit" and place[:-1] == LIMITS else key
            if name in parts:
                self._fault(here, "value and limit are the same; give one of them")
            parts[name] = self._value(part, here, place) if name == "value" else Node(part, here)
        return Node.of(parts, written)

    def _value(self, raw: Any, written: Path, place: Path) -> Node:
        if place not in _MAPPINGS or not isinstance(raw, dict):
            return Node(raw, written)
        named = self._named(raw, written, place)
        return Node.of({name: Node(part, here) for name, here, part in named}, written)

    def _named(self, raw: Mapping[str, Any], written: Path, place: Path) -> Iterator[tuple[str, Path, Any]]:
        """Yield the name of each key in the long form, its path in the file, and its value.

        `untriaged` is another name of `undefined`, from enhanced scanning.
        """
        is_twice = place in _BY_SEVERITY and {"undefined", "untriaged"} <= raw.keys()
        if is_twice:
            self._fault(written, "undefined and untriaged are the same; give one of them")
        for key, part in raw.items():
            if key == "untriaged" and place in _BY_SEVERITY:
                if not is_twice:
                    yield "undefined", (*written, key), part
            else:
                yield key, (*written, key), part

    def _fault(self, path: Path, message: str) -> None:
        self._faults.append(Fault(self._document.line_of(path), path, message))


def _is_long(raw: Any, place: Path) -> bool:
    """Return True for the long form. Because of it, a label named `value` or `action` needs the long form too."""
    return isinstance(raw, dict) and (place not in _MAPPINGS or "value" in raw or "action" in raw)


def _built_in() -> Node:
    """Return the built-in limits, which `critical: {action: warn}` inherits. Other defaults are in the shapes."""
    limits = {
        severity.lower(): Node.of({"value": Node(limit.value, None), "action": Node("enforce", None)}, None)
        for severity, limit in DEFAULT_MAX_FINDINGS.items()
    }
    return Node.of({"findings": Node.of({"max": Node.of(limits, None)}, None)}, None)


_BUILT_IN = _built_in()


def part_at(gate: Any, *place: str) -> Any:
    """Return the part of a gate at a path, or None if there is none."""
    for key in place:
        gate = gate.get(key) if isinstance(gate, dict) else None
    return gate


def rule_value(gate: Mapping[str, Any], *place: str) -> Any:
    """Return the value of a rule in the long form, or None if the rule is off or cannot be read."""
    rule = part_at(gate, *place)
    return rule.get("value") if isinstance(rule, dict) and rule.get("action") != OFF else None
