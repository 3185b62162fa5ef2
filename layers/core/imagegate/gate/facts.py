"""The facts about an image, apart from its findings. An unknown fact is None; a rule that needs it does not pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from imagegate.canonical_json import parse_timestamp, timestamp
from imagegate.oci.image import Digest, ImageRef
from imagegate.oci.image_config import ImageConfig


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A released image that other images are built on: its layers are their lowest layers."""

    image: ImageRef
    stage: str
    chain_id: str
    layers: int  # their number
    released_at: datetime
    decision: Digest
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.image.short_name(self.tags)

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
        """Read the output of `as_json`.

        Raises `KeyError`, `TypeError`, `ValueError` or `RejectedInputError` for anything else.
        """
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
    """The attached evidence of one kind. `problem`: why there is none; empty if there is some."""

    found: tuple[str, ...] = ()  # stages that signed; builder ids
    problem: str = ""
    is_by_ledger: bool = False  # no rule asked for it: the ledger has it, and nobody has verified a signature

    def as_json(self) -> dict[str, Any]:
        by_ledger = {"byLedger": True} if self.is_by_ledger else {}
        return {"found": list(self.found), "problem": self.problem, **by_ledger}

    @classmethod
    def from_json(cls, raw: Any) -> Evidence:
        return cls(tuple(map(str, raw["found"])), str(raw["problem"]), raw.get("byLedger") is True)


class CameBy(StrEnum):
    """The way in which an image came into its repository, as the ledger proves it."""

    PROMOTION = "promotion"  # the gate of an earlier stage let it go on
    ADOPTION = "adoption"  # it was in the repository before the installation
    PUSH = "push"  # nothing else is proven


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """The facts about one image that can run: an image manifest, or one platform of an index."""

    digest: Digest
    platform: str | None = None
    size: int | None = None  # bytes of its layers and config, compressed
    config: ImageConfig | None = None
    base: BaseImage | None = None  # the one with the most layers
    base_is_known: bool = False  # it was looked up; without `base`, it is built on no image of this registry
    claimed_base: str = ""  # the label org.opencontainers.image.base.*, which the builder wrote
    base_layers: frozenset[str] = frozenset()  # digests of the layers that came with the base
    unread_layers: tuple[str, ...] = ()  # media types of layers that no scanner reads

    def as_json(self) -> dict[str, Any]:
        """Return the facts for a record. An empty `unreadLayers`, which older records do not have, is left out."""
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
    """The facts about one image, with each of its platforms."""

    image: ImageRef
    tags: frozenset[str] = frozenset()
    first_pushed_at: datetime | None = None  # into the first stage
    platforms: tuple[PlatformFacts, ...] = ()
    signature: Evidence | None = None  # None: it was not looked up
    provenance: Evidence | None = None
    came_by: CameBy | None = None  # None: it is in no repository, or the record is older than this field
    ambiguous: str = ""  # why it cannot be judged: clients could read it in another way, or run other content

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
        """Read the output of `as_json`. Raises the errors that `BaseImage.from_json` raises."""
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
