"""Reader of CSAF VEX documents: statements about vulnerabilities in products, in the form of OpenVEX statements.

Source: CSAF 2.0 (OASIS), profile 5 (VEX), as Red Hat, SUSE and Cisco publish it.
Rule: a statement that is not fully understood sets nothing aside, and does not affect the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from imagegate.canonical_json import parse_timestamp
from imagegate.errors import RejectedInputError
from imagegate.gate.vex.csaf_products import Product, ProductTree, listed, mapped, text_of
from imagegate.gate.vex.openvex import InvalidVexError, Statement, VexDocument
from imagegate.policy.waiver import JUSTIFICATIONS

CATEGORY = "csaf_vex"
_VERSIONS = ("2.0", "2.1")
# product_status of CSAF → status of OpenVEX. `first_affected` and `last_affected` narrow nothing here: both take back.
_STATUSES = {
    "known_not_affected": "not_affected",
    "fixed": "fixed",
    "first_fixed": "fixed",
    "known_affected": "affected",
    "first_affected": "affected",
    "last_affected": "affected",
    "under_investigation": "under_investigation",
    "unknown": "under_investigation",
}
_NO_STATEMENT = ("recommended",)
_PUBLISHED = ("final", "interim")  # values of document.tracking.status beside draft


def is_document(raw: Any) -> bool:
    """Return whether a JSON value is a CSAF document of any category."""
    return isinstance(raw, dict) and "csaf_version" in mapped(raw.get("document"))


def read(raw: Mapping[str, Any], name: str = "") -> VexDocument:
    """Read a document; notes call it `name`. Raise `InvalidVexError` if it is no CSAF VEX document."""
    document = mapped(raw.get("document"))
    if document.get("category") != CATEGORY:
        raise InvalidVexError(f"not a CSAF VEX document: document.category must be {CATEGORY}")
    if document.get("csaf_version") not in _VERSIONS:
        raise InvalidVexError(f"not a CSAF VEX document: csaf_version must be {' or '.join(_VERSIONS)}")
    if not isinstance(raw.get("vulnerabilities"), list):
        raise InvalidVexError("not a CSAF VEX document: vulnerabilities must be a list")
    header = _Header.of(document)
    tree = ProductTree(mapped(raw.get("product_tree")))
    prefix = f"{name}: " if name else ""
    statements: list[Statement] = []
    for position, vulnerability in enumerate(raw["vulnerabilities"]):
        reader = _VulnerabilityReader(mapped(vulnerability), header, tree)
        statements += reader.statements(f"{prefix}vulnerabilities[{position}]")
    return VexDocument(header.id, header.version, tuple(statements))


@dataclass(frozen=True, slots=True)
class _Header:
    """The facts of a document that hold for all its statements."""

    id: str
    version: int
    author: str
    at: datetime | None
    fault: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> _Header:
        tracking = mapped(document.get("tracking"))
        status = tracking.get("status")
        fault = (
            "" if status in _PUBLISHED else f"the document is a draft, or nobody knows: status {status!a:.40}"
        )
        try:
            at = parse_timestamp(tracking.get("current_release_date"))
        except RejectedInputError:
            at, fault = None, "document.tracking.current_release_date is not a time"
        author = text_of(mapped(document.get("publisher")), "name")
        return cls(text_of(tracking, "id"), _version(tracking.get("version")), author, at, fault)


def _version(value: Any) -> int:
    """Return a number that orders versions, which are integers or semantic versions; 0 for anything else."""
    match = re.fullmatch(r"(\d{1,6})(?:\.(\d{1,6})\.(\d{1,6})(?:\+.*)?)?", str(value))
    if match is None:
        return 0
    major, minor, patch = (int(part or 0) for part in match.groups())
    return (major * 10**6 + minor) * 10**6 + patch


@dataclass(slots=True)
class _VulnerabilityReader:
    """A reader of one vulnerability: one statement for each product with a status."""

    raw: Mapping[str, Any]
    header: _Header
    tree: ProductTree
    justifications: dict[str, str] = field(default_factory=dict)
    impacts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for flag in map(mapped, listed(self.raw.get("flags"))):
            for product_id in self._product_ids(flag):
                self.justifications[product_id] = text_of(flag, "label")
        for threat in map(mapped, listed(self.raw.get("threats"))):
            if threat.get("category") == "impact":
                for product_id in self._product_ids(threat):
                    self.impacts[product_id] = text_of(threat, "details")

    def _product_ids(self, raw: Mapping[str, Any]) -> Iterator[str]:
        """Yield the products of a flag or threat, also those of its groups."""
        yield from (one for one in listed(raw.get("product_ids")) if isinstance(one, str))
        for group in listed(raw.get("group_ids")):
            yield from self.tree.group(group)

    def statements(self, where: str) -> Iterator[Statement]:
        names = self._names()
        product_status = mapped(self.raw.get("product_status"))
        for key, product_ids in product_status.items():
            if key in _NO_STATEMENT:
                continue
            for position, product_id in enumerate(listed(product_ids)):
                yield self._statement(
                    names, key, product_id, f"{where}.product_status.{key[:40]}[{position}]"
                )

    def _names(self) -> tuple[str, ...]:
        ids = [text_of(mapped(one), "text") for one in listed(self.raw.get("ids"))]
        return tuple(dict.fromkeys(name for name in (text_of(self.raw, "cve"), *ids) if name))

    def _statement(self, names: tuple[str, ...], key: str, product_id: Any, where: str) -> Statement:
        status = _STATUSES.get(key, "")
        product = self.tree.product(product_id)
        label = self.justifications.get(str(product_id), "")
        impact = self.impacts.get(str(product_id), "")
        return Statement(
            names=names,
            status=status,
            product=product.component,
            parts=product.parts,
            justification=label if status == "not_affected" and label in JUSTIFICATIONS else None,
            note=impact,
            author=self.header.author,
            at=self.header.at,
            document=self.header.id,
            version=self.header.version,
            where=where,
            fault=self._fault(names, key, product, label, impact),
        )

    def _fault(self, names: tuple[str, ...], key: str, product: Product, label: str, impact: str) -> str:
        """Say why a statement sets nothing aside, or return an empty text."""
        faults = [self.header.fault, product.fault]
        if not names:
            faults.append("the vulnerability has neither a cve nor ids")
        if key not in _STATUSES:
            faults.append(f"the status {key[:40]!a} is not understood")
        if label and label not in JUSTIFICATIONS:
            faults.append(f"the flag {label[:60]!a} is not understood")
        if key == "known_not_affected" and not label and not impact:
            faults.append("known_not_affected needs a flag or a threat of the category impact")
        return "; ".join(filter(None, faults))
