"""Grants in a DynamoDB table of their own: they give power, so only one function writes them.

docs/reference/ledger.md lists the keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from imagegate.aws.dynamodb import DynamoTable, Item, Key, key
from imagegate.canonical_json import timestamp
from imagegate.errors import RejectedInputError
from imagegate.grants.approval import Approval, Choice
from imagegate.grants.break_glass import BreakGlass
from imagegate.policy.waiver import Waiver
from imagegate.release.order import Order

if TYPE_CHECKING:
    from imagegate.oci.image import ImageRef
    from imagegate.release.release import ReleaseId


class _Grant(Protocol):
    @property
    def id(self) -> str: ...
    def as_json(self) -> dict[str, Any]: ...


_T = TypeVar("_T", bound=_Grant)


@dataclass(frozen=True, slots=True)
class _Kind(Generic[_T]):
    """A kind of grant: the partition of its items, the attribute that holds it, and its parser."""

    pk: str
    attribute: str
    parse: Callable[[Any], _T]

    def key(self, name: str) -> Key:
        return key(self.pk, name)


_WAIVER = _Kind("WAIVER", "waiver", Waiver.from_json)
_BREAK_GLASS = _Kind("BREAK_GLASS", "breakGlass", BreakGlass.from_json)


class CorruptGrantError(RejectedInputError):
    """A grant in the table cannot be read, or its content does not belong to its key."""


class DynamoGrants:
    """Waivers, break-glass, approvals and orders. No item is ever deleted: a withdrawn grant says when and by whom."""

    def __init__(self, table: str) -> None:
        self._table = DynamoTable(table)

    def waivers(self) -> list[Waiver]:
        return self._all(_WAIVER)

    def grant(self, waiver: Waiver) -> bool:
        return self._grant(_WAIVER, waiver)

    def withdraw(self, waiver_id: str, at: datetime, by: str) -> Waiver | None:
        return self._withdraw(_WAIVER, waiver_id, at, by)

    def broken_glass(self) -> list[BreakGlass]:
        return self._all(_BREAK_GLASS)

    def break_glass(self, glass: BreakGlass) -> bool:
        return self._grant(_BREAK_GLASS, glass)

    def withdraw_break_glass(self, name: str, at: datetime, by: str) -> BreakGlass | None:
        return self._withdraw(_BREAK_GLASS, name, at, by)

    def approvals(self, release: ReleaseId) -> list[Approval]:
        return [_read_approval(release, item) for item in self._table.partition(_approval_key(release))]

    def decide(self, approval: Approval) -> bool:
        """Store the first decision of a person; only an approval may still become a rejection."""
        item = {
            **key(_approval_key(approval.release), approval.by),
            "choice": str(approval.choice),
            "approval": json.dumps(approval.as_json()),
        }
        first = "attribute_not_exists(pk)"
        if approval.choice is not Choice.REJECT:
            return self._table.put(item, first)
        return self._table.put(item, f"{first} OR choice = :approve", {":approve": str(Choice.APPROVE)})

    def orders(self, image: ImageRef) -> list[Order]:
        return [_read_order(image, item) for item in self._table.partition(_order_key(image))]

    def order(self, order: Order) -> None:
        at = order.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self._table.put({**key(_order_key(order.image), at), "order": json.dumps(order.as_json())})

    def _all(self, kind: _Kind[_T]) -> list[_T]:
        return [_read(kind, item) for item in self._table.partition(kind.pk)]

    def _grant(self, kind: _Kind[_T], granted: _T) -> bool:
        item = {**kind.key(granted.id), kind.attribute: json.dumps(granted.as_json())}
        return self._table.put(item, "attribute_not_exists(pk)")

    def _withdraw(self, kind: _Kind[_T], name: str, at: datetime, by: str) -> _T | None:
        """Record the withdrawal unless there is one already. Return the grant, or None if there is none."""
        where = kind.key(name)
        self._table.update(
            where,
            "SET withdrawnAt = :at, withdrawnBy = :by",
            "attribute_exists(pk) AND attribute_not_exists(withdrawnAt)",
            {":at": timestamp(at), ":by": by},
        )
        item = self._table.get(where)
        return None if item is None else _read(kind, item)


def _approval_key(release: ReleaseId) -> str:
    return f"APPROVAL#{release.image}#{release.attempt:05d}"


def _order_key(image: ImageRef) -> str:
    return f"ORDER#{image}"


def _read_order(image: ImageRef, item: Item) -> Order:
    name = f"{item['pk']} {item['sk']}"
    try:
        order = Order.from_json(json.loads(item["order"]))
    except (KeyError, TypeError, ValueError, RejectedInputError) as error:
        raise CorruptGrantError(f"the order {name} cannot be read: {error!r}") from error
    if order.image != image:
        raise CorruptGrantError(f"the order {name} is about {order.image}")
    return order


def _read_approval(release: ReleaseId, item: Item) -> Approval:
    name = f"{item['pk']} {item['sk']}"
    try:
        approval = Approval.from_json(json.loads(item["approval"]))
    except (KeyError, TypeError, ValueError, RejectedInputError) as error:
        raise CorruptGrantError(f"the approval {name} cannot be read: {error!r}") from error
    if (approval.release, approval.by) != (release, item["sk"]):
        raise CorruptGrantError(f"the approval {name} does not belong to its key")
    return approval


def _read(kind: _Kind[_T], item: Item) -> _T:
    """Return the grant. Raises `CorruptGrantError`: a damaged grant must not look like no grant."""
    name = item["sk"]
    try:
        raw = json.loads(item[kind.attribute])
        if "withdrawnAt" in item:
            raw["withdrawnAt"] = item["withdrawnAt"]
        granted = kind.parse(raw)
    except (KeyError, TypeError, ValueError, RejectedInputError) as error:
        raise CorruptGrantError(f"the {kind.attribute} {name} cannot be read: {error!r}") from error
    if granted.id != name:
        raise CorruptGrantError(f"the {kind.attribute} {name} has the content of {granted.id}")
    return granted
