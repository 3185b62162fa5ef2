"""The index of referrers that clients keep under a tag if the registry has no referrers API.

Distribution specification 1.1, "Referrers Tag Schema". No I/O.
"""

from __future__ import annotations

import json
from typing import Any

from imagegate.errors import RejectedInputError
from imagegate.oci.image import OCI_INDEX, Digest
from imagegate.oci.manifest import Manifest


def tag_of(subject: Digest) -> str:
    return f"sha256-{subject.hex}"


def with_referrer(index: Manifest | None, referrer: Manifest) -> Manifest | None:
    """Return the index with this referrer added, or None if it has it already. Other entries are not changed."""
    if index is None:
        return _index({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_entry(referrer)]})
    if index.media_type != OCI_INDEX:
        raise RejectedInputError(f"the tag for referrers is not on an index, but on {index.media_type}")
    if any(entry.digest == referrer.digest for entry in index.children):
        return None
    document = json.loads(index.content)
    return _index({**document, "manifests": [*(document.get("manifests") or []), _entry(referrer)]})


def _entry(referrer: Manifest) -> dict[str, Any]:
    optional = {"artifactType": referrer.artifact_type, "annotations": referrer.annotations}
    return referrer.descriptor.as_json() | {name: value for name, value in optional.items() if value}


def _index(document: dict[str, Any]) -> Manifest:
    return Manifest.parse(json.dumps(document, separators=(",", ":")).encode(), OCI_INDEX)
