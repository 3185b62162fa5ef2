"""What is known of an image beside its findings. None: nobody could find out, and no rule that asks for it passes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from imagegate.domain.canonical import parse_timestamp, timestamp
from imagegate.domain.errors import AmbiguousDocumentError
from imagegate.domain.image import Digest, ImageRef
from imagegate.domain.strict_json import check_keys, known_keys, optional, read_object, texts

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
# Larger numbers wrap to root or are read as names (CVE-2024-40635, CVE-2026-46680); so do signs and leading zeros.
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_LARGEST_ID = 2**31 - 1
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?")
# containerd/platforms, `Normalize`: other spellings of architectures, and variants that say nothing.
_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386"}
_PLAIN_VARIANTS = {("arm64", "v8"), ("arm64", "8"), ("amd64", "v1")}


class RunsAs(StrEnum):
    """Which user an image starts as, as far as its config tells."""

    ROOT = "root"
    NAMED = "named"  # by a name, and the image's own /etc/passwd says whether that is root
    USER = "user"


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The parts of an image's config blob that rules are about (image-spec, config.md)."""

    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""  # linux/arm64/v8
    diff_ids: tuple[str, ...] = ()  # of the uncompressed layers, the lowest first

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Raise `AmbiguousDocumentError` unless the bytes are one image config to every client."""
        raw = read_object(content, "the image config")
        read = cls.of(raw)
        rootfs = raw.get("rootfs")
        if not isinstance(rootfs, dict) or rootfs.get("type") != "layers":
            raise AmbiguousDocumentError("the image config's rootfs is not of the type 'layers'")
        return read

    @classmethod
    def of(cls, raw: Any) -> Self:
        """Read the config as data, as `docker image save` and scanners have it. Raises `AmbiguousDocumentError`."""
        what = "the image config"
        check_keys(raw, CONFIG_KEYS, what)
        config = check_keys(optional(dict, raw, "config", what) or {}, CONTAINER_KEYS, what)
        rootfs = check_keys(optional(dict, raw, "rootfs", what) or {}, _ROOTFS_KEYS, what)
        diff_ids = optional(list, rootfs, "diff_ids", what) or []
        if not all(isinstance(diff_id, str) for diff_id in diff_ids):
            raise AmbiguousDocumentError("not every one of the image config's diff_ids is text")
        parts = [optional(str, raw, key, what) for key in ("os", "architecture", "variant")]
        return cls(
            user=optional(str, config, "User", what) or "",
            labels=texts(config, "Labels", what),
            platform="/".join(part for part in parts if part),
            diff_ids=tuple(diff_ids),
        )

    def check_fits(self, layers: int, platform: str | None) -> None:
        """Raise `AmbiguousDocumentError` unless it is the config of so many layers, built for this platform.

        `platform`: as the index says; None: it says nothing. Runtimes choose by the index, scanners by the config.
        """
        if len(self.diff_ids) != layers:
            raise AmbiguousDocumentError(f"its config names {len(self.diff_ids)} layers, and it has {layers}")
        if platform and self.platform and not _is_same_platform(platform, self.platform):
            raise AmbiguousDocumentError(
                f"it is listed for {platform}, and its config is for {self.platform}"
            )

    @property
    def runs_as(self) -> RunsAs:
        """Numbers are users, names nobody knows, everything else may be root. No user at all is root."""
        parts = self.user.split(":")
        if len(parts) > 2:
            return RunsAs.ROOT
        kinds = {_runs_as(part) for part in parts}
        return next(kind for kind in RunsAs if kind in kinds)

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """One for each layer: names it and all below it (image-spec, config.md, "Layer ChainID")."""
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


def _runs_as(part: str) -> RunsAs:
    if _NUMBER.fullmatch(part) and int(part) <= _LARGEST_ID:
        return RunsAs.USER
    return RunsAs.NAMED if _NAME.fullmatch(part) and part != _ROOT else RunsAs.ROOT


def _is_same_platform(one: str, other: str) -> bool:
    """A variant that one of them leaves out says nothing."""
    (os, architecture, variant), (other_os, other_architecture, other_variant) = map(
        _normalized, (one, other)
    )
    same_variant = variant == other_variant or not variant or not other_variant
    return (os, architecture) == (other_os, other_architecture) and same_variant


def _normalized(platform: str) -> tuple[str, str, str]:
    os, architecture, variant = (*platform.lower().split("/"), "", "")[:3]
    architecture = _ARCHITECTURES.get(architecture, architecture)
    return os, architecture, "" if (architecture, variant) in _PLAIN_VARIANTS else variant


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A released image that others are built upon: its layers are their lowest ones."""

    image: ImageRef
    stage: str
    chain_id: str
    layers: int  # how many
    released_at: datetime
    decision: Digest
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        tag = f":{self.tags[0]}" if self.tags else f"@{self.image.digest.short}"
        return self.image.repository + tag

    def as_json(self) -> dict[str, Any]:
        return {
            "repository": self.image.repository,
            "digest": str(self.image.digest),
            "stage": self.stage,
            "chainId": self.chain_id,
            "layers": self.layers,
            "releasedAt": timestamp(self.released_at),
            "decision": str(self.decision),
            "tags": list(self.tags),
        }

    @classmethod
    def from_json(cls, raw: Any) -> BaseImage:
        """Raise `KeyError`, `TypeError`, `ValueError` or `RejectedInputError` for what `as_json` did not write."""
        return cls(
            image=ImageRef.of(raw["repository"], raw["digest"]),
            stage=str(raw["stage"]),
            chain_id=str(raw["chainId"]),
            layers=int(raw["layers"]),
            released_at=parse_timestamp(raw["releasedAt"]),
            decision=Digest.parse(raw["decision"]),
            tags=tuple(map(str, raw["tags"])),
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found attached, or why it was not: `problem` is empty where it was."""

    found: tuple[str, ...] = ()  # stages that signed; builder ids
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"found": list(self.found), "problem": self.problem}

    @classmethod
    def from_json(cls, raw: Any) -> Evidence:
        return cls(tuple(map(str, raw["found"])), str(raw["problem"]))


class CameBy(StrEnum):
    """How an image came into its repository, as the ledger proves it."""

    PROMOTION = "promotion"  # a gate before let it go on
    ADOPTION = "adoption"  # it was there before the installation
    PUSH = "push"  # nothing proves more


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """One image that runs."""

    digest: Digest
    platform: str | None = None
    size: int | None = None  # bytes of its layers and config, compressed
    config: ImageConfig | None = None
    base: BaseImage | None = None  # the one with the most layers
    base_is_known: bool = False  # somebody looked; without a base there is none among the managed ones
    claimed_base: str = ""  # org.opencontainers.image.base.*: what the builder says
    base_layers: frozenset[str] = frozenset()  # digests of the layers that came with the base
    unread_layers: tuple[str, ...] = ()  # media types of layers that no scanner reads

    def as_json(self) -> dict[str, Any]:
        """What an image does not have is left out where records of before did not know it."""
        unread = {"unreadLayers": list(self.unread_layers)} if self.unread_layers else {}
        return unread | {
            "digest": str(self.digest),
            "platform": self.platform,
            "size": self.size,
            "config": self.config.as_json() if self.config else None,
            "base": self.base.as_json() if self.base else None,
            "baseIsKnown": self.base_is_known,
            "claimedBase": self.claimed_base,
            "baseLayers": sorted(self.base_layers),
        }

    @classmethod
    def from_json(cls, raw: Any) -> PlatformFacts:
        return cls(
            digest=Digest.parse(raw["digest"]),
            platform=raw["platform"],
            size=raw["size"],
            config=ImageConfig.from_json(raw["config"]) if raw["config"] else None,
            base=BaseImage.from_json(raw["base"]) if raw["base"] else None,
            base_is_known=bool(raw["baseIsKnown"]),
            claimed_base=str(raw["claimedBase"]),
            base_layers=frozenset(map(str, raw["baseLayers"])),
            unread_layers=tuple(map(str, raw.get("unreadLayers", ()))),
        )


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One image, with each of its platforms."""

    image: ImageRef
    tags: frozenset[str] = frozenset()
    first_pushed_at: datetime | None = None  # into the first stage
    platforms: tuple[PlatformFacts, ...] = ()
    signature: Evidence | None = None  # None: nobody looked
    provenance: Evidence | None = None
    came_by: CameBy | None = None  # None: it is in no repository, or was judged before this was kept
    ambiguous: str = ""  # why it cannot be judged: clients could read it otherwise, or run what is not judged

    def of(self, digest: Digest) -> PlatformFacts | None:
        return next((facts for facts in self.platforms if facts.digest == digest), None)

    def as_json(self) -> dict[str, Any]:
        ambiguous = {"ambiguous": self.ambiguous} if self.ambiguous else {}
        return ambiguous | {
            "repository": self.image.repository,
            "digest": str(self.image.digest),
            "tags": sorted(self.tags),
            "firstPushedAt": timestamp(self.first_pushed_at) if self.first_pushed_at else None,
            "platforms": [facts.as_json() for facts in self.platforms],
            "signature": self.signature.as_json() if self.signature else None,
            "provenance": self.provenance.as_json() if self.provenance else None,
            **({"cameBy": str(self.came_by)} if self.came_by else {}),
        }

    @classmethod
    def from_json(cls, raw: Any) -> ImageFacts:
        """Raises as `BaseImage.from_json` does."""
        return cls(
            image=ImageRef.of(raw["repository"], raw["digest"]),
            tags=frozenset(map(str, raw["tags"])),
            first_pushed_at=parse_timestamp(raw["firstPushedAt"]) if raw["firstPushedAt"] else None,
            platforms=tuple(PlatformFacts.from_json(facts) for facts in raw["platforms"]),
            signature=Evidence.from_json(raw["signature"]) if raw["signature"] else None,
            provenance=Evidence.from_json(raw["provenance"]) if raw["provenance"] else None,
            came_by=CameBy(raw["cameBy"]) if "cameBy" in raw else None,
            ambiguous=str(raw.get("ambiguous", "")),
        )
