"""A count of documents that a client in Go reads differently from the gate: it must be zero.

`python -m benchmarks.disguises --count 20000 --seed 1 --json FILE` changes realistic indexes, manifests and configs in
many ways, and writes one object: tried, refused (by the gate), agreed, disagreed, by_kind (how many of each), pulled
(how often skopeo pulled something), seconds, told (the disagreements, with their documents in base64). The two agree
if, for every platform, the image that skopeo pulls is one that the gate judges, with the same layers and the same
config, or evidence that is no image to skopeo either, or if skopeo refuses. Without skopeo the program says so and ends
with 2.
"""

from __future__ import annotations

import argparse
import base64
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.output import write_result
from imagegate.errors import RejectedInputError
from imagegate.oci.image import Digest
from imagegate.oci.image_config import ImageConfig
from tests.component.disguise_shapes import PLATFORMS, Disguise
from tests.component.disguises import KINDS, disguise
from tests.component.gate_reading import GateReading, read
from tests.component.go_client import Pulled, go_client

_TOLD = 20
_AT_ONCE = 250


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Read disguised images as the gate and as skopeo does.")
    parser.add_argument("--count", type=int, default=1_000, help="how many (default: 1,000)")
    parser.add_argument("--seed", type=int, default=1, help="other disguises for another one (default: 1)")
    parser.add_argument("--json", type=Path, help="write the result there; default: print it")
    parser.add_argument("--workers", type=int, default=2, help="how many processes (default: 2)")
    arguments = parser.parse_args(argv)
    if arguments.count < 1 or arguments.workers < 1:
        parser.error("--count and --workers must be 1 or more")
    if shutil.which("skopeo") is None:
        print("the judge is skopeo, and it is not installed: apt-get install skopeo", file=sys.stderr)
        return 2
    result = run(arguments.count, arguments.seed, arguments.workers)
    write_result(result, arguments.json)
    return 1 if result["disagreed"] else 0


@dataclass
class Tally:
    refused: int = 0
    agreed: int = 0
    pulled: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    told: list[dict[str, Any]] = field(default_factory=list)
    disagreed: int = 0

    def add(self, other: Tally) -> None:
        self.refused += other.refused
        self.agreed += other.agreed
        self.pulled += other.pulled
        self.disagreed += other.disagreed
        self.kinds += other.kinds
        self.told += other.told


def run(count: int, seed: int, workers: int) -> dict[str, Any]:
    total, began = Tally(), time.perf_counter()
    parts = [range(first, min(first + _AT_ONCE, count)) for first in range(0, count, _AT_ONCE)]
    with ProcessPoolExecutor(workers) as pool:
        for part in pool.map(partial(_judge, seed), parts):
            total.add(part)
    return {
        "tried": count,
        "refused": total.refused,
        "agreed": total.agreed,
        "disagreed": total.disagreed,
        "by_kind": dict(sorted(total.kinds.items())),
        "pulled": total.pulled,
        "seconds": round(time.perf_counter() - began, 2),
        "told": total.told[:_TOLD],
    }


@dataclass(frozen=True)
class _Accepted:
    """A disguise that the gate judges."""

    kind: str
    number: int
    made: Disguise
    reading: GateReading


def _judge(seed: int, numbers: range) -> Tally:
    tally = Tally()
    accepted = {f"n{one.number}": one for one in _accepted_disguises(seed, numbers, tally)}
    with tempfile.TemporaryDirectory(prefix="disguises-") as work, go_client(Path(work)) as client:
        for tag, one in accepted.items():
            client.serve(tag, one.made.shelf, one.made.root)
        indexes = [tag for tag, one in accepted.items() if one.reading.is_index]
        pulls = {platform: client.pull(indexes, platform) for platform in PLATFORMS[1:]}
        pulls[PLATFORMS[0]] = client.pull(accepted, PLATFORMS[0])  # an image is the same for every platform
        configs = client.configs(_configs(list(accepted.values())))
        got = {pulled.manifest for found in pulls.values() for pulled in found.values()}
        claimed = {digest for one in accepted.values() for digest in one.reading.evidence}
        runs = client.images(got & claimed)
    for tag, one in accepted.items():
        found = {platform: pulled[tag] for platform, pulled in pulls.items() if tag in pulled}
        tally.pulled += len(found)
        problems = [*_problems(one.reading, found, runs), *_config_problems(one, configs)]
        if problems:
            tally.disagreed += 1
            tally.told.append(_describe_disagreement(seed, one, problems))
        else:
            tally.agreed += 1
    return tally


def _accepted_disguises(seed: int, numbers: range, tally: Tally) -> Iterator[_Accepted]:
    for number in numbers:
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - the same disguises for the same seed
        kind = chance.choice(KINDS)
        tally.kinds[kind] += 1
        made = disguise(kind, chance)
        try:
            yield _Accepted(kind, number, made, read(made.shelf, made.root))
        except RejectedInputError:
            tally.refused += 1


def _configs(accepted: list[_Accepted]) -> dict[Digest, bytes]:
    return {
        judged.manifest.config.digest: one.made.shelf.blobs[str(judged.manifest.config.digest)]
        for one in accepted
        for judged in one.reading.judged.values()
        if judged.manifest.config
    }


def _problems(reading: GateReading, found: dict[str, Pulled], runs: set[Digest]) -> Iterator[str]:
    """Yield the differences. `runs`: the digests that the gate takes for evidence, and skopeo for an image."""
    for platform, pulled in found.items():
        judged = reading.judged.get(pulled.manifest)
        if judged and pulled.blobs != {blob.digest for blob in judged.manifest.blobs}:
            yield f"{platform}: skopeo reads other blobs in {pulled.manifest}"
        elif not judged and (pulled.manifest not in reading.evidence or pulled.manifest in runs):
            yield f"{platform}: skopeo pulls {pulled.manifest}, which is not judged"


def _config_problems(one: _Accepted, configs: dict[Digest, Any]) -> Iterator[str]:
    for digest, judged in one.reading.judged.items():
        config = judged.manifest.config
        if config and config.digest in configs:
            theirs, ours = _as_go_says(configs[config.digest]), _as_we_say(judged.config)
            if theirs != ours:
                yield f"the config of {digest} is {theirs} to skopeo, and {ours} to the gate"


def _as_go_says(config: Any) -> dict[str, Any]:
    container = config.get("config") or {}
    return {
        "user": container.get("User", ""),
        "labels": container.get("Labels") or {},
        "platform": f"{config['os']}/{config['architecture']}".strip("/"),
        "layers": list(config["rootfs"]["diff_ids"] or []),
    }


def _as_we_say(config: ImageConfig) -> dict[str, Any]:
    platform = "/".join(config.platform.split("/")[:2])
    return {
        "user": config.user,
        "labels": dict(config.labels),
        "platform": platform,
        "layers": list(config.diff_ids),
    }


def _describe_disagreement(seed: int, one: _Accepted, problems: list[str]) -> dict[str, Any]:
    shelf = one.made.shelf
    documents = {
        digest: base64.b64encode(content).decode() for digest, (content, _) in shelf.manifests.items()
    }
    return {
        "kind": one.kind,
        "seed": f"{seed}/{one.number}",
        "root": str(one.made.root),
        "problems": problems,
        "documents": documents,
        "types": {digest: media_type for digest, (_, media_type) in shelf.manifests.items()},
        "configs": {
            str(digest): base64.b64encode(content).decode() for digest, content in _configs([one]).items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
