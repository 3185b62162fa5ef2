"""Reader of OpenVEX documents: statements about vulnerabilities in products, in time.

Source: OpenVEX specification v0.2.0, and v0.0.x where older documents differ (openvex/spec, openvex/go-vex).
Rule: a statement that is not fully understood sets nothing aside, and does not affect the others. It still overrides
earlier statements, unless it is itself `not_affected` or `fixed`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from imagegate.canonical_json import parse_timestamp
from imagegate.errors import RejectedInputError
from imagegate.policy.waiver import JUSTIFICATIONS

CONTEXT = "https://openvex.dev/ns/v0.2.0"
STATUSES = ("not_affected", "affected", "fixed", "under_investigation")
_SETS_ASIDE = ("not_affected", "fixed")
_CONTEXTS = re.compile(r"https://openvex\.dev/ns(/v0(\.[0-9]+){1,2})?/?")
# The fields of a statement that do not narrow it, and those that are read.
_TEXTS = frozenset({"supplier", "status_notes", "impact_statement", "action_statement", "vuln_description"})
_STATEMENT = _TEXTS | {
    *("@id", "@type", "version", "vulnerability", "timestamp", "last_updated", "products", "subcomponents"),
    *("status", "justification", "action_statement_timestamp"),
}
_COMPONENT = frozenset({"@id", "@type", "identifiers", "hashes", "supplier"})
_IDENTIFIERS = frozenset({"purl", "cpe22", "cpe23"})
_VULNERABILITY = frozenset({"@id", "@type", "name", "description", "aliases"})


class InvalidVexError(RejectedInputError):
    """The content is no VEX document; the message names the wrong part."""


@dataclass(frozen=True, slots=True)
class Component:
    """A product, or a part of one, by all its names in the document. A component without names may be anything."""

    names: tuple[str, ...] = ()  # an IRI, package URLs, CPEs
    hashes: tuple[tuple[str, str], ...] = ()  # algorithm and value
    labels: tuple[str, ...] = ()  # by which only people name it, as the ids of CSAF

    def __str__(self) -> str:
        hashes = (value for _, value in self.hashes)
        return next((name for name in (*self.names, *self.labels, *hashes) if name), "no product")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement about one vulnerability, in one product or in parts of it."""

    names: tuple[str, ...]  # of the vulnerability, the main name first
    status: str
    product: Component
    parts: tuple[Component, ...] = ()  # empty for the product as a whole
    justification: str | None = None
    note: str = ""  # impact or action statement, or status notes
    author: str = ""
    at: datetime | None = None  # when it became true, or None if unknown
    updated: datetime | None = None
    document: str = ""  # the document's @id
    version: int = 0  # of the document
    where: str = ""  # `vex.json: statements[3]`
    fault: str = ""  # why it sets nothing aside; empty: it may

    @property
    def is_favourable(self) -> bool:
        """True if it says that there is nothing to do."""
        return self.status in _SETS_ASIDE

    @property
    def vulnerability(self) -> str:
        return next(iter(self.names), "")

    def holds_against(self, other: Statement) -> bool:
        """Return whether it is later than a contrary statement. At equal times the other one holds."""
        if self.at is None or other.at is None:
            return False
        if self.at != other.at:
            return self.at > max(other.at, other.updated or other.at)
        is_newer_version = self.document == other.document != "" and self.version > other.version
        return is_newer_version or (self.updated or self.at) > max(other.at, other.updated or other.at)


@dataclass(frozen=True, slots=True)
class VexDocument:
    """A document: its name, its version and its statements."""

    name: str  # its @id
    version: int
    statements: tuple[Statement, ...]


def read(raw: Any, name: str = "") -> VexDocument:
    """Read a document; notes call it `name`. Raise `InvalidVexError` if it is no OpenVEX document."""
    if not isinstance(raw, dict) or not _CONTEXTS.fullmatch(str(raw.get("@context", ""))):
        raise InvalidVexError(
            f'neither an OpenVEX document ("@context": "{CONTEXT}") nor a CSAF VEX document'
        )
    statements = raw.get("statements")
    if not isinstance(statements, list):
        raise InvalidVexError("not an OpenVEX document: statements must be a list")
    prefix = f"{name}: " if name else ""
    parsed: list[Statement] = []
    for position, raw_statement in enumerate(statements):
        parsed += _statements(raw_statement, raw, f"{prefix}statements[{position}]")
    return VexDocument(str(raw.get("@id") or ""), _number(raw.get("version")), tuple(parsed))


def _statements(raw: Any, document: Mapping[str, Any], where: str) -> Iterator[Statement]:
    """Yield one statement for each product. A malformed statement yields its readable part and a fault."""
    if not isinstance(raw, dict):
        yield Statement((), "", Component(), where=where, fault="it is no object")
        return
    reader = _StatementReader(raw, document)
    names, status, (at, updated) = reader.vulnerability(), reader.status(), reader.times()
    justification, note, author = reader.justification(status), reader.note(), reader.author()
    products = list(reader.products())
    for product, parts in products:
        yield Statement(
            names=names,
            status=status,
            product=product,
            parts=parts,
            justification=justification,
            note=note,
            author=author,
            at=at,
            updated=updated,
            document=str(document.get("@id") or ""),
            version=_number(document.get("version")),
            where=where,
            fault="; ".join(reader.faults),
        )


