"""The archive of an evidence pack: a zip file whose manifest has the digest of every other member.

The same content is the same file: names are in order and have no times.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagegate.canonical_json import canonical_json
from imagegate.errors import RejectedInputError
from imagegate.oci.image import Digest
from imagegate_cli.verification.bundle import DAMAGE
from imagegate_cli.verification.members import UNREADABLE, read_members, write_members

SCHEMA = "imagegate.evidence-pack/v1"
MANIFEST, MANIFEST_DIGEST = "manifest.json", "manifest.sha256"
_UNLISTED = {MANIFEST, MANIFEST_DIGEST}


class ChangedPackError(Exception):
    """A pack of which a part was changed, added or taken out. The message names the part."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack whose members are as its manifest says."""

    manifest: Mapping[str, Any]
    members: Mapping[str, bytes]
    digest: Digest  # of the manifest


def write_pack(path: Path, head: Mapping[str, Any], members: Mapping[str, bytes]) -> Digest:
    """Write the pack and return the digest of its manifest. Raises `CannotTellError` if it cannot be written."""
    listed = {
        name: {"sha256": Digest.of(content).hex, "size": len(content)} for name, content in members.items()
    }
    manifest = canonical_json({"schema": SCHEMA, **head, "members": listed})
    digest = Digest.of(manifest)
    files = {**members, MANIFEST: manifest, MANIFEST_DIGEST: f"{digest.hex}  {MANIFEST}\n".encode()}
    write_members(path, dict(sorted(files.items())))
    return digest


def is_pack(path: Path) -> bool:
    """Tell whether the file is meant to be a pack: a zip file with one of the members that only packs have."""
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(_UNLISTED.intersection(archive.namelist()))
    except (*UNREADABLE, ValueError):
        return False


def read_pack(path: Path) -> Pack:
    """Read a pack. Raises `ChangedPackError` unless every member is there and has its digest, and there is no other."""
    try:
        members = read_members(path)
    except (*UNREADABLE, ValueError) as error:
        raise ChangedPackError(f"the file cannot be read: {error}") from error
    for name in (MANIFEST, MANIFEST_DIGEST):
        if name not in members:
            raise ChangedPackError(f"{name} is missing")
    content = members.pop(MANIFEST)
    digest = Digest.of(content)
    if members.pop(MANIFEST_DIGEST) != f"{digest.hex}  {MANIFEST}\n".encode():
        raise ChangedPackError(f"{MANIFEST} does not have the digest in {MANIFEST_DIGEST}")
    return Pack(_manifest(content, members), members, digest)


def read_canonical(content: bytes, name: str) -> Any:
    """Return the value of a document in canonical JSON, which every reader reads alike.

    Raises `ChangedPackError` for any other document.
    """
    try:
        value = json.loads(content)
        is_canonical = canonical_json(value) == content
    except (ValueError, RecursionError, RejectedInputError) as error:
        raise ChangedPackError(f"{name} cannot be read: {error}") from error
    if not is_canonical:
        raise ChangedPackError(f"{name} is not in the form that imagegate writes")
    return value


def _manifest(content: bytes, members: Mapping[str, bytes]) -> Mapping[str, Any]:
    try:
        manifest = read_canonical(content, MANIFEST)
        if manifest["schema"] != SCHEMA:
            raise ChangedPackError(f"{MANIFEST} is not a manifest of the schema {SCHEMA}")
        listed = {
            name: (Digest.parse(f"sha256:{one['sha256']}"), one["size"])
            for name, one in manifest["members"].items()
        }
    except (RejectedInputError, *DAMAGE) as error:
        raise ChangedPackError(f"{MANIFEST} cannot be read: {error}") from error
    for name in sorted({*listed, *members}):
        if name not in listed:
            raise ChangedPackError(f"{name} is not in the manifest")
        if name not in members:
            raise ChangedPackError(f"{name} is missing")
        if (Digest.of(members[name]), len(members[name])) != listed[name]:
            raise ChangedPackError(f"{name} was changed")
    return dict(manifest)
