"""OpenVEX documents, written: what a verdict says of every finding, for others (openvex/spec, v0.2.0)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from imagegate.canonical_json import canonical_json, timestamp
from imagegate.findings.finding import Package
from imagegate.findings.package_url import written
from imagegate.gate.openvex import CONTEXT
from imagegate.oci.image import Digest
from imagegate.policy.waiver import Waiver


@dataclass(frozen=True, slots=True)
class WrittenStatement:
    """What a verdict says about a vulnerability in a package of the image."""

    vulnerability: str
    package: Package | None  # None: the scanner names none
    waiver: Waiver | None = None  # that set it aside
    until: str = ""  # it has time until then
    counts: bool = False
    aliases: tuple[str, ...] = ()


def product_of(name: str, digest: Digest | None) -> str:
    """The package URL of an image (purl-spec, type oci): the last part of its repository's name, and its digest."""
    version = f"@{quote(str(digest), safe='')}" if digest else ""
    return f"pkg:oci/{quote(name.rpartition('/')[2].lower(), safe='') or 'image'}{version}"


def document(
    product: str, told: Iterable[WrittenStatement], now: datetime, author: str = "imagegate"
) -> dict[str, Any]:
    """An OpenVEX document: what is waived with a justification is `not_affected`, every other finding `affected`."""
    once: dict[tuple[str, str], WrittenStatement] = {}
    for one in told:
        # Two findings may be the same one twice: what is not waived in both is affected.
        key = (one.vulnerability, written(one.package) if one.package else "")
        if key not in once or one.waiver is None:
            once[key] = one
    statements = [_written(product, package, one) for (_, package), one in once.items()]
    body = {"author": author, "timestamp": timestamp(now), "version": 1, "statements": statements}
    name = hashlib.sha256(canonical_json(body)).hexdigest()
    return {"@context": CONTEXT, "@id": f"https://openvex.dev/docs/public/vex-{name}", **body}


def _written(product: str, package: str, told: WrittenStatement) -> dict[str, Any]:
    subject: dict[str, Any] = {"@id": product}
    if package:
        subject["subcomponents"] = [{"@id": package}]
    vulnerability: dict[str, Any] = {"name": told.vulnerability}
    if told.aliases:
        vulnerability["aliases"] = list(dict.fromkeys(told.aliases))
    return {"vulnerability": vulnerability, "products": [subject], **_said(told)}


def _said(told: WrittenStatement) -> dict[str, str]:
    waiver = told.waiver
    if waiver and waiver.justification:
        return {
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
    return {"status": "affected", "action_statement": action}
