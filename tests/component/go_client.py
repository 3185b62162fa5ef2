"""The images that a client in Go pulls: skopeo, many in one process, from a registry on loopback that keeps any bytes.

For each image skopeo leaves a manifest and the blobs that it took for config and layers in a folder. Configs are read
back as Go understood them: skopeo writes the config anew when it converts images of Docker's kind.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagegate.oci.image import DOCKER_CONFIG, DOCKER_MANIFEST, Digest
from tests.component.disguised_documents import Pairs, Shelf
from tests.component.scripted_registry import Reply, Request, scripted

_REPOSITORY = "shop"


@dataclass(frozen=True)
class Pulled:
    manifest: Digest
    blobs: frozenset[Digest]  # of the config and the layers


@dataclass
class GoClient:
    """Serves what is tagged, and pulls it with skopeo. `work`: an empty folder."""

    work: Path
    port: int = 0
    shelf: Shelf = field(default_factory=Shelf)
    tags: dict[str, str] = field(default_factory=dict)
    calls: int = 0

    def serve(self, tag: str, shelf: Shelf, root: Digest) -> None:
        self.shelf.manifests.update(shelf.manifests)
        self.shelf.blobs.update(shelf.blobs)
        self.tags[tag] = str(root)

    def pull(self, tags: Iterable[str], platform: str) -> dict[str, Pulled]:
        """Return what is pulled of each tag for this platform; what skopeo refuses is left out."""
        os, architecture, *variant = platform.split("/")
        options = ["--override-os", os, "--override-arch", architecture]
        options += ["--override-variant", variant[0]] if variant else []
        return {tag: _pulled(folder) for tag, folder in self._sync(tags, options)}

    def configs(self, contents: Mapping[Digest, bytes]) -> dict[Digest, Any]:
        """Return how Go reads each of these configs; what it refuses is left out."""
        names = {f"config-{digest.hex}": digest for digest in contents}
        for tag, digest in names.items():
            shelf = Shelf()
            config = shelf.blob(contents[digest], DOCKER_CONFIG)
            manifest = Pairs.of(schemaVersion=2, mediaType=DOCKER_MANIFEST, config=config, layers=[])
            self.serve(tag, shelf, Digest.parse(shelf.push(manifest, DOCKER_MANIFEST).get("digest")))
        return {names[tag]: _config(folder) for tag, folder in self._sync(names, [], "--format", "oci")}

    def images(self, digests: Iterable[Digest]) -> set[Digest]:
        """Return those of these manifests that are images to it: it can make Docker's kind of them."""
        names = {f"image-{digest.hex}": digest for digest in digests}
        self.tags |= {tag: str(digest) for tag, digest in names.items()}
        return {names[tag] for tag, _ in self._sync(names, [], "--format", "v2s2")}

    def _sync(self, tags: Iterable[str], options: list[str], *more: str) -> Iterator[tuple[str, Path]]:
        wanted = list(tags)
        if not wanted:
            return
        self.calls += 1
        target, source = self.work / str(self.calls), self.work / f"{self.calls}.json"
        images = {_REPOSITORY: wanted}
        source.write_text(json.dumps({f"127.0.0.1:{self.port}": {"tls-verify": False, "images": images}}))
        command = [
            "skopeo",
            "--insecure-policy",
            *options,
            "sync",
            "--keep-going",
            "--src",
            "yaml",
            "--dest",
            "dir",
        ]
        target.mkdir()
        done = subprocess.run(
            [*command, *more, str(source), str(target)], capture_output=True, text=True, check=False
        )
        folders = {tag: target / f"{_REPOSITORY}:{tag}" for tag in wanted}
        if not any(folder.exists() for folder in folders.values()):
            raise RuntimeError(f"skopeo pulled nothing: {done.stderr[-2000:]}")
        for tag, folder in folders.items():
            if (folder / "manifest.json").exists():
                yield tag, folder

    def answer(self, request: Request) -> Reply:
        reference = request.path.rpartition("/")[2]
        digest = self.tags.get(reference, reference)
        if "/manifests/" in request.path and digest in self.shelf.manifests:
            content, media_type = self.shelf.manifests[digest]
            return Reply(200, content, {"Content-Type": media_type, "Docker-Content-Digest": digest})
        if "/blobs/" in request.path and digest in self.shelf.blobs:
            return Reply(200, self.shelf.blobs[digest], {"Docker-Content-Digest": digest})
        return Reply(200 if request.path == "/v2/" else 404)


def _pulled(folder: Path) -> Pulled:
    blobs = {file.name for file in folder.iterdir()} - {"manifest.json", "version"}
    manifest = Digest.of((folder / "manifest.json").read_bytes())
    return Pulled(manifest, frozenset(Digest.parse(f"sha256:{name}") for name in blobs))


def _config(folder: Path) -> Any:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return json.loads((folder / manifest["config"]["digest"].removeprefix("sha256:")).read_bytes())


@contextmanager
def go_client(work: Path) -> Iterator[GoClient]:
    client = GoClient(work)
    with scripted(client.answer) as script:
        client.port = script.port
        yield client
