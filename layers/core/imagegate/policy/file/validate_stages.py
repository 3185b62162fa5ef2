"""Faults between the stages of a policy file: their names, overlapping repositories, and where their images go.

It reads the plain data, so that it finds faults also in a file that has others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imagegate.errors import RejectedInputError
from imagegate.oci.image import repository_name
from imagegate.policy.file.yaml import Path, PathFault, did_you_mean
from imagegate.policy.policy import APP, RepositoryPattern

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True)
class _StageKeys:
    """The keys of one stage that are checked here, as far as they can be read."""

    name: str
    pattern: RepositoryPattern | None
    promotes_to: str | None
    has_entry: bool
    remote: Mapping[str, object]  # those of registry and role that are given

    @property
    def has_app(self) -> bool:
        return self.pattern is not None and APP in self.pattern.text

    def path(self, *keys: str) -> Path:
        return ("stages", self.name, *keys)


_Stages = Mapping[str, _StageKeys]


def stage_faults(stages: object, prefix: str) -> Iterator[PathFault]:
    """Yield every fault between the stages, with its path in the file. `prefix`: of every guarded repository."""
    by_name = {name: _read(name, raw) for name, raw in stages.items()} if isinstance(stages, dict) else {}
    for stage in by_name.values():
        yield from _name(stage)
        yield from _pattern(stage, prefix)
        yield from _target(stage, by_name)
        yield from _entry(stage, by_name)
        yield from _remote(stage)
        yield from _overlap(stage, by_name)
    yield from _cycles(by_name)


def _read(name: str, stage: object) -> _StageKeys:
    raw = stage if isinstance(stage, dict) else {}
    text, target = raw.get("repositories"), raw.get("promotes_to")
    return _StageKeys(
        name=name,
        pattern=RepositoryPattern(text) if isinstance(text, str) else None,
        promotes_to=target if isinstance(target, str) else None,
        has_entry=raw.get("entry") is not None,
        remote={key: raw[key] for key in ("registry", "role") if raw.get(key) is not None},
    )


def _name(stage: _StageKeys) -> Iterator[PathFault]:
    if not _STAGE_NAME.fullmatch(stage.name):
        message = "a stage's name is a lower-case letter, then at most 30 letters, digits and hyphens"
        yield stage.path(), message


def _pattern(stage: _StageKeys, prefix: str) -> Iterator[PathFault]:
    if stage.pattern is None:
        return
    text, path = stage.pattern.text, stage.path("repositories")
    if text.count(APP) > 1:
        yield path, f"{APP} may occur only once"
    elif not _is_legal(stage.pattern):
        yield path, f"no ECR repository can be called {text!r}: lower case, digits and . _ - / between them"
    elif not text.startswith(prefix) and not stage.remote:
        yield path, f"must begin with {prefix!r}, to which this stack is limited: {prefix + text!r}?"


def _is_legal(pattern: RepositoryPattern) -> bool:
    try:
        repository_name(pattern.repository_of("a"))
    except RejectedInputError:
        return False
    return True


def _target(stage: _StageKeys, stages: _Stages) -> Iterator[PathFault]:
    if stage.promotes_to is None:
        return
    path, target = stage.path("promotes_to"), stages.get(stage.promotes_to)
    if target is None:
        yield path, f"there is no stage {stage.promotes_to!r}" + did_you_mean(stage.promotes_to, stages)
    elif target is stage:
        yield path, "a stage cannot promote to itself"
    elif stage.pattern and target.pattern and stage.has_app != target.has_app:
        names = f"both {stage.name} and {target.name}"
        yield path, f"{APP} must be in the repositories of {names}, or of neither"


def _entry(stage: _StageKeys, stages: _Stages) -> Iterator[PathFault]:
    """Check that `entry` is given only where another stage of this file promotes into the stage."""
    if not stage.has_entry:
        return
    path = stage.path("entry")
    if stage.remote:
        yield path, "the stage is in another registry: the policy of the stack there says it"
    elif not any(other.promotes_to == stage.name for other in stages.values()):
        yield path, f"no stage promotes into {stage.name}, so that all is pushed: take it out"


def _remote(stage: _StageKeys) -> Iterator[PathFault]:
    """Check a stage of another account or Region: the stack there guards it, and promotes from it."""
    if not stage.remote:
        return
    for key in {"registry", "role"} - set(stage.remote):
        yield stage.path(*stage.remote), f"goes with {key}: say both, or neither"
    if stage.promotes_to is not None:
        yield stage.path("promotes_to"), "the stage is in another registry: the stack there promotes from it"


def _overlap(stage: _StageKeys, stages: _Stages) -> Iterator[PathFault]:
    """Check for the first stage before this one that has a repository in common: one fault per stage is enough."""
    for other in stages.values():
        if other is stage or stage.pattern is None:
            return
        is_one_registry = stage.remote.get("registry") == other.remote.get("registry")
        if is_one_registry and other.pattern is not None and stage.pattern.overlaps(other.pattern):
            example = _common_repository(stage.pattern, other.pattern)
            yield stage.path("repositories"), f"{example!r} would belong to {other.name} too"
            return


def _common_repository(one: RepositoryPattern, other: RepositoryPattern) -> str:
    """Return the name of a repository that both patterns match."""
    fixed = next((pattern.text for pattern in (one, other) if APP not in pattern.text), None)
    if fixed is not None:
        return fixed
    (before, _, after), (others_before, _, others_after) = one.text.partition(APP), other.text.partition(APP)
    return max(before, others_before, key=len) + "app" + max(after, others_after, key=len)


def _cycles(stages: _Stages) -> Iterator[PathFault]:
    visited: set[str] = set()
    for name in stages:
        route = _route(name, stages, visited)
        visited.update(route)
        following = stages[route[-1]].promotes_to if route else None
        if following in route and following != route[-1]:
            cycle = route[route.index(following) :]
            yield stages[cycle[0]].path("promotes_to"), f"a cycle: {' → '.join([*cycle, cycle[0]])}"


def _route(name: str, stages: _Stages, visited: set[str]) -> list[str]:
    """Return the stages that an image passes from this one on, up to the first that was visited already."""
    route: list[str] = []
    at: str | None = name
    while at is not None and at in stages and at not in visited and at not in route:
        route.append(at)
        at = stages[at].promotes_to
    return route
