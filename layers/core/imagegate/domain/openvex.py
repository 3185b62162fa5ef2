"""OpenVEX documents: statements about vulnerabilities in products, read as waivers and written from a verdict.

Source: OpenVEX specification v0.2.0 (openvex/spec). Only `not_affected` (with a justification or an impact statement)
and `fixed` set a finding aside; `affected` and `under_investigation` are told and change nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import unquote

from imagegate.domain.canonical import canonical_json, timestamp
from imagegate.domain.errors import RejectedInputError
from imagegate.domain.image import Digest
from imagegate.domain.waiver import JUSTIFICATIONS, Waiver

CONTEXT = "https://openvex.dev/ns/v0.2.0"
_STATUSES = ("not_affected", "affected", "fixed", "under_investigation")
_SETS_ASIDE = ("not_affected", "fixed")


class InvalidVexError(RejectedInputError):
    """Not an OpenVEX document; the message names the part that is wrong."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement about one vulnerability, in the packages of one product."""

    vulnerability: str
    status: str
    product: str  # package URL or another name of the image; "" where a document names none
    packages: tuple[str, ...]  # package URLs or names: the product's parts, or the product itself
    digest: Digest | None  # of the image, where the product's name has one
    justification: str | None
    note: str  # impact or action statement, or status notes
    author: str
    issued_at: str


def parse(content: bytes) -> list[Statement]:
    """Raise `InvalidVexError`."""
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidVexError(f"not JSON: {type(error).__name__}") from error
    if not isinstance(raw, dict) or not str(raw.get("@context", "")).startswith("https://openvex.dev/ns"):
        raise InvalidVexError('not an OpenVEX document: "@context" must be https://openvex.dev/ns/v0.2.0')
    statements = raw.get("statements")
    if not isinstance(statements, list):
        raise InvalidVexError("statements: must be a list")
    found: list[Statement] = []
    for number, statement in enumerate(statements):
        try:
            found += _statements(statement, raw)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidVexError(f"statements[{number}]: {_explain(error)}") from error
    return found


def _explain(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def _statements(raw: Any, document: Mapping[str, Any]) -> Iterator[Statement]:
    if not isinstance(raw, dict):
        raise TypeError("must be a mapping")
    status, justification = raw["status"], raw.get("justification")
    note = str(raw.get("impact_statement") or raw.get("action_statement") or raw.get("status_notes") or "")
    if status not in _STATUSES:
        raise ValueError(f"status must be one of {', '.join(_STATUSES)}, not {status!r}")
    if justification is not None and justification not in JUSTIFICATIONS:
        raise ValueError(f"justification must be one of {', '.join(JUSTIFICATIONS)}, not {justification!r}")
    if status == "not_affected" and not justification and not raw.get("impact_statement"):
        raise ValueError("not_affected needs a justification or an impact_statement")
    for product in _listed(raw.get("products", document.get("products", []))):
        name = _identifier(product)
        parts = _listed(product.get("subcomponents", [])) if isinstance(product, dict) else []
        yield Statement(
            vulnerability=_vulnerability(raw["vulnerability"]),
            status=status,
            product=name,
            packages=tuple(_identifier(part) for part in parts) or (name,),
            digest=_digest(product),
            justification=justification,
            note=note,
            author=str(raw.get("supplier") or document.get("author") or ""),
            issued_at=str(raw.get("timestamp") or document.get("timestamp") or ""),
        )


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("products and subcomponents must be lists")
    return value


def _vulnerability(raw: Any) -> str:
    """A mapping with a name; a text in documents of the first versions."""
    name = raw if isinstance(raw, str) else raw["name"]
    if not isinstance(name, str) or not name:
        raise TypeError("vulnerability: must have a name")
    return name.rpartition("/")[2]


def _identifier(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    identifiers = raw.get("identifiers", {})
    name = raw.get("@id") or identifiers.get("purl") or identifiers.get("cpe23")
    if not isinstance(name, str):
        raise TypeError("a product needs an @id or a purl")
    return name


def _digest(raw: Any) -> Digest | None:
    """Of an image: `pkg:oci/shop@sha256%3A…`, or under hashes."""
    hashes = raw.get("hashes", {}) if isinstance(raw, dict) else {}
    listed = hashes.get("sha-256") if isinstance(hashes, dict) else None
    text = f"sha256:{listed}" if listed else ""
    name = unquote(_identifier(raw))
    if not text and name.startswith("pkg:oci/"):
        text = name.partition("@")[2].partition("?")[0]
    return Digest.parse(text) if text else None


def waivers_of(
    statements: Iterable[Statement], repositories: str | None, expires: date
) -> tuple[list[Waiver], list[Statement]]:
    """Waivers for what is set aside, and the statements that change nothing.

    A statement about an image holds for that digest; one about a package holds in `repositories`.
    """
    waivers: list[Waiver] = []
    told: list[Statement] = []
    for statement in statements:
        if statement.status not in _SETS_ASIDE:
            told.append(statement)
            continue
        waivers += [_waiver(statement, package, repositories, expires) for package in statement.packages]
    return list(dict.fromkeys(waivers)), told


def _waiver(statement: Statement, package: str, repositories: str | None, expires: date) -> Waiver:
    is_package = not unquote(package).startswith("pkg:oci/")
    reason = statement.note or (statement.justification or statement.status).replace("_", " ")
    return Waiver(
        owner=statement.author or "unknown author",
        reason=f"OpenVEX {statement.status}: {reason}",
        expires=expires,
        vulnerability=statement.vulnerability,
        package=package.partition("?")[0] if is_package else "*",
        repositories=repositories,
        digest=statement.digest,
        justification=statement.justification,
    )


@dataclass(frozen=True, slots=True)
class Told:
    """What a verdict says about a vulnerability in a package of the image."""

    vulnerability: str
    package: str
    waiver: Waiver | None  # that set it aside
    until: str = ""  # it has time until then
    counts: bool = False


def document(product: str, told: Sequence[Told], now: datetime, author: str = "imagegate") -> dict[str, Any]:
    """An OpenVEX document: what is waived with a justification is `not_affected`, every other finding `affected`."""
    statements = [_written(product, one) for one in told]
    body = {"author": author, "timestamp": timestamp(now), "version": 1, "statements": statements}
    name = hashlib.sha256(canonical_json(body)).hexdigest()
    return {"@context": CONTEXT, "@id": f"https://openvex.dev/docs/public/vex-{name}", **body}


def _written(product: str, told: Told) -> dict[str, Any]:
    subject: dict[str, Any] = {"@id": product}
    if told.package:
        subject["subcomponents"] = [{"@id": told.package}]
    statement: dict[str, Any] = {"vulnerability": {"name": told.vulnerability}, "products": [subject]}
    waiver = told.waiver
    if waiver and waiver.justification:
        return {
            **statement,
            "status": "not_affected",
            "justification": waiver.justification,
            "impact_statement": waiver.reason,
        }
    if waiver:
        action = f"accepted until {waiver.expires} by {waiver.owner}: {waiver.reason}"
    elif told.until:
        action = f"to be fixed until {told.until}"
    else:
        action = "to be fixed" if told.counts else "does not count against the policy"
    return {**statement, "status": "affected", "action_statement": action}
