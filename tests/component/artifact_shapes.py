"""Artifacts that tools push and that do not run, from the tools' sources and specifications, which each one names."""

from __future__ import annotations

from typing import Any

from imagegate.oci.image import (
    OCI_EMPTY,
)
from tests.component.shape_bench import (
    GZIP,
    NOTATION,
    Bench,
    Shape,
)


def embedded(bench: Bench) -> dict[str, Any]:
    config = bench.blob(b"{}", OCI_EMPTY, data="e30=")
    return bench.artifact(
        [bench.layer("x", "application/vnd.example")], config, artifactType="application/vnd.example"
    )


def cosign_signature(bench: Bench) -> dict[str, Any]:
    signed = {
        "critical": {"identity": {}, "image": {}, "type": "cosign container image signature"},
        "optional": None,
    }
    annotations = {
        "dev.cosignproject.cosign/signature": "MEU=",
        "dev.sigstore.cosign/bundle": '{"SignedEntryTimestamp": ""}',
    }
    layer = bench.blob(signed, "application/vnd.dev.cosign.simplesigning.v1+json", annotations=annotations)
    rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
    config = {
        "architecture": "",
        "created": "0001-01-01T00:00:00Z",
        "history": [{}],
        "os": "",
        "rootfs": rootfs,
    }
    return bench.oci({**config, "config": {}}, [layer])


def cosign_attestation(bench: Bench) -> dict[str, Any]:
    envelope = {
        "payloadType": "application/vnd.in-toto+json",
        "payload": "e30=",
        "signatures": [{"keyid": "", "sig": ""}],
    }
    layer = bench.blob(
        envelope,
        "application/vnd.dsse.envelope.v1+json",
        annotations={"predicateType": "cosign.sigstore.dev"},
    )
    config = {
        "architecture": "",
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        "config": {},
    }
    return bench.oci(config, [layer])


def cosign_sbom(bench: Bench) -> dict[str, Any]:
    document = bench.blob({"spdxVersion": "SPDX-2.3", "packages": []}, "text/spdx+json")
    config = {
        "architecture": "",
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": [document["digest"]]},
        "config": {},
    }
    return bench.oci(config, [document])


def cosign_bundle(bench: Bench) -> dict[str, Any]:
    kind = "application/vnd.dev.sigstore.bundle.v0.3+json"
    layer = bench.blob({"mediaType": kind, "dsseEnvelope": {}}, kind)
    annotations = {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "org.opencontainers.image.created": "2026-06-01T10:00:00Z",
    }
    return bench.artifact([layer], artifactType=kind, subject=bench.oci(), annotations=annotations)


def referrers_tag(bench: Bench) -> dict[str, Any]:
    return bench.index(
        {**cosign_bundle(bench), "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json"}
    )


def notation(bench: Bench) -> dict[str, Any]:
    annotations = {"io.cncf.notary.x509chain.thumbprint#S256": '["aa"]'}
    layer = bench.blob(
        {"payload": "", "protected": "", "header": {}, "signature": ""}, "application/jose+json"
    )
    return bench.artifact([layer], bench.blob(b"{}", NOTATION), subject=bench.oci(), annotations=annotations)


def helm(bench: Bench) -> dict[str, Any]:
    chart = {
        "name": "shop",
        "version": "1.0.0",
        "apiVersion": "v2",
        "dependencies": [],
        "annotations": {"a": "b"},
    }
    layers = [
        bench.layer("chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
        bench.layer("prov", "application/vnd.cncf.helm.chart.provenance.v1.prov"),
    ]
    return bench.artifact(
        layers, bench.blob(chart, "application/vnd.cncf.helm.config.v1+json"), annotations={"title": "shop"}
    )


def oras(bench: Bench) -> dict[str, Any]:
    file = bench.layer(
        "file",
        "application/vnd.oci.image.layer.v1.tar",
        annotations={"org.opencontainers.image.title": "a.txt"},
    )
    return bench.artifact(
        [file], bench.blob(b"{}", OCI_EMPTY, data="e30="), artifactType="application/vnd.unknown.artifact.v1"
    )


def oras_old(bench: Bench) -> dict[str, Any]:
    folder = bench.layer("folder", GZIP, annotations={"io.deis.oras.content.unpack": "true"})
    return bench.artifact([folder], bench.blob(b"{}", "application/vnd.unknown.config.v1+json"))


def flux(bench: Bench) -> dict[str, Any]:
    layer = bench.layer("flux", "application/vnd.cncf.flux.content.v1.tar+gzip")
    config = bench.blob({"createdAt": "2026-06-01"}, "application/vnd.cncf.flux.config.v1+json")
    return bench.artifact([layer], config)


def wasm(bench: Bench) -> dict[str, Any]:
    module = bench.layer("wasm", "application/wasm")
    config = {
        "architecture": "wasm",
        "os": "wasip1",
        "created": "2026-06-01T10:00:00Z",
        "layerDigests": [module["digest"]],
    }
    return bench.artifact([module], bench.blob(config, "application/vnd.wasm.config.v0+json"))


def soci_v1(bench: Bench) -> dict[str, Any]:
    kind = "application/vnd.amazon.soci.index.v1+json"
    layers = [bench.layer("ztoc", "application/octet-stream")]
    return bench.artifact(layers, bench.blob(b"{}", kind), artifactType=kind, subject=bench.oci())


ARTIFACTS = {
    "cosign signature": Shape("sigstore/cosign SIGNATURE_SPEC.md; pkg/oci/mutate", cosign_signature),
    "cosign attestation": Shape("sigstore/cosign ATTESTATION_SPEC.md", cosign_attestation),
    "cosign SBOM": Shape("sigstore/cosign SBOM_SPEC.md", cosign_sbom),
    "cosign bundle": Shape("sigstore/cosign BUNDLE_SPEC.md", cosign_bundle),
    "referrers tag": Shape("distribution-spec, Referrers Tag Schema", referrers_tag),
    "notation": Shape("notaryproject/specifications signature-specification.md", notation),
    "helm": Shape("helm/helm pkg/registry; HIP 6", helm),
    "oras": Shape("oras-project/oras-go content/file/file.go: its default type is an image's layer", oras),
    "oras, before 1.0": Shape("oras-project/oras-go v1; application/vnd.unknown.config.v1+json", oras_old),
    "flux": Shape("fluxcd/pkg oci/media_types.go", flux),
    "wasm": Shape("CNCF TAG Runtime, WASM OCI Artifact layout", wasm),
    "soci, standalone": Shape("awslabs/soci-snapshotter soci/soci_index.go", soci_v1),
    "embedded content": Shape("image-spec descriptor.md, Embedded Content", embedded),
}
