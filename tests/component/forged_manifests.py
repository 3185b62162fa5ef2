"""Forgeries by whoever can push: the signature's manifest, what it points to, and answers about revocation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from imagegate.errors import RevocationError, ServiceUnavailableError
from imagegate.evidence.signature_manifest import THUMBPRINTS
from imagegate.notation.revocation import RevocationQuery
from imagegate.oci.image import Digest
from tests.component.envelopes import SUBJECT, compact
from tests.component.forging import Evidence, gates, load_envelope, manifest_of, some_payload

NOTARY = "application/vnd.cncf.notary.signature"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


def _layer(envelope: bytes, **changes: Any) -> dict[str, Any]:
    digest = str(Digest.of(envelope))
    return {"mediaType": "application/jose+json", "digest": digest, "size": len(envelope)} | changes


def other_manifest(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    layer, about = _layer(envelope), SUBJECT.as_json()
    config = {"mediaType": NOTARY, "digest": str(Digest.of(b"{}")), "size": 2}
    changes: list[dict[str, Any]] = [
        {"layers": []},
        {"layers": [layer, layer]},
        {"layers": layer},
        {"layers": None},
        {"layers": [_layer(envelope, mediaType="application/cose")]},
        {"layers": [_layer(envelope, mediaType="application/vnd.oci.image.layer.v1.tar")]},
        {"layers": [_layer(envelope, size=len(envelope) + 1)]},
        {"layers": [_layer(envelope, size=-1)]},
        {"layers": [_layer(envelope, size=2**40)]},
        {"layers": [_layer(envelope, digest=str(Digest.of(random.randbytes(4))))]},
        {"layers": [_layer(envelope, digest="sha256:x")]},
        {"subject": about | {"digest": str(Digest.of(random.randbytes(4)))}},
        {"subject": about | {"size": SUBJECT.size + 1}},
        {"subject": about | {"mediaType": DOCKER}},
        {"subject": None},
        {"artifactType": "application/vnd.example"},
        {"config": config | {"mediaType": "application/vnd.oci.image.config.v1+json"}},
        {"config": None},
        {"mediaType": DOCKER},
        {"schemaVersion": 1},
    ]
    content = compact(manifest_of(envelope, genuine.chain, **random.choice(changes)))
    return genuine.evidence(envelope, manifest=content)


def other_thumbprints(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    own = json.loads(manifest_of(envelope, genuine.chain)["annotations"][THUMBPRINTS])
    others: list[Any] = [
        json.dumps([f"{random.getrandbits(256):064x}", *own[1:]]),
        json.dumps([*own, own[-1]]),
        json.dumps(own[1:]),
        json.dumps([*own[:-1], own[-1][:-1]]),
        json.dumps(dict.fromkeys(own)),
        json.dumps([1]),
        "",
        "[",
        own,
        None,
    ]
    annotations = {THUMBPRINTS: random.choice(others)}
    content = compact(manifest_of(envelope, genuine.chain, annotations=annotations))
    return genuine.evidence(envelope, manifest=content)


def manifest_bytes(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    content = compact(manifest_of(envelope, genuine.chain))
    contents = [
        content[: random.randrange(len(content))],
        content + b"x",
        content[:-1] + b',"layers":[]}',
        b'{"subject":{},' + content[1:],
        content.decode().encode("utf-16"),
        b"[" * 50_000,
        content[:-1] + b',"a":' + b"9" * 5_000 + b"}",
        content[:-1] + b',"a":' + b"[" * 900 + b"]" * 900 + b"}",
    ]
    return genuine.evidence(envelope, manifest=random.choice(contents))


def other_envelope(random: Random) -> Evidence:
    """Let the registry return other bytes than the manifest names, even genuine ones."""
    genuine, envelope = load_envelope(random)
    _, other = load_envelope(random)
    while other == envelope:
        _, other = load_envelope(random)
    return genuine.evidence(other, manifest=compact(manifest_of(envelope, genuine.chain)))


def other_format(random: Random) -> Evidence:
    genuine, envelope = load_envelope(random)
    kinds = ["application/cose", "application/jose", "application/JOSE+JSON", "", "application/json"]
    return genuine.evidence(envelope, media_type=random.choice(kinds))


def revoked(random: Random) -> Evidence:
    """Revoke a genuine signature."""
    genuine = random.choice(gates())
    evidence = genuine.signed(payload=some_payload(random))
    return replace(
        evidence, revoked=random.choice([_everything, _one_certificate, _unreachable, _unknown, None])
    )


def _everything(query: RevocationQuery) -> Sequence[str]:
    return [query.job_arn, query.profile_version_arn]


def _one_certificate(query: RevocationQuery) -> Sequence[str]:
    return query.certificate_hashes[:1]


def _unreachable(_: RevocationQuery) -> Sequence[str]:
    raise ServiceUnavailableError("GetRevocationStatus")


def _unknown(_: RevocationQuery) -> Sequence[str]:
    raise RevocationError("GetRevocationStatus")


FORGED_MANIFESTS = {
    "other manifest": other_manifest,
    "other thumbprints": other_thumbprints,
    "bytes of the manifest": manifest_bytes,
    "other envelope": other_envelope,
    "other format": other_format,
    "revoked": revoked,
}
