"""From built-in values over `defaults` to the stage: what holds at each gate, and where each part of it was written.

Rules: mappings merge key by key, lists and scalars are replaced as a whole. Before that every rule is brought into its
long form: `5` is `{value: 5, action: enforce}`; `off` is `{action: off}`, and `{action: warn}` finds the value below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from imagegate.policy.file.values import OFF
from imagegate.policy.file.yaml import Fault, Path, YamlDocument
from imagegate.policy.rules import DEFAULT_MAX_FINDINGS

LIMITS = ("findings", "max")
# Of these the plain value is a mapping itself.
GRACE, NO_GRACE, LABELS = ("findings", "grace"), ("findings", "no_grace"), ("image", "labels")
FILTERS = frozenset({("findings", "only_fixable"), GRACE, NO_GRACE, ("findings", "no_worse_than")})
RULES = FILTERS | {
    ("findings", "deny"),
    ("packages", "prohibited"),
    *(("image", key) for key in ("max_age", "max_size", "base_images", "platforms", "non_root")),
    *(("image", key) for key in ("labels", "tags", "forbidden_tags")),
    *(("evidence", key) for key in ("require_signature", "require_provenance")),
}
_MAPPINGS = (GRACE, NO_GRACE, LABELS)
_BY_SEVERITY = (LIMITS, GRACE, ("alerts",))
# Not inherited: no two stages can have the same, and each that is open is named.
_OWN = ("repositories", "promotes_to", "entry", "registry", "role")


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a gate, and where it was written; None: it is built in."""

    data: Any  # as it was read; of what has parts, they count
    written: Path | None
    parts: Mapping[str, Node] | None = None
    is_off: bool = False  # a rule of which only `off` is written

    @classmethod
    def of(cls, parts: Mapping[str, Node], written: Path | None, *, is_off: bool = False) -> Node:
        return cls(None, written, parts, is_off)


@dataclass(slots=True)
class ExpandedPolicy:
    """The file in its long form. `written`: path there → path in the file; None: it is built in."""

    data: dict[str, Any]
    written: dict[Path, Path | None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        """The stages that can be read at all."""
        stages = self.data.get("stages")
        readable = stages.items() if isinstance(stages, dict) else ()
        return {name: stage for name, stage in readable if isinstance(stage, dict)}

    def locate(self, path: Path) -> Path:
        """Where `path` is written: of a part that was not moved, or is missing, by its nearest parent."""
        known = path
        while known and known not in self.written:
            known = known[:-1]
        return (self.written.get(known) or known) + path[len(known) :]


def inherit(document: YamlDocument) -> ExpandedPolicy:
    """What the file says, with `defaults` and `stages` in their long form."""
    raw: dict[str, Any] = document.data
    gates = ExpandedPolicy(dict(raw))
    speller = _Speller(document, gates.faults)
    defaults = speller.spell(raw.get("defaults", {}), ("defaults",))
    below = merge(_BUILT_IN, defaults)
    if "defaults" in raw:
        gates.data["defaults"] = _plain(defaults, ("defaults",), gates.written)
    if isinstance(raw.get("stages"), dict):
        own = _without(below, _OWN)
        spelled = {name: speller.spell(stage, ("stages", name)) for name, stage in raw["stages"].items()}
        gates.data["stages"] = {
            name: _plain(merge(own, stage), ("stages", name), gates.written)
            for name, stage in spelled.items()
        }
    return gates


def merge(below: Node, above: Node) -> Node:
    if below.parts is None or above.parts is None:
        return above
    # What was switched off by `off` alone is on again as soon as more is said about it.
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


class _Speller:
    """Brings `defaults` or a stage into the long form."""

    def __init__(self, document: YamlDocument, faults: list[Fault]) -> None:
        self._document = document
        self._faults = faults

    def spell(self, raw: Any, written: Path, place: Path = ()) -> Node:
        """`place`: the path within the gate."""
        if place in RULES or place[:-1] == LIMITS:
            return self._rule(raw, written, place)
        if not isinstance(raw, dict):
            return Node(raw, written)
        named = self._named(raw, written, place)
        return Node.of({name: self.spell(part, here, (*place, name)) for name, here, part in named}, written)

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
        """Each key's name in the long form: `untriaged` is what enhanced scanning calls `undefined`."""
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
    """A label that is called `value` or `action` needs the long form."""
    return isinstance(raw, dict) and (place not in _MAPPINGS or "value" in raw or "action" in raw)


def _built_in() -> Node:
    """What has to be below for `critical: {action: warn}`; the rest of what is built in is in the shapes."""
    limits = {
        severity.lower(): Node.of({"value": Node(limit.value, None), "action": Node("enforce", None)}, None)
        for severity, limit in DEFAULT_MAX_FINDINGS.items()
    }
    return Node.of({"findings": Node.of({"max": Node.of(limits, None)}, None)}, None)


_BUILT_IN = _built_in()


def rule_value(gate: Mapping[str, Any], *place: str) -> Any:
    """The value of a rule in the long form that is looked at; None also where it cannot be read."""
    at: Any = gate
    for key in place:
        at = at.get(key) if isinstance(at, dict) else None
    return at.get("value") if isinstance(at, dict) and at.get("action") != OFF else None
