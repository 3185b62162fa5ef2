"""The signed payload: the descriptor of one image, with annotations.

Source: notaryproject signature specification, "Payload".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagegate.errors import IntegrityError
from imagegate.notation.attributes import NOTARY
from imagegate.strict_json import SIGNED_DEPTH, read_object, require_keys, shown

if TYPE_CHECKING:
    from imagegate.oci.image import Descriptor

_REQUIRED = frozenset({"mediaType", "digest", "size"})
_OPTIONAL = frozenset({"annotations", "artifactType"})


def signed_annotations(content: bytes, subject: Descriptor) -> dict[str, str]:
    """Return the signed annotations. Raises `IntegrityError` unless the payload is about `subject` and nothing else."""
    payload = read_object(content, "the payload", IntegrityError, depth=SIGNED_DEPTH)
    require_keys(payload, frozenset({"targetArtifact"}), "the payload", IntegrityError)
    name = "the payload's targetArtifact"
    target = require_keys(payload["targetArtifact"], _REQUIRED, name, IntegrityError, _OPTIONAL)
    descriptor = {key: target[key] for key in _REQUIRED}
    # `==` alone is not enough: in Python, 1 == 1.0 == True.
    if type(target["size"]) is not int or descriptor != subject.as_json():
        raise IntegrityError(f"signed is {shown(descriptor)}, not {subject.as_json()}")
    if not isinstance(target.get("artifactType", ""), str):
        raise IntegrityError(f"{name}: artifactType is not a text")
    return _annotations(target.get("annotations", {}))


def _annotations(annotations: Any) -> dict[str, str]:
    is_text = isinstance(annotations, dict) and all(isinstance(text, str) for text in annotations.values())
    if not is_text or any(name.startswith(NOTARY) for name in annotations):
        raise IntegrityError("the signed annotations are not texts under names of their own")
    return dict(annotations)
