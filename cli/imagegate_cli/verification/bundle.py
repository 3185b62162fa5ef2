"""A bundle: one archive with everything that a verdict depends on, so that anyone can judge the image again.

It is a zip file: `bundle.json` names decision and image; `blobs/sha256/HEX` are policy, decisions, findings, signatures
and statements, each named by its digest. Reading trusts nothing but digests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from imagegate.errors import CorruptContentError, RecordNotFoundError, RejectedInputError
from imagegate.gate.decision_record import Decision
from imagegate.oci.image import Descriptor, Digest
from imagegate.policy.policy import Policy
from imagegate.ports.records import StoredRecords
from imagegate.strict_json import read_object
from imagegate.workflow.examination.replay import Replay
from imagegate_cli.faults import CannotTellError
from imagegate_cli.verification.evidence import ImageEvidence, Piece
from imagegate_cli.verification.members import UNREADABLE, read_members, write_members

SCHEMA = "imagegate.bundle/v1"
_HEAD = "bundle.json"
_BLOBS = "blobs/sha256/"
# A document that somebody made up can be wrong in each of these ways.
DAMAGE = (LookupError, TypeError, ArithmeticError, ValueError, AttributeError, RecursionError)


class InvalidBundleError(CannotTellError):
    """The file is not a bundle, or was changed. The message names the part."""


@dataclass(slots=True)
class Bundle:
    """A bundle in memory. `blobs` are policy, records and evidence by digest."""

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
        from imagegate.policy.file.load import parse_policy

        return parse_policy(self._get(digest, "policy"), name=str(digest))

    def _get(self, digest: Digest, kind: str) -> bytes:
        if digest not in self._blobs:
            raise RecordNotFoundError(f"the bundle lacks the {kind} {digest}")
        return self._blobs[digest]


def collect(records: StoredRecords, policy: bytes, digest: Digest, evidence: ImageEvidence) -> Bundle:
    """Collect everything that is needed to judge the decision again. `policy` is the content of the policy file."""
    bundle = Bundle(digest, evidence)
    for content in (policy, *_contents(records, digest)):
        bundle.blobs[Digest.of(content)] = content
    for piece in (*evidence.signatures, *evidence.summaries):
        bundle.blobs[Digest.of(piece.content)] = piece.content
    return bundle


def _contents(records: StoredRecords, digest: Digest, *, follow: bool = True) -> Iterator[bytes]:
    """Yield the decision, its findings, and the decisions with which it was compared."""
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
            continue  # the judge did not have it either


def _compared(decision: Decision) -> Iterator[str]:
    if decision.baseline:
        yield decision.baseline["decision"]
    if decision.newer_base:
        yield decision.newer_base["decision"]
        platforms = (decision.facts or {}).get("platforms", [])
        yield from (platform["base"]["decision"] for platform in platforms if platform.get("base"))


def write(bundle: Bundle, path: Path | BinaryIO) -> None:
    """Write the bundle to a file. Raises `CannotTellError` if the file cannot be written."""
    head = {
        "schema": SCHEMA,
        "decision": str(bundle.decision),
        "subject": bundle.evidence.subject.as_json(),
        "signatures": [_reference(piece) for piece in bundle.evidence.signatures],
        "summaries": [_reference(piece) for piece in bundle.evidence.summaries],
    }
    files = {_HEAD: json.dumps(head, indent=2, sort_keys=True).encode()}
    files |= {_BLOBS + digest.hex: content for digest, content in sorted(bundle.blobs.items())}
    write_members(path, files)


def _reference(piece: Piece) -> dict[str, str]:
    return {"manifest": str(piece.manifest), "content": str(Digest.of(piece.content))}


def read(path: Path | BinaryIO) -> Bundle:
    """Read a bundle from a file and check the digest of each blob. Raises `InvalidBundleError`."""
    try:
        return _bundle(read_members(path))
    except UNREADABLE as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidBundleError(f"{path}: not a bundle: {why}") from error
    except (*DAMAGE, RejectedInputError) as error:
        raise InvalidBundleError(f"{path}: a broken bundle: {error}") from error


def _bundle(files: dict[str, bytes]) -> Bundle:
    head = read_object(files[_HEAD], _HEAD)
    if head["schema"] != SCHEMA:
        raise ValueError(f"schema {head['schema']!r} is not known; is there a newer imagegate?")
    blobs: dict[Digest, bytes] = {}
    for name, content in files.items():
        if name == _HEAD:
            continue
        if not name.startswith(_BLOBS):
            raise ValueError(f"{name} does not belong in a bundle")
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


@dataclass(frozen=True, slots=True)
class Rerun:
    """The result of judging a bundle again. `problem` is empty if the record is confirmed."""

    decision: Decision
    problem: str = ""


def rerun(bundle: Bundle) -> Rerun:
    """Judge the bundle again on this machine; the pure judge must make the same record.

    Raises `RejectedInputError` if the record of the bundle cannot be read.
    """
    from imagegate.findings.versions import VERSIONS

    records = bundle.records()
    content = records.decision(bundle.decision)
    decision = Decision.decode(content)
    if decision.subject != bundle.evidence.subject:
        return Rerun(decision, "the bundle is about another image than its decision")
    try:
        again = Replay(records, VERSIONS).again(decision)
    except (RejectedInputError, *DAMAGE, StopIteration) as error:
        return Rerun(decision, f"it cannot be judged again: {error}")
    if again.encode() == content:
        return Rerun(decision)
    if again.verdict is not decision.verdict:
        return Rerun(decision, f"judged again it is {again.verdict}, and the record says {decision.verdict}")
    return Rerun(decision, "judged again it has another record, with the same verdict")
