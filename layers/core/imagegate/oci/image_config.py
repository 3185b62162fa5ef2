"""The config of an image: its user, labels, platform and layers.

Source: image-spec, config.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from imagegate.errors import AmbiguousDocumentError
from imagegate.oci.image import join_platform
from imagegate.strict_json import check_keys, known_keys, optional, read_object, texts

CONFIG_KEYS = known_keys(
    *("created", "author", "architecture", "os", "os.version", "os.features", "variant"),
    *("config", "rootfs", "history"),
)
CONTAINER_KEYS = known_keys(
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"),
    *("ArgsEscaped", "Memory", "MemorySwap", "CpuShares", "Healthcheck", "OnBuild", "Shell"),
)
_ROOTFS_KEYS = known_keys("type", "diff_ids")
_ROOT = "root"
# Runtimes read larger numbers as root or as names (CVE-2024-40635, CVE-2026-46680), and so signs and leading zeros.
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_LARGEST_ID = 2**31 - 1
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?")
# containerd/platforms, `Normalize`: other spellings of architectures, and variants that say nothing.
_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386"}
_PLAIN_VARIANTS = {("arm64", "v8"), ("arm64", "8"), ("amd64", "v1")}


class RunsAs(StrEnum):
    """The user with which an image starts, as far as its config says."""

    ROOT = "root"
    NAMED = "named"  # a name; the image's /etc/passwd decides whether it is root
    USER = "user"


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The parts of an image's config blob that rules use (image-spec, config.md)."""

    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""  # linux/arm64/v8
    diff_ids: tuple[str, ...] = ()  # of the uncompressed layers, the lowest first

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read a config. Raises `AmbiguousDocumentError` unless every client reads the same config."""
        raw = read_object(content, "the image config")
        config = cls.of(raw)
        rootfs = raw.get("rootfs")
        if not isinstance(rootfs, dict) or rootfs.get("type") != "layers":
            raise AmbiguousDocumentError("the image config's rootfs is not of the type 'layers'")
        return config

    @classmethod
    def of(cls, raw: Any) -> Self:
        """Read a config from decoded JSON of `docker image save` or a scanner. Raises `AmbiguousDocumentError`."""
        name = "the image config"
        check_keys(raw, CONFIG_KEYS, name)
        config = check_keys(optional(dict, raw, "config", name) or {}, CONTAINER_KEYS, name)
        rootfs = check_keys(optional(dict, raw, "rootfs", name) or {}, _ROOTFS_KEYS, name)
        diff_ids = optional(list, rootfs, "diff_ids", name) or []
        if not all(isinstance(diff_id, str) for diff_id in diff_ids):
            raise AmbiguousDocumentError("not every one of the image config's diff_ids is text")
        return cls(
            user=optional(str, config, "User", name) or "",
            labels=texts(config, "Labels", name),
            platform=_platform(raw, name),
            diff_ids=tuple(diff_ids),
        )

    def check_fits(self, layers: int, platform: str | None) -> None:
        """Raise `AmbiguousDocumentError` unless the config has so many layers and this platform.

        `platform`: the index's, or None if it has none. Runtimes choose by the index, scanners by the config.
        """
        if len(self.diff_ids) != layers:
            raise AmbiguousDocumentError(f"its config names {len(self.diff_ids)} layers, and it has {layers}")
        if platform and self.platform and not _is_same_platform(platform, self.platform):
            raise AmbiguousDocumentError(
                f"it is listed for {platform}, and its config is for {self.platform}"
            )

    @property
    def runs_as(self) -> RunsAs:
        """The kind of user. A number is a user, a name is unknown, anything else and no user at all may be root."""
        parts = self.user.split(":")
        if len(parts) > 2:
            return RunsAs.ROOT
        kinds = {_runs_as(part) for part in parts}
        return next(kind for kind in RunsAs if kind in kinds)

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """One id for each layer, which identifies it and all below it (image-spec, config.md, "Layer ChainID")."""
        chain: list[str] = []
        for diff_id in self.diff_ids:
            above = hashlib.sha256(f"{chain[-1]} {diff_id}".encode()).hexdigest() if chain else ""
            chain.append(f"sha256:{above}" if above else diff_id)
        return tuple(chain)

    def as_json(self) -> dict[str, Any]:
        return {
            "user": self.user,
            "labels": dict(self.labels),
            "platform": self.platform,
            "diffIds": list(self.diff_ids),
        }

    @classmethod
    def from_json(cls, raw: Any) -> Self:
        return cls(
            str(raw["user"]),
            {str(name): str(value) for name, value in raw["labels"].items()},
            str(raw["platform"]),
            tuple(map(str, raw["diffIds"])),
        )


def _platform(raw: dict[str, Any], name: str) -> str:
    """Return the platform, or "" if the config has none, as in images that are built from nothing."""
    os, architecture, variant = (optional(str, raw, key, name) for key in ("os", "architecture", "variant"))
    if bool(os) != bool(architecture):
        raise AmbiguousDocumentError(f"{name} has one of os and architecture, and needs both")
    text = join_platform((os, architecture, variant), name)
    return text if os else ""


def _runs_as(part: str) -> RunsAs:
    if _NUMBER.fullmatch(part) and int(part) <= _LARGEST_ID:
        return RunsAs.USER
    return RunsAs.NAMED if _NAME.fullmatch(part) and part != _ROOT else RunsAs.ROOT


def _is_same_platform(one: str, other: str) -> bool:
    """Compare two platforms. A variant that one of them lacks is ignored."""
    (os, architecture, variant), (other_os, other_architecture, other_variant) = map(
        _normalized, (one, other)
    )
    same_variant = variant == other_variant or not variant or not other_variant
    return (os, architecture) == (other_os, other_architecture) and same_variant


def _normalized(platform: str) -> tuple[str, str, str]:
    os, architecture, variant = (*platform.lower().split("/"), "", "")[:3]
    architecture = _ARCHITECTURES.get(architecture, architecture)
    return os, architecture, "" if (architecture, variant) in _PLAIN_VARIANTS else variant
