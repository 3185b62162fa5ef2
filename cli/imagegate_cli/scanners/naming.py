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
    """Return the main name and the aliases. The CVE is the main name, unless an advisory names several.

    A CVE is written in capitals, as rules and waivers name it.
    """
    name, others = _as_rules_write_it(name), map(_as_rules_write_it, others)
    rest = [other for other in dict.fromkeys(others) if other and other != name]
    cves = [other for other in rest if other.startswith(CVE)]
    if name.startswith(CVE) or len(cves) != 1:
        return name, tuple(rest)
    return cves[0], (name, *(other for other in rest if other != cves[0]))


def _as_rules_write_it(name: str) -> str:
    name = name.strip()
    return name.upper() if _CVE.fullmatch(name) else name


def advisory_in(text: str) -> str | None:
    """Return the id of the first advisory in the text, or None if it has none."""
    match = _ADVISORY.search(text)
    return match.group() if match else None


def cves_in(texts: Iterable[str]) -> list[str]:
    """Find every CVE in the texts, in upper or lower case."""
    return list(dict.fromkeys(name.upper() for text in texts for name in _CVE.findall(text)))


def type_of(purl: str | None) -> str | None:
    """Return the type of a package URL: `pkg:deb/debian/openssl@3.0` → `deb`."""
    if not purl or not purl.startswith("pkg:"):
        return None
    return purl[4:].lstrip("/").partition("/")[0].lower() or None


def package_of(purl: str) -> Package | None:
    """Return the package of a package URL, or None if it names none. Maven's is `group:artifact`."""
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
    """Return the digest of the references (`repository@sha256:…`), or None if they have none or several."""
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
    """Return `os/architecture[/variant]` from an image configuration, or None if it has none."""
    names = [optional(config or {}, key) for key in ("os", "architecture", "variant")]
    return "/".join(filter(None, names)) if names[0] and names[1] else None
