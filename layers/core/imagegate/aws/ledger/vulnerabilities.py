"""The index of vulnerabilities in the ledger: in which applications each was ever found.

An application has one item with all names that are known of it, packed, so that a judgement without a new vulnerability
costs one read. Each new name is one more item, by which people find the application.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from imagegate.aws.dynamodb import DynamoTable, Item, key
from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import reading, text

if TYPE_CHECKING:
    from collections.abc import Collection


class DynamoVulnerabilities:
    """One item per application, and one per vulnerability and application. Both never expire."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def note_vulnerabilities(self, application: str, names: Collection[str]) -> None:
        """Write the new names before the list of known ones, so that the next call repeats one that was killed."""
        where = keys.known_vulnerabilities(application)
        item = self._table.get(where) if names else None
        known = _unpack(item) if item else set()
        new = sorted(set(names) - known)
        if new:
            self._table.write_all([key(keys.vulnerability(name), application) for name in new])
            self._table.put({**where, "names": _pack(known.union(new))})

    def applications_with(self, name: str) -> list[str]:
        return [item["sk"] for item in self._table.partition(keys.vulnerability(name))]


def _pack(names: Collection[str]) -> str:
    """Return the names as text: 5,000 of them have about 20 KB."""
    return b64encode(zlib.compress(json.dumps(sorted(names)).encode(), 9)).decode()


def _unpack(item: Item) -> set[str]:
    with reading(item):
        try:
            return set(json.loads(zlib.decompress(b64decode(text(item, "names")))))
        except zlib.error as error:
            raise ValueError(str(error)) from error
