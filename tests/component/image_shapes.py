"""Images as tools push them, from their sources and specifications: each says where its shape is from."""

from __future__ import annotations

from typing import Any

from imagegate.oci.image import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    Digest,
)
from tests.component.shape_bench import (
    DOCKER_FOREIGN,
    DOCKER_GZIP,
    GZIP,
    IN_TOTO,
    LEGACY_CONTAINER,
    SOCI,
    STATEMENT,
    ZSTD,
    Bench,
    Shape,
    on,
)


def _attested(bench: Bench, image: dict[str, Any], attestation: dict[str, Any]) -> dict[str, Any]:
    annotations = {
        "vnd.docker.reference.digest": image["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    return bench.index(
        on(image, "linux/amd64"), {**on(attestation, "unknown/unknown"), "annotations": annotations}
    )


def buildx_new(bench: Bench) -> dict[str, Any]:
    image = bench.oci()
    kind = "application/vnd.docker.attestation.manifest.v1+json"
    statement = bench.blob(
        STATEMENT, IN_TOTO, annotations={"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}
    )
    return _attested(bench, image, bench.artifact([statement], artifactType=kind, subject=image))


def buildx_old(bench: Bench) -> dict[str, Any]:
    statements = [
        bench.blob({**STATEMENT, "subject": [{"name": name}]}, IN_TOTO) for name in ("sbom", "provenance")
    ]
    rootfs = {"type": "layers", "diff_ids": [statement["digest"] for statement in statements]}
    config = {"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": rootfs}
    return _attested(bench, bench.oci(), bench.oci(config, statements))


def buildx_platforms(bench: Bench) -> dict[str, Any]:
    children = []
    for platform in (
        "linux/amd64",
        "linux/arm64",
        "linux/arm/v7",
        "linux/arm/v6",
        "linux/386",
        "linux/riscv64",
    ):
        config = bench.config(platform=platform) | {"moby.buildkit.buildinfo.v1": "eyJmcm9udGVuZCI6IiJ9"}
        config["config"]["ArgsEscaped"] = True
        children.append(on(bench.oci(config), platform))
    return bench.index(*children, annotations={"org.opencontainers.image.created": "2026-06-01T10:00:00Z"})


def docker_legacy(bench: Bench) -> dict[str, Any]:
    more: dict[str, Any] = {
        "container": "c0ffee",
        "container_config": {**LEGACY_CONTAINER, "Cmd": ["/bin/sh", "-c", "#(nop)"]},
    }
    config = bench.config(config=LEGACY_CONTAINER, docker_version="19.03.8", id="c0ffee", parent="") | more
    return bench.docker(config)


def docker_list(bench: Bench) -> dict[str, Any]:
    children = [
        on(bench.docker(), "linux/amd64"),
        on(bench.docker(bench.config(platform="linux/arm64")), "linux/arm64/v8"),
    ]
    return bench.push(DOCKER_LIST, mediaType=DOCKER_LIST, manifests=children)


def healthcheck(bench: Bench) -> dict[str, Any]:
    container = {
        "User": "10001:10001",
        "ExposedPorts": {"8080/tcp": {}},
        "Volumes": {"/Data": {}, "/data": {}},
        "Labels": {"Maintainer": "a", "maintainer": "b"},
        "StopSignal": "SIGTERM",
        "Shell": ["/bin/sh", "-c"],
        "Healthcheck": {"Test": ["CMD", "curl"], "Interval": 30000000000, "Retries": 3},
        "OnBuild": [],
    }
    return bench.oci(bench.config(config=container))


def buildah_old(bench: Bench) -> dict[str, Any]:
    return bench.oci(
        mediaType=None, annotations={"org.opencontainers.image.base.digest": "", "io.buildah.version": "1.23"}
    )


def podman_list(bench: Bench) -> dict[str, Any]:
    arm = bench.oci(bench.config(platform="linux/arm64/v8"), mediaType=None)
    children = [on(bench.oci(mediaType=None), "linux/amd64"), on(arm, "linux/arm64/v8")]
    return bench.push(OCI_INDEX, manifests=children)


def podman_zstd(bench: Bench) -> dict[str, Any]:
    annotations = {
        "io.github.containers.zstd-chunked.manifest-checksum": f"sha256:{'a' * 64}",
        "io.github.containers.zstd-chunked.manifest-position": "4096:512:2048:1",
    }
    chunked = bench.oci(layers=[bench.layer("zstd", ZSTD, annotations=annotations)])
    preferred = {"io.github.containers.compression.zstd": "true"}
    return bench.index(
        on(bench.oci(), "linux/amd64"), {**on(chunked, "linux/amd64"), "annotations": preferred}
    )


def kaniko(bench: Bench) -> dict[str, Any]:
    config = bench.config(2, author="kaniko", container="", config={**LEGACY_CONTAINER, "ArgsEscaped": True})
    return bench.docker(config, [bench.layer("a", DOCKER_GZIP), bench.layer("b", DOCKER_GZIP)])


def ko(bench: Bench) -> dict[str, Any]:
    annotations = {
        "org.opencontainers.image.base.digest": f"sha256:{'b' * 64}",
        "org.opencontainers.image.base.name": "a",
    }
    config = bench.config(2, author="github.com/ko-build/ko", created="1970-01-01T00:00:00Z")
    image = bench.oci(config, [bench.layer("kodata"), bench.layer("app")], annotations=annotations)
    return bench.index(on(image, "linux/amd64"), annotations=annotations)


def jib(bench: Bench) -> dict[str, Any]:
    container = {
        "Env": [],
        "Entrypoint": ["java"],
        "ExposedPorts": {},
        "Labels": {},
        "Volumes": {},
        "User": "",
    }
    history = [
        {"created": "1970-01-01T00:00:00Z", "author": "Jib", "created_by": "jib", "comment": "dependencies"}
    ]
    config = bench.config(3, config=container, history=history, created="1970-01-01T00:00:00Z")
    return bench.docker(
        config, [bench.layer(name, DOCKER_GZIP) for name in ("dependencies", "resources", "classes")]
    )


def bazel(bench: Bench) -> dict[str, Any]:
    config = bench.config(1)
    del config["history"], config["created"]
    return bench.index(on(bench.oci(config), "linux/amd64"))


def crane_append(bench: Bench) -> dict[str, Any]:
    config = bench.blob(bench.config(2), DOCKER_CONFIG)
    layers = [bench.layer("base", DOCKER_GZIP), bench.layer("app", GZIP)]
    return bench.push(DOCKER_MANIFEST, mediaType=DOCKER_MANIFEST, config=config, layers=layers)


def crane_from_nothing(bench: Bench) -> dict[str, Any]:
    rootfs = {"type": "layers", "diff_ids": [str(Digest.of(b"0"))]}
    config = {
        "architecture": "",
        "created": "0001-01-01T00:00:00Z",
        "history": [{}],
        "os": "",
        "rootfs": rootfs,
    }
    return bench.docker({**config, "config": {}})


def estargz(bench: Bench) -> dict[str, Any]:
    annotations = {
        "containerd.io/snapshot/stargz/toc.digest": f"sha256:{'c' * 64}",
        "io.containers.estargz.uncompressed-size": "7",
    }
    return bench.oci(layers=[bench.layer(annotations=annotations)])


def soci(bench: Bench) -> dict[str, Any]:
    """Return an image and its index, which name each other: AWS's tool changes the image first."""
    index = bench.artifact(
        [
            bench.layer(
                "ztoc", "application/octet-stream", annotations={"com.amazon.soci.span-size": "4194304"}
            )
        ],
        bench.blob(b"{}", SOCI),
        artifactType=SOCI,
    )
    image = bench.oci(annotations={"com.amazon.soci.index-digest": index["digest"]})
    about = {"com.amazon.soci.image-manifest-digest": image["digest"]}
    named = {**on(image, "linux/amd64"), "annotations": {"com.amazon.soci.index-digest": index["digest"]}}
    return bench.index(named, {**on(index, "linux/amd64"), "artifactType": SOCI, "annotations": about})


def soci_with_attestation(bench: Bench) -> dict[str, Any]:
    bench_index = bench.artifact(
        [bench.layer("z", "application/octet-stream")], bench.blob(b"{}", SOCI), artifactType=SOCI
    )
    image = bench.oci()
    statement = bench.artifact([bench.blob(STATEMENT, IN_TOTO)], subject=image)
    annotations = {
        "vnd.docker.reference.digest": image["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    about = {"com.amazon.soci.image-manifest-digest": image["digest"]}
    return bench.index(
        on(image, "linux/amd64"),
        {**on(statement, "unknown/unknown"), "annotations": annotations},
        {**on(bench_index, "linux/amd64"), "artifactType": SOCI, "annotations": about},
    )


def windows(bench: Bench) -> dict[str, Any]:
    build = {"os.version": "10.0.20348.2700", "os.features": ["win32k"]}
    config = bench.config(2, "windows/amd64", **build)
    base = bench.layer(
        "base", DOCKER_FOREIGN, urls=["https://mcr.microsoft.com/v2/windows/nanoserver/blobs/x"]
    )
    image = bench.docker(config, [base, bench.layer("app", DOCKER_GZIP)])
    return bench.push(DOCKER_LIST, mediaType=DOCKER_LIST, manifests=[on(image, "windows/amd64", **build)])


def with_artifact_type(bench: Bench) -> dict[str, Any]:
    return bench.oci(artifactType="application/vnd.example.app.v1", subject=bench.oci())


def wasm_in_an_image(bench: Bench) -> dict[str, Any]:
    layer = bench.layer("wasm", "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm")
    return bench.oci(bench.config(1, "wasip1/wasm"), [layer])


def no_layers(bench: Bench) -> dict[str, Any]:
    return bench.oci(bench.config(0), [])


def one_layer_often(bench: Bench) -> dict[str, Any]:
    empty = bench.layer("empty", DOCKER_GZIP)
    return bench.docker(bench.config(3), [empty, bench.layer("app", DOCKER_GZIP), empty])


def nested(bench: Bench) -> dict[str, Any]:
    return bench.index(buildx_new(bench), buildx_platforms(bench))


def nerdctl_encrypted(bench: Bench) -> dict[str, Any]:
    annotations = {
        "org.opencontainers.image.enc.keys.jwe": "e30=",
        "org.opencontainers.image.enc.pubopts": "e30=",
    }
    return bench.oci(layers=[bench.layer("secret", f"{GZIP}+encrypted", annotations=annotations)])


IMAGES = {
    "buildx, attestation as an artifact": Shape(
        "moby/buildkit exporter/containerimage/writer.go", buildx_new, 1
    ),
    "buildx, attestation as an image": Shape(
        "BuildKit, docs/attestations/attestation-storage.md", buildx_old, 1
    ),
    "buildx, many platforms": Shape("moby/buildkit; buildinfo of before 0.12", buildx_platforms, 6),
    "docker, before BuildKit": Shape("moby image/spec/spec-v1.2.md; container_config", docker_legacy, 1),
    "docker manifest list": Shape("distribution, manifest-v2-2.md", docker_list, 2),
    "labels and volumes that differ by case": Shape(
        "image-spec config.md; Docker's Healthcheck", healthcheck, 1
    ),
    "buildah, before mediaType": Shape(
        "containers/buildah image.go; image-spec 1.0 has no mediaType", buildah_old, 1
    ),
    "podman manifest, before mediaType": Shape("containers/common libimage/manifests", podman_list, 2),
    "podman, zstd:chunked beside gzip": Shape(
        "containers/storage pkg/chunked; containers/image oci_index.go", podman_zstd, 2
    ),
    "kaniko": Shape(
        "GoogleContainerTools/kaniko pkg/executor; go-containerregistry v1.ConfigFile", kaniko, 1
    ),
    "ko": Shape("ko-build/ko pkg/build/gobuild.go", ko, 1),
    "jib": Shape("GoogleContainerTools/jib image/json/ContainerConfigurationTemplate.java", jib, 1),
    "rules_oci": Shape("bazel-contrib/rules_oci oci/private/image.sh", bazel, 1),
    "crane append": Shape(
        "go-containerregistry pkg/v1/mutate; types of base and layer are kept", crane_append, 1
    ),
    "crane append to nothing": Shape("go-containerregistry pkg/v1/empty", crane_from_nothing, 1),
    "eStargz": Shape("containerd/stargz-snapshotter docs/estargz.md", estargz, 1),
    "soci convert": Shape("awslabs/soci-snapshotter soci/soci_convert.go", soci, 1),
    "soci convert of what buildx made": Shape(
        "the same, with the attestation kept", soci_with_attestation, 1
    ),
    "windows with a foreign base": Shape(
        "distribution, manifest-v2-2.md, urls; mcr.microsoft.com", windows, 1, True
    ),
    "an artifact type and a subject": Shape(
        "image-spec manifest.md; no runtime minds them", with_artifact_type, 1
    ),
    "wasm in an image": Shape("containerd/runwasi crates/oci-tar-builder", wasm_in_an_image, 1, True),
    "no layers": Shape("a Dockerfile FROM scratch with nothing but metadata", no_layers, 1),
    "one layer often": Shape("Docker's empty layer of builders of before", one_layer_often, 1),
    "nested": Shape("image-spec image-index.md; Docker's `imagetools create` of indexes", nested, 7),
    "ocicrypt": Shape("containers/ocicrypt spec; nerdctl image encrypt", nerdctl_encrypted, 1, True),
}
