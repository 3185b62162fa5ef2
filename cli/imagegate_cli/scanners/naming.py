"""Names: of vulnerabilities, of the kinds of packages, and of images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from imagegate.errors import InvalidDigestError
from imagegate.findings.finding import Package
from imagegate.oci.image import Digest
from imagegate_cli.scanners.fields import Raw, optional

CVE = "CVE-"
# The ids of advisories that other tools put more text around: `CVE-2026-0001-openssl`.
_ADVISORY = re.compile(
    r"(?<![A-Za-z0-9])(?:CVE-\d{4}-\d{4,}|GHSA(?:-[0-9a-z]{4}){3}|(?:RH|EL|RL|AL)[SBE]A-\d{4}[:-]\d+"
    r"|ALAS[0-9A-Z.]*-\d{4}-\d+|(?:DSA|DLA|USN)-\d+-\d+|(?:GO|PYSEC|RUSTSEC|OSV|MAL)-\d{4}-\d+)(?![A-Za-z0-9])"
)

_CVE = re.compile(r"(?<![A-Za-z0-9])CVE-\d{4}-\d{4,}(?!\d)", re.IGNORECASE)


def preferred(name: str, others: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """The vulnerability's name and its aliases. The CVE comes first, unless an advisory is about several."""
    rest = [other for other in dict.fromkeys(others) if other != name]
    cves = [other for other in rest if other.startswith(CVE)]
    if name.startswith(CVE) or len(cves) != 1:
        return name, tuple(rest)
    return cves[0], (name, *(other for other in rest if other != cves[0]))


def advisory_in(text: str) -> str | None:
    """The id of an advisory that stands in the text."""
    found = _ADVISORY.search(text)
    return found.group() if found else None


def cves_in(texts: Iterable[str]) -> list[str]:
    """Every CVE that is named in them, in any case of letters."""
    return list(dict.fromkeys(name.upper() for text in texts for name in _CVE.findall(text)))


def type_of(purl: str | None) -> str | None:
    """`pkg:deb/debian/openssl@3.0` → `deb` (package URL specification)."""
    if not purl or not purl.startswith("pkg:"):
        return None
    return purl[4:].lstrip("/").partition("/")[0].lower() or None


def package_of(purl: str) -> Package | None:
    """The package that a package URL names; None: it names none. Maven's has its group: `group:artifact`."""
    kind = type_of(purl)
    bare = purl.partition("#")[0].partition("?")[0]
    path, _, version = bare.rpartition("@") if "@" in bare.rpartition("/")[2] else (bare, "", "")
    *namespace, name = [unquote(part) for part in path.split("/")[1:]] or [""]
    if kind is None or not name:
        return None
    if namespace and kind in ("maven", "npm", "golang", "composer"):
        name = (":" if kind == "maven" else "/").join(["/".join(namespace), name])
    return Package(name, unquote(version) or None, ecosystem=kind, purl=purl)


def digest_in(references: Iterable[str]) -> str | None:
    """The one digest that the references (`repository@sha256:…`) name; None: none, or several."""
    digests = {reference.rpartition("@")[2] for reference in references if "@" in reference}
    digest = digests.pop() if len(digests) == 1 else None
    return digest if digest and is_digest(digest) else None


def is_digest(text: str) -> bool:
    try:
        Digest.parse(text)
    except InvalidDigestError:
        return False
    return True


def platform_of(config: Raw | None) -> str | None:
    """`os/architecture[/variant]` of an image's configuration."""
    names = [optional(config or {}, key) for key in ("os", "architecture", "variant")]
    return "/".join(filter(None, names)) if names[0] and names[1] else None
