"""A bundle: one archive with everything that a verdict rests on, so that anyone can judge it again.

A zip file: `bundle.json` says what it is about; `blobs/sha256/HEX` are policy, decisions, findings, signatures and
statements, each named by its digest. Reading trusts nothing but digests.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagegate.errors import CorruptContentError, RecordNotFoundError, RejectedInputError
from imagegate.gate.decision_record import Decision
from imagegate.oci.image import Descriptor, Digest
from imagegate.policy.policy import Policy
from imagegate.ports.records import StoredRecords
from imagegate_cli.faults import CannotTellError
from imagegate_cli.verification.evidence import ImageEvidence, Piece

SCHEMA = "imagegate.bundle/v1"
_HEAD = "bundle.json"
_BLOBS = "blobs/sha256/"
_MOST_FILES = 2_000
_MOST_BYTES = 512 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content is the same archive


class InvalidBundleError(CannotTellError):
    """Not a bundle, or one that was changed; the message names the part."""


@dataclass(slots=True)
class Bundle:
    """`blobs` are read as records of their digests."""

    decision: Digest
    evidence: ImageEvidence
    blobs: dict[Digest, bytes] = field(default_factory=dict)

    def records(self) -> BundledRecords:
        return BundledRecords(self.blobs)


class BundledRecords:
    """The records of a bundle, as the port `StoredRecords`."""

    def __init__(self, blobs: dict[Digest, bytes]) -> None:
        self._blobs = blobs
        _port: StoredRecords = self

    def decision(self, digest: Digest) -> bytes:
        return self._get(digest, "decision")

    def findings(self, digest: Digest) -> bytes:
        return self._get(digest, "findings")

    def policy(self, digest: Digest) -> Policy:
        from imagegate.policy.file.load import parse

        return parse(self._get(digest, "policy"), name=str(digest))

    def _get(self, digest: Digest, what: str) -> bytes:
        if digest not in self._blobs:
            raise RecordNotFoundError(f"the bundle lacks the {what} {digest}")
        return self._blobs[digest]


def collected(records: StoredRecords, policy: bytes, digest: Digest, evidence: ImageEvidence) -> Bundle:
    """Everything that judging the decision again reads. `policy`: the file as it was written."""
    bundle = Bundle(digest, evidence)
    for content in (policy, *_contents(records, digest)):
        bundle.blobs[Digest.of(content)] = content
    for piece in (*evidence.signatures, *evidence.summaries):
        bundle.blobs[Digest.of(piece.content)] = piece.content
    return bundle


def _contents(records: StoredRecords, digest: Digest, *, follow: bool = True) -> Iterator[bytes]:
    """The decision, its findings, and the decisions that it was compared with."""
    content = records.decision(digest)
    yield content
    decision = Decision.decode(content)
    for scan in decision.scans:
        if scan.get("findings"):
            yield records.findings(Digest.parse(scan["findings"]))
    if not follow:
        return
    for other in _compared(decision):
        try:
            yield from _contents(records, Digest.parse(other), follow=False)
        except RecordNotFoundError:
            continue  # nor had the judge it


def _compared(decision: Decision) -> Iterator[str]:
    if decision.baseline:
        yield decision.baseline["decision"]
    if decision.newer_base:
        yield decision.newer_base["decision"]
        platforms = (decision.facts or {}).get("platforms", [])
        yield from (platform["base"]["decision"] for platform in platforms if platform.get("base"))


def write(bundle: Bundle, path: Path) -> None:
    """Raise `CannotTellError` where it cannot be written."""
    head = {
        "schema": SCHEMA,
        "decision": str(bundle.decision),
        "subject": bundle.evidence.subject.as_json(),
        "signatures": [_named(piece) for piece in bundle.evidence.signatures],
        "summaries": [_named(piece) for piece in bundle.evidence.summaries],
    }
    files = {_HEAD: json.dumps(head, indent=2, sort_keys=True).encode()}
    files |= {_BLOBS + digest.hex: content for digest, content in sorted(bundle.blobs.items())}
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    except OSError as error:
        raise CannotTellError(f"{path}: {error.strerror}") from error


def _named(piece: Piece) -> dict[str, str]:
    return {"manifest": str(piece.manifest), "content": str(Digest.of(piece.content))}


def read(path: Path) -> Bundle:
    """Raise `InvalidBundleError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = dict(_files(archive))
        return _bundle(files)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidBundleError(f"{path}: not a bundle: {why}") from error
    except (KeyError, TypeError, ValueError, RecursionError, RejectedInputError) as error:
        raise InvalidBundleError(f"{path}: a broken bundle: {error}") from error


def _files(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    entries = archive.infolist()
    if len(entries) > _MOST_FILES or sum(entry.file_size for entry in entries) > _MOST_BYTES:
        raise ValueError(f"more than {_MOST_FILES} files or {_MOST_BYTES >> 20} MiB")
    for entry in entries:
        with archive.open(entry) as file:
            # What the archive says of sizes is a claim.
            content = file.read(entry.file_size + 1)
        if len(content) > entry.file_size:
            raise ValueError(f"{entry.filename} is larger than it says")
        yield entry.filename, content


def _bundle(files: dict[str, bytes]) -> Bundle:
    head = json.loads(files[_HEAD])
    if head["schema"] != SCHEMA:
        raise ValueError(f"schema {head['schema']!r} is not known; is there a newer imagegate?")
    blobs: dict[Digest, bytes] = {}
    for name, content in files.items():
        if name.startswith(_BLOBS):
            digest = Digest.parse(f"sha256:{name.removeprefix(_BLOBS)}")
            blobs[digest] = digest.check(content, name)
    return Bundle(
        decision=Digest.parse(head["decision"]),
        evidence=ImageEvidence(
            subject=Descriptor.parse(head["subject"]),
            signatures=tuple(_piece(raw, blobs) for raw in head["signatures"]),
            summaries=tuple(_piece(raw, blobs) for raw in head["summaries"]),
        ),
        blobs=blobs,
    )


def _piece(raw: Any, blobs: dict[Digest, bytes]) -> Piece:
    content = Digest.parse(raw["content"])
    if content not in blobs:
        raise CorruptContentError(f"lacks {content}")
    return Piece(Digest.parse(raw["manifest"]), blobs[content])
