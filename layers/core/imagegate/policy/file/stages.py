"""What must hold between the stages of a policy file: legal names, no overlap, promotions that lead somewhere.

It reads the plain data, so that it finds its faults also in a file that has others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imagegate.errors import RejectedInputError
from imagegate.oci.image import repository_name
from imagegate.policy.file.yaml import Fault, Path, YamlDocument, did_you_mean
from imagegate.policy.policy import APP, RepositoryPattern

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True)
class _Sketch:
    """The readable parts of one stage."""

    name: str
    pattern: RepositoryPattern | None
    promotes_to: str | None
    says_entry: bool
    elsewhere: Mapping[str, object]  # registry and role, as far as they are given

    @property
    def has_app(self) -> bool:
        return self.pattern is not None and APP in self.pattern.text

    def path(self, *keys: str) -> Path:
        return ("stages", self.name, *keys)


def stage_faults(document: YamlDocument, prefix: str) -> Iterator[Fault]:
    """Every fault between stages, and in their names."""
    stages = document.data.get("stages")
    sketches = _sketches(stages) if isinstance(stages, dict) else {}
    for path, message in _checked(sketches, prefix):
        yield Fault(document.line_of(path), path, message)


def _sketches(stages: Mapping[str, object]) -> dict[str, _Sketch]:
    return {name: _sketch(name, stage) for name, stage in stages.items()}


def _sketch(name: str, stage: object) -> _Sketch:
    raw = stage if isinstance(stage, dict) else {}
    text, target = raw.get("repositories"), raw.get("promotes_to")
    pattern = RepositoryPattern(text) if isinstance(text, str) else None
    elsewhere = {key: raw[key] for key in ("registry", "role") if raw.get(key) is not None}
    says_entry = raw.get("entry") is not None
    return _Sketch(name, pattern, target if isinstance(target, str) else None, says_entry, elsewhere)


def _checked(sketches: Mapping[str, _Sketch], prefix: str) -> Iterator[tuple[Path, str]]:
    for sketch in sketches.values():
        yield from _name(sketch)
        yield from _pattern(sketch, prefix)
        yield from _target(sketch, sketches)
        yield from _entry(sketch, sketches)
        yield from _elsewhere(sketch)
        yield from _overlap(sketch, sketches)
    yield from _cycles(sketches)


def _name(sketch: _Sketch) -> Iterator[tuple[Path, str]]:
    if not _STAGE_NAME.fullmatch(sketch.name):
        message = "a stage's name is a lower-case letter, then at most 30 letters, digits and hyphens"
        yield sketch.path(), message


def _pattern(sketch: _Sketch, prefix: str) -> Iterator[tuple[Path, str]]:
    if sketch.pattern is None:
        return
    text, path = sketch.pattern.text, sketch.path("repositories")
    if text.count(APP) > 1:
        yield path, f"{APP} may stand there once"
    elif not _is_legal(sketch.pattern):
        yield path, f"no ECR repository can be called {text!r}: lower case, digits and . _ - / between them"
    elif not text.startswith(prefix) and not sketch.elsewhere:
        yield path, f"must begin with {prefix!r}, to which this stack is limited: {prefix + text!r}?"


def _is_legal(pattern: RepositoryPattern) -> bool:
    try:
        repository_name(pattern.repository_of("a"))
    except RejectedInputError:
        return False
    return True


def _target(sketch: _Sketch, sketches: Mapping[str, _Sketch]) -> Iterator[tuple[Path, str]]:
    if sketch.promotes_to is None:
        return
    path, target = sketch.path("promotes_to"), sketches.get(sketch.promotes_to)
    if target is None:
        yield path, f"there is no stage {sketch.promotes_to!r}" + did_you_mean(sketch.promotes_to, sketches)
    elif target is sketch:
        yield path, "a stage cannot promote to itself"
    elif sketch.pattern and target.pattern and sketch.has_app != target.has_app:
        yield (
            path,
            f"{APP} must be in the repositories of both {sketch.name} and {target.name}, or of neither",
        )


def _entry(sketch: _Sketch, sketches: Mapping[str, _Sketch]) -> Iterator[tuple[Path, str]]:
    """Only where images come from another stage of this file is there a choice."""
    if not sketch.says_entry:
        return
    if sketch.elsewhere:
        yield sketch.path("entry"), "the stage is in another registry: the policy of the stack there says it"
    elif not any(other.promotes_to == sketch.name for other in sketches.values()):
        yield (
            sketch.path("entry"),
            f"no stage promotes into {sketch.name}, so that all is pushed: take it out",
        )


def _elsewhere(sketch: _Sketch) -> Iterator[tuple[Path, str]]:
    """What is in another account or Region is guarded by the stack there, and only that one leads on."""
    if not sketch.elsewhere:
        return
    for key in {"registry", "role"} - set(sketch.elsewhere):
        yield sketch.path(*sketch.elsewhere), f"goes with {key}: say both, or neither"
    if sketch.promotes_to is not None:
        yield sketch.path("promotes_to"), "the stage is in another registry: the stack there promotes from it"


def _overlap(sketch: _Sketch, sketches: Mapping[str, _Sketch]) -> Iterator[tuple[Path, str]]:
    """With the first stage before it that has a repository in common: one fault per stage is enough."""
    for other in sketches.values():
        if other is sketch or sketch.pattern is None:
            return
        is_one_registry = sketch.elsewhere.get("registry") == other.elsewhere.get("registry")
        if is_one_registry and other.pattern is not None and sketch.pattern.overlaps(other.pattern):
            example = _example(sketch.pattern, other.pattern)
            yield sketch.path("repositories"), f"{example!r} would belong to {other.name} too"
            return


def _example(one: RepositoryPattern, other: RepositoryPattern) -> str:
    """A repository that both patterns match."""
    fixed = next((pattern.text for pattern in (one, other) if APP not in pattern.text), None)
    if fixed is not None:
        return fixed
    (before, _, after), (others_before, _, others_after) = one.text.partition(APP), other.text.partition(APP)
    return max(before, others_before, key=len) + "app" + max(after, others_after, key=len)


def _cycles(sketches: Mapping[str, _Sketch]) -> Iterator[tuple[Path, str]]:
    seen: set[str] = set()
    for name in sketches:
        way = _way(name, sketches, seen)
        seen.update(way)
        following = sketches[way[-1]].promotes_to if way else None
        if following in way and following != way[-1]:
            cycle = way[way.index(following) :]
            yield sketches[cycle[0]].path("promotes_to"), f"a cycle: {' → '.join([*cycle, cycle[0]])}"


def _way(name: str, sketches: Mapping[str, _Sketch], seen: set[str]) -> list[str]:
    """The stages that an image passes from here on, until one that was looked at already."""
    way: list[str] = []
    at: str | None = name
    while at is not None and at in sketches and at not in seen and at not in way:
        way.append(at)
        at = sketches[at].promotes_to
    return way
