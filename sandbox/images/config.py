"""The config blob of an image, and the parts that an image takes over from its base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.images.layout_files import Descriptor, LayoutImage, add_blob, blob, digest_of, is_foreign, read

CREATED = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Below:
    """The parts that an image takes over from its base."""

    config: Mapping[str, Any] = field(default_factory=dict)
    diff_ids: Sequence[str] = ()
    history: Sequence[Mapping[str, Any]] = ()
    layers: Sequence[Descriptor] = ()


def inherit_from(folder: Path, base: LayoutImage | None) -> Below:
    """Copy the base's layers into `folder` and return what the image takes over."""
    if base is None:
        return Below()
    manifest = read(base.folder, base.digest)
    config = read(base.folder, manifest["config"]["digest"])
    for layer in manifest["layers"]:
        if not is_foreign(layer):
            add_blob(folder, blob(base.folder, layer["digest"]).read_bytes(), layer["mediaType"])
    return Below(config["config"], config["rootfs"]["diff_ids"], config["history"], manifest["layers"])


def image_config(
    archives: Sequence[bytes],
    platform: str,
    below: Below | None = None,
    labels: Mapping[str, str] | None = None,
    user: str | None = None,
) -> dict[str, Any]:
    below = below or Below()
    own = {"Labels": {**below.config.get("Labels", {}), **(labels or {})}, "Entrypoint": ["/app"]}
    history = [{"created": CREATED, "created_by": "imagegate sandbox"} for _ in archives]
    return platform_of(platform) | {
        "created": CREATED,
        "config": {**below.config, **own} | ({} if user is None else {"User": user}),
        "rootfs": {"type": "layers", "diff_ids": [*below.diff_ids, *map(digest_of, archives)]},
        "history": [*below.history, *history],
    }


def platform_of(text: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))
