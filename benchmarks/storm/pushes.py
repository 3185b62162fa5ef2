"""The pushes of a storm: single images, tags that move, second tags, repeated pushes, ways past the gate."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from sandbox.images.build import build_image
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from sandbox.scanner.findings import file_for
from sandbox.session import Session

POLICY = """\
version: 1
defaults:
  findings: {max: {critical: 0, high: 0}}
stages:
  dev: {repositories: "{app}-dev", promotes_to: production}
  production: {repositories: "{app}-production"}
"""
_BAD_ONES, _AT_ONCE = 0.2, 8
_FINDING = {"name": "CVE-2026-1", "severity": "CRITICAL"}


@dataclass(frozen=True)
class Push:
    """One push; `is_bad`: the gate has to block the image."""

    repository: str
    tag: str
    content: str
    is_bad: bool
    digest: str = ""
    at: float = field(default=0.0, compare=False)


def plan(count: int, seed: int) -> list[Push]:
    """Return so many pushes in random order."""
    random, pushes = Random(seed), list[Push]()  # noqa: S311 - no secret
    while len(pushes) < count:
        pushes += _kind(random, f"app{len(pushes)}")
    pushes = pushes[:count]
    random.shuffle(pushes)
    return pushes


def _kind(random: Random, app: str) -> Iterator[Push]:
    kind = random.choices(["single", "moves", "second", "again", "past"], [50, 8, 8, 6, 3])[0]
    bad = random.random() < _BAD_ONES
    first = Push(f"{app}-dev", "1.0", app, bad)
    if kind == "past":  # what others promote into takes no pushes
        yield replace(first, repository=f"{app}-production", is_bad=True)
        return
    yield first
    if kind == "moves":
        for version in range(random.randint(1, 3)):
            yield replace(first, content=f"{app} {version}", is_bad=random.random() < _BAD_ONES)
    if kind in ("second", "again"):
        yield replace(first, tag="latest" if kind == "second" else "1.0")


def push_all(pushes: list[Push], state: Path, session: Session) -> list[Push]:
    """Push all, some at once; return them with their digests and times."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda one: _push(one, state, session), [_built(one, state) for one in pushes]))


def _built(one: Push, state: Path) -> Push:
    image = build_image(_layout(one, state), files={"app.txt": one.content.encode()}, tag=one.tag)
    if one.is_bad and one.repository.endswith("-dev"):
        file = file_for(state, f"{one.repository}@{image.digest}")
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"imageScanFindings": {"findings": [_FINDING]}}))
    return replace(one, digest=image.digest)


def _layout(one: Push, state: Path) -> Path:
    return state / "storm" / f"{one.repository}-{one.content}-{one.tag}".replace(" ", "-")


def _push(one: Push, state: Path, session: Session) -> Push:
    reference = SandboxReference.parse(f"{one.repository}:{one.tag}")
    push(_layout(one, state), reference, session)
    return replace(one, at=time.time())
