"""Values in the ledger's items, and how they are read: strictly. A damaged item is an error that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imagegate.errors import RejectedInputError
from imagegate.oci.image import ImageRef

if TYPE_CHECKING:
    from imagegate.aws.dynamodb import Item


class CorruptLedgerError(RejectedInputError):
    """An item of the ledger lacks an attribute or has a malformed one; the message names both."""


def moment(time: datetime) -> str:
    """Return UTC with microseconds in a fixed width, `2026-11-21T07:52:38.000000Z`: DynamoDB compares times as text."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def image_of(text: str) -> ImageRef:
    """Return the image of `repository@digest`."""
    repository, _, digest = text.rpartition("@")
    return ImageRef.of(repository, digest)


def text(item: Item, attribute: str) -> str:
    """Return a text that is not empty. Raises `ValueError` or `KeyError`."""
    value = item[attribute]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{attribute} is no text")
    return value


def number(item: Item, attribute: str) -> int:
    """Return an integer. Raises `ValueError` or `KeyError`."""
    value = item[attribute]
    if not isinstance(value, int):
        raise ValueError(f"{attribute} is no integer")
    return value


def text_set(item: Item, attribute: str) -> frozenset[str]:
    """Return a set of texts, empty if the attribute is absent. Raises `ValueError`."""
    value = item.get(attribute, set())
    if not isinstance(value, set):
        raise ValueError(f"{attribute} is no set")
    return frozenset(map(str, value))


@contextmanager
def reading(item: Item) -> Iterator[None]:
    """Raise `CorruptLedgerError` with the key of the item for whatever is wrong with it."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RejectedInputError) as error:
        name = f"{item.get('pk')} {item.get('sk')}"
        raise CorruptLedgerError(f"the ledger's item {name} cannot be read: {error!r}") from error
