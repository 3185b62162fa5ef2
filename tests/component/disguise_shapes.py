"""Real-looking images and indexes, each document of which a disguise may change before it is pushed."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from imagegate.oci.image import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Digest,
)
from tests.component.disguised_documents import Pairs, Shelf, bytes_of

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
IN_TOTO = "application/vnd.in-toto+json"
SOCI = "application/vnd.amazon.soci.index.v2+json"
PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7", "windows/amd64")
STATEMENT = b'{"_type": "https://in-toto.io/Statement/v0.1", "subject": []}'

# What a disguise makes of a document; the other one has the same shape, and says what must not run.
Change = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Disguise:
    """A root with all that it needs, as it is pushed."""

    shelf: Shelf
    root: Digest


@dataclass
class Maker:
    """Makes documents. `changes`: for each kind of document (config, image, index), the change of one of them."""

    chance: random.Random
    changes: dict[str, Change] = field(default_factory=dict)
    shelf: Shelf = field(default_factory=Shelf)
    docker: bool = False
    told: str | None = None  # what the registry says of the root
    number: int = 0

    def config(self, platform: str, layers: list[bytes], *, evil: bool = False) -> Pairs:
        os, architecture, *variant = platform.split("/")
        container = Pairs.of(
            User="0" if evil else "10001",
            Env=["PATH=/bin"],
            Entrypoint=["/evil" if evil else "/app"],
            Labels=Pairs.of(team="evil" if evil else "shop"),
        )
        return Pairs(
            [
                *Pairs.of(created="2026-11-01T00:00:00Z", architecture=architecture, os=os),
                *([("variant", variant[0])] if variant else []),
                ("config", container),
                ("rootfs", Pairs.of(type="layers", diff_ids=[str(Digest.of(layer)) for layer in layers])),
                ("history", [Pairs.of(created_by=f"COPY {number}") for number, _ in enumerate(layers)]),
            ]
        )

    def image(self, platform: str, *, evil: bool = False) -> Pairs:
        """Return the manifest of a new image, not pushed yet."""
        self.number += 1
        what = f"{'evil' if evil else 'good'} {self.number} {platform}"
        layers = [f"{what} layer {number}".encode() for number in range(self.chance.randint(1, 2))]
        config = self.config(platform, layers, evil=evil)
        if not evil:
            config = self._changed("config", config, lambda: self.config(platform, layers, evil=True))
        layer_type = DOCKER_LAYER if self.docker else LAYER
        return Pairs.of(
            schemaVersion=2,
            mediaType=self.manifest_type,
            config=self.shelf.blob(bytes_of(config), DOCKER_CONFIG if self.docker else OCI_CONFIG),
            layers=[self.shelf.blob(gzip.compress(layer, 1, mtime=0), layer_type) for layer in layers],
        )

    def child(self, platform: str, *, evil: bool = False, **more: Any) -> Pairs:
        """Return the entry of an image that is pushed."""
        manifest = self.image(platform, evil=evil)
        if not evil:
            manifest = self._changed("image", manifest, lambda: self.image(platform, evil=True))
        entry = self.shelf.push(manifest, self.manifest_type)
        return Pairs([*entry, ("platform", platform_of(platform)), *more.items()])

    def attestation(self, about: Pairs, *, new: bool = True) -> Pairs:
        """Return the entry of what buildx makes, in one of its two forms."""
        statement = self.shelf.blob(STATEMENT, IN_TOTO)
        nothing = Pairs.of(architecture="unknown", os="unknown", config=Pairs())
        old = nothing.put("rootfs", Pairs.of(type="layers", diff_ids=[statement.get("digest")]))
        config = self.shelf.blob(*((b"{}", OCI_EMPTY) if new else (bytes_of(old), OCI_CONFIG)))
        manifest = Pairs.of(schemaVersion=2, mediaType=OCI_MANIFEST, config=config, layers=[statement])
        if new:
            manifest = manifest.put("artifactType", "application/vnd.docker.attestation.manifest.v1+json")
            manifest = manifest.put("subject", Pairs(about[:3]))
        annotations = Pairs(
            [
                ("vnd.docker.reference.digest", about.get("digest")),
                ("vnd.docker.reference.type", "attestation-manifest"),
            ]
        )
        entry = self.shelf.push(manifest, OCI_MANIFEST)
        return Pairs([*entry, ("platform", platform_of("unknown/unknown")), ("annotations", annotations)])

    def soci(self, about: Pairs) -> Pairs:
        layers = [self.shelf.blob(b"ztoc", "application/octet-stream")]
        config = self.shelf.blob(b"{}", SOCI)
        manifest = Pairs.of(
            schemaVersion=2, mediaType=OCI_MANIFEST, artifactType=SOCI, config=config, layers=layers
        )
        annotations = Pairs([("com.amazon.soci.image-manifest-digest", about.get("digest"))])
        entry = self.shelf.push(manifest, OCI_MANIFEST).put("artifactType", SOCI)
        return Pairs([*entry, ("platform", about.get("platform")), ("annotations", annotations)])

    def index(self, children: list[Pairs], **more: Any) -> Pairs:
        return Pairs.of(schemaVersion=2, mediaType=self.index_type, manifests=children, **more)

    def children(self, *, evil: bool = False) -> list[Pairs]:
        platforms = self.chance.sample(PLATFORMS, self.chance.randint(1, 3))
        return [self.child(platform, evil=evil) for platform in platforms]

    def finish(self, root: Any, media_type: str | None = None) -> Disguise:
        entry = self.shelf.push(root, media_type or self.manifest_type, self.told)
        return Disguise(self.shelf, Digest.parse(entry.get("digest")))

    def whole(self) -> Disguise:
        """Make one image or one index, as people build them, with the changes."""
        if not self.chance.randrange(3) and "index" not in self.changes:
            platform = self.chance.choice(PLATFORMS)
            image = self.image(platform)
            return self.finish(self._changed("image", image, lambda: self.image(platform, evil=True)))
        children = self.children()
        if self.chance.randrange(2) and not self.docker:
            children.append(self.attestation(children[0], new=bool(self.chance.randrange(2))))
        others = [had.get("platform") for had in children]
        index = self._changed("index", self.index(children), lambda: self.index(self._evil(others)))
        return self.finish(index, self.index_type)

    def _evil(self, platforms: list[Any]) -> list[Pairs]:
        """Return entries for the same platforms that must not run."""
        return [self.child("linux/amd64", evil=True).put("platform", platform) for platform in platforms]

    def _changed(self, what: str, document: Any, other: Callable[[], Any]) -> Any:
        change = self.changes.pop(what, None)
        return change(document, other()) if change else document

    @property
    def manifest_type(self) -> str:
        return DOCKER_MANIFEST if self.docker else OCI_MANIFEST

    @property
    def index_type(self) -> str:
        return DOCKER_LIST if self.docker else OCI_INDEX


def platform_of(text: str) -> Pairs:
    os, architecture, *variant = text.split("/")
    return Pairs(
        [("architecture", architecture), ("os", os), *([("variant", variant[0])] if variant else [])]
    )
