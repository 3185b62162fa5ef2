"""The list of referrers that clients keep under a tag where the registry keeps none.

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


def with_referrer(listed: Manifest | None, referrer: Manifest) -> Manifest | None:
    """The list with this referrer too; None when it is there already. What others wrote stays as it is."""
    if listed is None:
        return _index({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_entry(referrer)]})
    if listed.media_type != OCI_INDEX:
        raise RejectedInputError(f"under the tag for referrers lies no index, but {listed.media_type}")
    if any(entry.digest == referrer.digest for entry in listed.children):
        return None
    document = json.loads(listed.content)
    return _index({**document, "manifests": [*(document.get("manifests") or []), _entry(referrer)]})


def _entry(referrer: Manifest) -> dict[str, Any]:
    optional = {"artifactType": referrer.artifact_type, "annotations": referrer.annotations}
    return referrer.descriptor.as_json() | {name: value for name, value in optional.items() if value}


def _index(document: dict[str, Any]) -> Manifest:
    return Manifest.parse(json.dumps(document, separators=(",", ":")).encode(), OCI_INDEX)
