"""Images that a clean-up took: `CLEANED#repository@digest`. They never expire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import image_of, moment, reading, text
from imagegate.canonical_json import parse_timestamp
from imagegate.cleanup.cleaned import CleanedImage
from imagegate.cleanup.selection import CleanupAction
from imagegate.oci.image import Digest

if TYPE_CHECKING:
    from imagegate.aws.dynamodb import DynamoTable
    from imagegate.oci.image import ImageRef


class DynamoCleanedImages:
    """One item per image: which plan takes it, when and why."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def note_cleaned(self, images: Sequence[CleanedImage]) -> None:
        self._table.write_all(
            [
                {
                    **keys.cleaned(one.image),
                    "action": str(one.action),
                    "plan": str(one.plan),
                    "at": moment(one.at),
                    "because": one.because,
                }
                for one in images
            ]
        )

    def cleaned(self, image: ImageRef) -> CleanedImage | None:
        item = self._table.get(keys.cleaned(image))
        if item is None:
            return None
        with reading(item):
            return CleanedImage(
                image=image_of(text(item, "pk").removeprefix("CLEANED#")),
                action=CleanupAction(text(item, "action")),
                plan=Digest.parse(text(item, "plan")),
                at=parse_timestamp(text(item, "at")),
                because=text(item, "because"),
            )
