"""The names that rules and waivers compare exactly: of vulnerabilities, and of packages by package URL."""

from __future__ import annotations

import re

# A name that no scanner writes would match nothing, and nobody would notice.
VULNERABILITY = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}|(?![Cc][Vv][Ee])[A-Za-z0-9][A-Za-z0-9.:_/-]{2,}")
A_VULNERABILITY = "the name of one vulnerability such as CVE-2021-44228"
PACKAGE_URL = "pkg:"
# purl-spec: scheme:type/namespace/name@version. Qualifiers and a subpath would mean only a part of the package.
_PURL = re.compile(r"pkg:([a-z][a-z0-9.+-]*)/((?:[^/?#@\s]+/|@[^/?#@\s]+/)*)([^/?#@\s]+)(?:@([^/?#@\s]+))?")


def match_package_url(value: str) -> re.Match[str]:
    """Return the match: type, namespace, name and version. Raises `ValueError`."""
    match = _PURL.fullmatch(value)
    if match is None:
        example = "pkg:npm/event-stream@3.3.6 (no ? and no #)"
        raise ValueError(f"must be a package URL such as {example}, not {value!r:.80}")
    return match
