"""Writer of OpenVEX documents: the verdict on every finding, for other tools (openvex/spec, v0.2.0)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from imagegate.canonical_json import canonical_json, timestamp
from imagegate.findings.package_url import write_package_url
from imagegate.gate.vex.openvex import CONTEXT

if TYPE_CHECKING:
    from imagegate.findings.finding import Package
    from imagegate.oci.image import Digest
    from imagegate.policy.waiver import Waiver


@dataclass(frozen=True, slots=True)
class WrittenStatement:
    """The verdict on a vulnerability in a package of the image."""

    vulnerability: str
    package: Package | None  # None if the scanner names none
    waiver: Waiver | None = None  # the waiver that sets it aside
    until: str = ""  # end of the grace period
    counts: bool = False
    aliases: tuple[str, ...] = ()


def product_of(name: str, digest: Digest | None) -> str:
    """Return the package URL of an image (purl-spec, type oci): the last part of its name, and its digest."""
    version = f"@{quote(str(digest), safe='')}" if digest else ""
    return f"pkg:oci/{quote(name.rpartition('/')[2].lower(), safe='') or 'image'}{version}"


def document(
    product: str, verdicts: Iterable[WrittenStatement], now: datetime, author: str = "imagegate"
) -> dict[str, Any]:
    """Return a document: a finding waived with a justification is `not_affected`, every other one `affected`."""
    statements_by_key: dict[tuple[str, str], WrittenStatement] = {}
    for current in verdicts:
        # A finding may occur twice: the stricter verdict counts.
        key = (current.vulnerability, write_package_url(current.package) if current.package else "")
        if key not in statements_by_key or _strictness(current) > _strictness(statements_by_key[key]):
            statements_by_key[key] = current
    statements = [_written(product, package, current) for (_, package), current in statements_by_key.items()]
    body = {"author": author, "timestamp": timestamp(now), "version": 1, "statements": statements}
    name = hashlib.sha256(canonical_json(body)).hexdigest()
    return {"@context": CONTEXT, "@id": f"https://openvex.dev/docs/public/vex-{name}", **body}


def _strictness(statement: WrittenStatement) -> int:
    """Order verdicts: waived with a justification, waived without one, not waived."""
    if statement.waiver is None:
        return 2
    return 0 if statement.waiver.justification else 1


def _written(product: str, package: str, statement: WrittenStatement) -> dict[str, Any]:
    subject: dict[str, Any] = {"@id": product}
    if package:
        subject["subcomponents"] = [{"@id": package}]
    vulnerability: dict[str, Any] = {"name": statement.vulnerability}
    if statement.aliases:
        vulnerability["aliases"] = list(dict.fromkeys(statement.aliases))
    return {"vulnerability": vulnerability, "products": [subject], **_status(statement)}


def _status(statement: WrittenStatement) -> dict[str, str]:
    waiver = statement.waiver
    if waiver and waiver.justification:
        return {
            "status": "not_affected",
            "justification": waiver.justification,
            "impact_statement": waiver.reason,
        }
    if waiver:
        action = f"accepted until {waiver.expires} by {waiver.owner}: {waiver.reason}"
    elif statement.until:
        action = f"to be fixed until {statement.until}"
    else:
        action = "to be fixed" if statement.counts else "does not count against the policy"
    return {"status": "affected", "action_statement": action}
