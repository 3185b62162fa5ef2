"""A signature's manifest in both forms, and a whole signature verified by a trust policy document."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from imagegate.errors import IntegrityError, TrustPolicyError, UnsupportedEnvelopeError
from imagegate.evidence.signature_manifest import THUMBPRINTS, read_signature_manifest
from imagegate.notation.trust_policy import Level, StoreName, StoreType
from imagegate.notation.trust_policy_document import parse_trust_policy
from imagegate.notation.trust_store import TrustStore
from imagegate.notation.verifier import Verified, Verifier
from imagegate.oci.image import Descriptor, Digest
from tests.component.envelopes import IDENTITY, NOW, SIGNED, SUBJECT, good_chain, good_envelope, good_root
from tests.component.verifying import nothing_revoked

REPOSITORY = "registry.example/shop-dev"
NOTARY = "application/vnd.cncf.notary.signature"
EMPTY = "application/vnd.oci.empty.v1+json"
LAYER = {
    "mediaType": "application/jose+json",
    "digest": str(Digest.of(good_envelope())),
    "size": len(good_envelope()),
}


def thumbprints() -> list[str]:
    from imagegate.notation.certificates import thumbprint

    return [thumbprint(certificate) for certificate in good_chain()]


def manifest(**changes: Any) -> bytes:
    """Return the form that every client finds; a value of None leaves its key out."""
    usual = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": NOTARY,
        "config": config(NOTARY),
        "layers": [LAYER],
        "subject": SUBJECT.as_json(),
        "annotations": {THUMBPRINTS: json.dumps(thumbprints())},
    }
    return json.dumps({key: value for key, value in (usual | changes).items() if value is not None}).encode()


def config(media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(b"{}")), "size": 2}


FORMS: dict[str, dict[str, Any]] = {
    "both": {},
    "with artifactType": {"config": config(EMPTY)},
    "by the config": {"artifactType": None},
    "config with data": {"config": config(EMPTY) | {"data": "e30="}},
    "capitals": {"annotations": {THUMBPRINTS: json.dumps([one.upper() for one in thumbprints()])}},
}


@pytest.mark.parametrize("changes", FORMS.values(), ids=FORMS.keys())
def test_both_forms_of_a_signature_are_read(changes: dict[str, Any]) -> None:
    found = read_signature_manifest(manifest(**changes), SUBJECT)
    assert found.envelope == Descriptor.parse(LAYER)
    assert found.thumbprints == tuple(thumbprints())


BROKEN: dict[str, bytes] = {
    "not JSON": b"{",
    "too large": manifest() + b" " * 2**22,
    "duplicate key": manifest()[:-1] + b', "layers": []}',
    "other schema": manifest(schemaVersion=1),
    "no media type": manifest(mediaType=None),
    "Docker's media type": manifest(mediaType="application/vnd.docker.distribution.manifest.v2+json"),
    "other artifact type": manifest(artifactType="application/vnd.example"),
    "artifact type a list": manifest(artifactType=[NOTARY]),
    "an image": manifest(artifactType=None, config=config("application/vnd.oci.image.config.v1+json")),
    "only empty": manifest(artifactType=None, config=config(EMPTY)),
    "config of an image": manifest(config=config("application/vnd.oci.image.config.v1+json")),
    "no config": manifest(config=None),
    "no layers": manifest(layers=[]),
    "layers missing": manifest(layers=None),
    "two layers": manifest(layers=[LAYER, LAYER]),
    "layer a text": manifest(layers=["x"]),
    "layer without digest": manifest(layers=[{"mediaType": "application/jose+json", "size": 1}]),
    "no subject": manifest(subject=None),
    "other subject": manifest(subject=SUBJECT.as_json() | {"digest": str(Digest.of(b"another"))}),
    "other size": manifest(subject=SUBJECT.as_json() | {"size": 9}),
    "other type": manifest(subject=SUBJECT.as_json() | {"mediaType": "application/vnd.example"}),
    "no annotations": manifest(annotations=None),
    "no thumbprints": manifest(annotations={"x": "y"}),
    "thumbprints a list": manifest(annotations={THUMBPRINTS: thumbprints()}),
    "thumbprints not JSON": manifest(annotations={THUMBPRINTS: "x"}),
    "thumbprints numbers": manifest(annotations={THUMBPRINTS: "[1]"}),
    "thumbprints nested without end": manifest(annotations={THUMBPRINTS: "[" * 100_000}),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_anything_but_the_manifest_of_a_signature_is_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError):
        read_signature_manifest(content, SUBJECT)


@pytest.mark.parametrize(
    ("media_type", "match"), [("application/cose", "^COSE"), ("text/plain", "'text/plain'")]
)
def test_another_envelope_is_not_supported(media_type: str, match: str) -> None:
    with pytest.raises(UnsupportedEnvelopeError, match=match):
        read_signature_manifest(manifest(layers=[LAYER | {"mediaType": media_type}]), SUBJECT)


def verify(
    content: bytes, *, repository: str = REPOSITORY, blob: Callable[[Descriptor], bytes] | None = None
) -> Verified:
    document = {
        "version": "1.0",
        "trustPolicies": [
            {
                "name": "gate",
                "registryScopes": [REPOSITORY],
                "signatureVerification": {"level": "strict"},
                "trustStores": ["signingAuthority:aws"],
                "trustedIdentities": [IDENTITY],
            },
            {
                "name": "none",
                "registryScopes": ["registry.example/unsigned"],
                "signatureVerification": {"level": "skip"},
            },
        ],
    }
    store = StoreName(StoreType.SIGNING_AUTHORITY, "aws")
    verifier = Verifier(
        parse_trust_policy(json.dumps(document).encode()),
        {store: TrustStore(frozenset({good_root()}))},
        nothing_revoked,
    )
    return verifier.verify(repository, SUBJECT, content, blob or (lambda _: good_envelope()), at=NOW)


def test_a_whole_signature_holds() -> None:
    assert verify(manifest()).annotations == SIGNED


def test_no_policy_is_no_signature() -> None:
    with pytest.raises(TrustPolicyError):
        verify(manifest(), repository="registry.example/other")


def test_signatures_of_a_skipped_repository_are_not_read() -> None:
    assert verify(b"", repository="registry.example/unsigned").level is Level.SKIP


@pytest.mark.parametrize("content", [b"", good_envelope() + b" ", b" " * len(good_envelope())])
def test_other_bytes_than_the_manifest_names_are_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError):
        verify(manifest(), blob=lambda _: content)


def test_a_huge_envelope_is_not_even_fetched() -> None:
    def blob(_: Descriptor) -> bytes:
        raise AssertionError

    with pytest.raises(IntegrityError, match="at most"):
        verify(manifest(layers=[LAYER | {"size": 2**16 + 1}]), blob=blob)


@pytest.mark.parametrize("named", [[], thumbprints()[:3], thumbprints()[::-1], ["0" * 64] * 4])
def test_the_manifest_names_the_certificates_of_the_envelope(named: list[str]) -> None:
    with pytest.raises(IntegrityError, match="other certificates"):
        verify(manifest(annotations={THUMBPRINTS: json.dumps(named)}))