@dataclass(slots=True)
class _StatementReader:
    """A reader of one statement. It collects faults, and replaces what it cannot read by the weakest value."""

    raw: Mapping[str, Any]
    document: Mapping[str, Any]
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known(self.raw, _STATEMENT, "")

    def known(self, raw: Mapping[str, Any], fields: frozenset[str], where: str) -> None:
        """Note unknown fields, because they may narrow the statement."""
        for key in raw:
            if key not in fields:
                self.faults.append(f"{where}{key[:40]!r} is not understood")

    def vulnerability(self) -> tuple[str, ...]:
        raw = self.raw.get("vulnerability")
        if isinstance(raw, dict):
            self.known(raw, _VULNERABILITY, "vulnerability: ")
            names_given = [raw.get("name"), *self.listed(raw, "aliases"), raw.get("@id")]
        else:
            names_given = [raw]
        names = dict.fromkeys(_last(name) for name in names_given if isinstance(name, str) and _last(name))
        if not names:
            self.faults.append("vulnerability: it names none")
        return tuple(names)

    def status(self) -> str:
        status = self.raw.get("status")
        if status not in STATUSES:
            self.faults.append(f"status must be one of {', '.join(STATUSES)}, not {_excerpt(status)}")
        return status if isinstance(status, str) else ""

    def justification(self, status: str) -> str | None:
        value = self.raw.get("justification")
        if value and value not in JUSTIFICATIONS:
            self.faults.append(
                f"justification must be one of {', '.join(JUSTIFICATIONS)}, not {_excerpt(value)}"
            )
        elif status == "not_affected" and not value and not self.raw.get("impact_statement"):
            self.faults.append("not_affected needs a justification or an impact_statement")
        return value if value in JUSTIFICATIONS else None

    def note(self) -> str:
        names = ("impact_statement", "action_statement", "status_notes")
        return next((str(self.raw[name]) for name in names if self.raw.get(name)), "")

    def author(self) -> str:
        return str(self.raw.get("supplier") or self.document.get("author") or "")

    def times(self) -> tuple[datetime | None, datetime | None]:
        """Return timestamp and last update, by default those of the document."""
        own = bool(self.raw.get("timestamp"))
        updates = self.raw if own or self.raw.get("last_updated") else self.document
        return self._time(self.raw if own else self.document, "timestamp"), self._time(
            updates, "last_updated"
        )

    def _time(self, source: Mapping[str, Any], name: str) -> datetime | None:
        if not source.get(name):
            return None
        try:
            return parse_timestamp(source[name])
        except RejectedInputError:
            self.faults.append(f"{name}: not a time: {_excerpt(source[name])}")
            return None

    def products(self) -> Iterator[tuple[Component, tuple[Component, ...]]]:
        holder = self.raw if self.raw.get("products") else self.document
        products = self.listed(holder, "products")
        shared = self.listed(self.raw, "subcomponents")
        products_with_parts = [
            (self.component(one, "products"), self._parts(one, shared)) for one in products
        ]
        if not products_with_parts:
            self.faults.append("products: it names none")
        yield from products_with_parts or [(Component(), ())]

    def _parts(self, product: Any, shared: list[Any]) -> tuple[Component, ...]:
        """Return the subcomponents, which belong to the statement in v0.0.x."""
        own = self.listed(product, "subcomponents") if isinstance(product, dict) else []
        if own and shared:
            self.faults.append("subcomponents: both of the statement and of a product")
        parts = dict.fromkeys(self.component(part, "subcomponents") for part in own or shared)
        return tuple(parts)

    def component(self, raw: Any, where: str) -> Component:
        if isinstance(raw, str) and raw:
            return Component((raw,))
        if not isinstance(raw, dict):
            self.faults.append(f"{where}: {_excerpt(raw)} names nothing")
            return Component()
        self.known(raw, _COMPONENT | ({"subcomponents"} if where == "products" else set()), f"{where}: ")
        identifiers = self.mapped(raw, "identifiers")
        self.known(identifiers, _IDENTIFIERS, "identifiers: ")
        hashes = tuple(sorted(self.mapped(raw, "hashes").items()))
        identity = [raw["@id"]] if isinstance(raw.get("@id"), str) and raw["@id"] else []
        names = tuple(dict.fromkeys([*identity, *identifiers.values()]))
        if not names and not hashes:
            self.faults.append(f"{where}: one has neither an @id nor a purl")
        return Component(names, hashes)

    def mapped(self, raw: Mapping[str, Any], name: str) -> dict[str, str]:
        value = raw.get(name) or {}
        if isinstance(value, dict) and all(isinstance(one, str) and one for one in value.values()):
            return value
        self.faults.append(f"{name}: not a mapping of texts")
        return {}

    def listed(self, raw: Mapping[str, Any], name: str) -> list[Any]:
        value = raw.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.faults.append(f"{name}: must be a list")
            return []
        return value


def _last(name: str) -> str:
    """Return the last part of an IRI: `https://nvd.nist.gov/vuln/detail/CVE-2026-1` → CVE-2026-1."""
    return re.split(r"[/=#]", name.rstrip("/"))[-1]


def _number(value: Any) -> int:
    """Return a version number, which is text in v0.0.x; 0 if it is neither."""
    is_number = isinstance(value, int | str) and re.fullmatch(r"[0-9]{1,9}", str(value))
    return int(value) if is_number else 0


def _excerpt(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
