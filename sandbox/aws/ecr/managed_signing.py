"""ECR's managed signing: a rule names the profile with which ECR signs each push, with the permissions of the pusher.

Source: the service model of PutSigningConfiguration and DescribeImageSigningStatus. Unverified: children of an index
are signed too, images with a subject are not, and the codes of failures. Here ECR signs before it answers the push.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.iam import principals
from sandbox.aws.signer import jobs
from sandbox.aws.signer.requests import SignerError
from sandbox.registry import index, layers, wildcard
from sandbox.registry.manifests import OCI_MANIFEST, StoredManifest, sha256
from sandbox.registry.store import store

_KIND = "application/vnd.cncf.notary.signature"
_ENVELOPE = "application/jose+json"
_THUMBPRINTS = "io.cncf.notary.x509chain.thumbprint#S256"


@dataclass(slots=True)
class ManagedSigning:
    """The configuration (None until it is put) and the statuses by repository and digest."""

    configuration: dict[str, Any] | None = None
    statuses: dict[tuple[str, str], list[dict[str, str]]] = field(default_factory=dict)

    def profiles_for(self, repository: str) -> list[str]:
        rules = (self.configuration or {}).get("rules", [])
        profiles = [rule["signingProfileArn"] for rule in rules if _covers_repository(rule, repository)]
        return list(dict.fromkeys(profiles))


def _covers_repository(rule: dict[str, Any], repository: str) -> bool:
    filters = rule.get("repositoryFilters") or []
    return not filters or any(wildcard.matches(one["filter"], repository) for one in filters)


def state() -> ManagedSigning:
    """Return the state of this sandbox's registry; make it if there is none."""
    signing = store().managed_signing = store().managed_signing or ManagedSigning()
    assert isinstance(signing, ManagedSigning)
    return signing


def sign_push(repo: Any, manifest: StoredManifest, caller: str) -> None:
    """Sign an image that is new in the repository."""
    if manifest.subject:
        return
    for profile in state().profiles_for(repo.name):
        failure = _sign(repo, manifest, profile, caller)
        status = {"signingProfileArn": profile, "status": "FAILED" if failure else "COMPLETE"} | failure
        state().statuses.setdefault((repo.name, manifest.digest), []).append(status)


def _sign(repo: Any, manifest: StoredManifest, profile: str, caller: str) -> dict[str, str]:
    """Sign the image with one profile; return the failure, or an empty dict."""
    if not principals.is_allowed(caller, "signer:SignPayload", profile):
        who = principals.principal_arn(caller) or caller
        return _failure("AccessDeniedException", f"{who} is not authorized to perform: signer:SignPayload")
    subject = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.size}
    try:
        envelope, chain = jobs.sign_for_service(profile, json.dumps({"targetArtifact": subject}).encode())
    except SignerError as error:
        return _failure(error.code, error.message)
    _push(repo, subject, envelope, chain)
    return {}


def _failure(code: str, reason: str) -> dict[str, str]:
    return {"failureCode": code, "failureReason": reason}


def _push(repo: Any, subject: dict[str, Any], envelope: bytes, chain: list[str]) -> None:
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": _KIND,
        "config": _blob(repo, _KIND, b"{}"),
        "layers": [_blob(repo, _ENVELOPE, envelope)],
        "subject": subject,
        "annotations": {_THUMBPRINTS: json.dumps(chain)},
    }
    index.put_image(repo, json.dumps(document), media_type=OCI_MANIFEST)


def _blob(repo: Any, media_type: str, content: bytes) -> dict[str, Any]:
    upload = layers.begin(repo)
    upload.append(io.BytesIO(content))
    layers.finish(repo, upload, None)
    return {"mediaType": media_type, "digest": sha256(content), "size": len(content)}
