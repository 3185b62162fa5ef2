"""Images in the ledger: pushers, reasons why an image was ignored, claims on tags, base images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from imagegate.aws.dynamodb import DynamoTable, Item, key
from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import image_of, moment, reading, text, text_set
from imagegate.canonical_json import parse_timestamp
from imagegate.gate.facts import BaseImage
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Arrival
from imagegate.release.start import IgnoredImage

# Far longer than the reconciler looks back, so that people can ask why.
_IGNORED_LIFE = timedelta(days=30)


class DynamoImages:
    """Images that no release was begun for, and who pushed images."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def note_ignored(self, ignored: IgnoredImage) -> None:
        self._table.put(_write_ignored(ignored))

    def ignored(self, image: ImageRef) -> IgnoredImage | None:
        item = self._table.get(keys.ignored(image))
        return None if item is None else _read_ignored(item)

    def ignored_among(self, images: Sequence[ImageRef]) -> dict[ImageRef, IgnoredImage]:
        items = self._table.read_all([keys.ignored(image) for image in images])
        return {one.image: one for one in map(_read_ignored, items)}

    def note_pusher(self, image: ImageRef, arn: str) -> None:
        self._table.put(key(keys.pushers(image), arn))

    def pushers(self, image: ImageRef) -> tuple[str, ...]:
        return tuple(item["sk"] for item in self._table.partition(keys.pushers(image)))


class DynamoTagClaims:
    """One item per tag of the next stage."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def claim_tag(self, repository: str, tag: str, digest: Digest, pushed_at: datetime) -> bool:
        claim = {**keys.tag_claim(repository, tag), "digest": str(digest), "pushedAt": moment(pushed_at)}
        is_free = "attribute_not_exists(pk) OR pushedAt <= :ours"
        if self._table.put(claim, is_free, {":ours": claim["pushedAt"]}):
            return True
        # The same image may have been pushed again since; that claim is also valid for this push.
        return self.holder(repository, tag) == digest

    def holder(self, repository: str, tag: str) -> Digest | None:
        item = self._table.get(keys.tag_claim(repository, tag))
        if item is None:
            return None
        with reading(item):
            return Digest.parse(text(item, "digest"))


class DynamoBaseImages:
    """One item per chain of layers and stage, and one per repository for the latest."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def note_base(self, base: BaseImage) -> None:
        content = {"releasedAt": moment(base.released_at), "base": json.dumps(base.as_json())}
        self._table.put({**keys.base(base.chain_id, base.stage), **content})
        newer = "attribute_not_exists(pk) OR releasedAt <= :ours"
        latest = {**keys.latest_base(base.image.repository), **content}
        self._table.put(latest, newer, {":ours": content["releasedAt"]})

    def bases(self, chain_ids: Sequence[str], stages: Iterable[str]) -> list[BaseImage]:
        wanted = [keys.base(chain_id, stage) for chain_id in chain_ids for stage in sorted(stages)]
        return [_read_base(item) for item in self._table.read_all(wanted)]

    def latest_base(self, repository: str) -> BaseImage | None:
        item = self._table.get(keys.latest_base(repository))
        return None if item is None else _read_base(item)


def _write_ignored(ignored: IgnoredImage) -> Item:
    return {
        **keys.ignored(ignored.image),
        "why": ignored.why,
        "at": moment(ignored.at),
        "tags": ignored.tags,
        "arrival": str(ignored.arrival),
        **({"policy": str(ignored.policy)} if ignored.policy else {}),
        "expires": int((ignored.at + _IGNORED_LIFE).timestamp()),
    }


def _read_ignored(item: Item) -> IgnoredImage:
    with reading(item):
        return IgnoredImage(
            image=image_of(text(item, "pk").removeprefix("IGNORED#")),
            why=text(item, "why"),
            at=parse_timestamp(text(item, "at")),
            tags=text_set(item, "tags"),
            arrival=Arrival(text(item, "arrival")),
            policy=Digest.parse(text(item, "policy")) if "policy" in item else None,
        )


def _read_base(item: Item) -> BaseImage:
    with reading(item):
        return BaseImage.from_json(json.loads(text(item, "base")))
