"""Images and indexes that the sandbox builds are what other programs build, and its registry takes them."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.images import packing
from sandbox.images.build import LayoutImage, LayoutIndex, based_on, build_image, build_index
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from sandbox.session import find_session
from tests.contract.registry_sandbox import Repository, Sandbox

PLATFORMS = {"linux/amd64": {"app": b"amd"}, "linux/arm64/v8": {"app": b"arm"}, "linux/s390x": {"app": b"z"}}
needs_skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")


@pytest.fixture
def repo(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    yield sandbox.repository()
    sandbox.settings.quirks.tag_on_child = False


def pushed(repo: Repository, folder: Path) -> list[tuple[str, str | None]]:
    push(folder, SandboxReference(repo.name, "v1"), find_session(repo.sandbox.settings.state))
    return [(event["image-digest"], event.get("image-tag")) for event in repo.events()]


def document(folder: Path, digest: str) -> Any:
    return json.loads((folder / "blobs" / digest.replace(":", "/")).read_text())


def config_of(image: LayoutImage) -> Any:
    return document(image.folder, document(image.folder, image.digest)["config"]["digest"])


def children(index: LayoutIndex) -> list[Any]:
    listed: list[Any] = document(index.folder, index.digest)["manifests"]
    return listed


@pytest.mark.parametrize("size", [0, 1, 0xFFFF, 0x10000, 300_000])
def test_layers_are_gzip_of_any_size(size: int) -> None:
    assert gzip.decompress(packing.gzip(b"x" * size)) == b"x" * size


@pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed")
@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_layers_are_zstd_of_any_size(size: int) -> None:
    packed = packing.zstd(b"x" * size)
    assert subprocess.run(["zstd", "-dc"], input=packed, capture_output=True).stdout == b"x" * size


@pytest.mark.parametrize("docker", [False, True])
def test_an_index_names_its_platforms(tmp_path: Path, docker: bool) -> None:
    index = build_index(tmp_path, platforms=PLATFORMS, docker=docker)
    platforms = [child["platform"] for child in children(index)]
    assert platforms[1] == {"os": "linux", "architecture": "arm64", "variant": "v8"}
    assert [child["digest"] for child in children(index)] == list(index.platforms.values())
    kinds = {child["mediaType"] for child in children(index)} | {index.media_type}
    assert all(("docker" in kind) == docker for kind in kinds)
    assert build_index(tmp_path / "again", platforms=PLATFORMS, docker=docker).digest == index.digest


def test_the_same_platform_is_the_same_image_in_every_index(tmp_path: Path) -> None:
    one = build_index(tmp_path / "one", platforms=PLATFORMS)
    other = build_index(tmp_path / "two", platforms=PLATFORMS | {"linux/s390x": {"app": b"new"}})
    assert one.digest != other.digest
    assert one.platforms["linux/amd64"] == other.platforms["linux/amd64"]


def test_attestations_are_those_of_buildx(tmp_path: Path) -> None:
    index = build_index(tmp_path, platforms=PLATFORMS, attestations=True)
    listed = children(index)
    assert len(listed) == 6
    for child, about in zip(listed[3:], listed[:3], strict=True):
        assert child["platform"] == {"os": "unknown", "architecture": "unknown"}
        assert child["annotations"] == {
            "vnd.docker.reference.digest": about["digest"],
            "vnd.docker.reference.type": "attestation-manifest",
        }
        [layer] = document(tmp_path, child["digest"])["layers"]
        assert layer["mediaType"] == "application/vnd.in-toto+json"


@pytest.mark.parametrize("docker", [False, True])
def test_a_nested_index_arrives_children_first(repo: Repository, tmp_path: Path, docker: bool) -> None:
    index = build_index(tmp_path, platforms=PLATFORMS, attestations=True, nested=True, docker=docker)
    order = [digest for digest, _ in pushed(repo, tmp_path)]
    images = [*index.platforms.values(), *index.attestations.values()]
    assert order == [images[0], *images[1:], index.nested, index.digest]
    assert [tag for _, tag in pushed(repo, tmp_path)] == [None] * 7 + ["v1"]
    for digest in order:
        found = repo.call("GET", f"manifests/{digest}").data
        assert found == (tmp_path / "blobs" / digest.replace(":", "/")).read_bytes()


@pytest.mark.parametrize("docker", [False, True])
def test_foreign_layers_need_not_be_there(repo: Repository, tmp_path: Path, docker: bool) -> None:
    base = {"windows": b"kernel"}
    image = build_image(
        tmp_path, files={"app": b"x"}, foreign_layers=[base], architecture="arm64", zstd=True, docker=docker
    )
    assert pushed(repo, tmp_path) == [(image.digest, "v1")]
    foreign, own = document(tmp_path, image.digest)["layers"]
    assert foreign["urls"]
    assert repo.call("HEAD", f"blobs/{foreign['digest']}").status == 404
    assert repo.call("HEAD", f"blobs/{own['digest']}").status == 200
    assert own["mediaType"].endswith("zstd")


def test_a_foreign_layer_is_known_by_its_media_type(repo: Repository) -> None:
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    absent = {"mediaType": kind, "digest": "sha256:" + "0" * 64, "size": 9}
    repo.image("v1", layers=[absent])


@pytest.mark.parametrize(("mutability", "ends_on_child"), [("MUTABLE", True), ("IMMUTABLE", False)])
def test_the_tag_of_an_index_may_end_on_its_first_child(
    sandbox: Sandbox, repo: Repository, tmp_path: Path, mutability: str, ends_on_child: bool
) -> None:
    repo = sandbox.repository(imageTagMutability=mutability)
    sandbox.settings.quirks.tag_on_child = True
    index = build_index(tmp_path, platforms=PLATFORMS)
    first = index.platforms["linux/amd64"]
    events = pushed(repo, tmp_path)
    assert events[3:] == [(index.digest, "v1")] + [(first, "v1")] * ends_on_child
    tagged = repo.call("HEAD", "manifests/v1").headers["Docker-Content-Digest"]
    assert tagged == (first if ends_on_child else index.digest)


def test_a_config_has_the_requested_values(tmp_path: Path) -> None:
    image = build_image(
        tmp_path,
        files={"app": b"x"},
        user="1000:1000",
        labels={"team": "shop"},
        os="windows",
        architecture="arm64/v8",
    )
    config = config_of(image)
    assert (config["os"], config["architecture"], config["variant"]) == ("windows", "arm64", "v8")
    assert (config["config"]["User"], config["config"]["Labels"]) == ("1000:1000", {"team": "shop"})
    plain = config_of(build_image(tmp_path, files={"app": b"x"}))
    assert "User" not in plain["config"]
    assert (plain["os"], plain["architecture"]) == ("linux", "amd64")


def test_an_image_is_built_on_top_of_another(repo: Repository, tmp_path: Path) -> None:
    base = build_image(
        tmp_path / "base",
        files={"libc": b"1"},
        base_layers=[{"etc/os-release": b"ID=debian"}],
        user="app",
        labels={"team": "platform", "base": "yes"},
    )
    name = "public.ecr.aws/debian:12"
    top = build_image(
        tmp_path / "top",
        files={"app": b"x"},
        base=base,
        labels={"team": "shop"},
        annotations=based_on(base, name),
        tag="v1",
    )
    below, above = config_of(base), config_of(top)
    assert above["rootfs"]["diff_ids"][:2] == below["rootfs"]["diff_ids"]
    assert len(above["rootfs"]["diff_ids"]) == len(above["history"]) == 3
    assert above["config"]["User"] == "app"
    assert above["config"]["Labels"] == {"team": "shop", "base": "yes"}
    manifest = document(top.folder, top.digest)
    assert manifest["layers"][:2] == document(base.folder, base.digest)["layers"]
    assert manifest["annotations"] == {
        "org.opencontainers.image.base.name": name,
        "org.opencontainers.image.base.digest": base.digest,
    }
    assert pushed(repo, top.folder) == [(top.digest, "v1")]
    for layer in manifest["layers"]:
        content = repo.call("GET", f"blobs/{layer['digest']}").data
        assert packing.gzip(gzip.decompress(content)) == content


@pytest.mark.parametrize("docker", [False, True])
def test_each_platform_has_a_base_of_its_own(repo: Repository, tmp_path: Path, docker: bool) -> None:
    base = build_index(tmp_path / "base", platforms=PLATFORMS, user="app", docker=docker)
    bases = {name: base.image(name) for name in list(PLATFORMS)[:2]}
    files = {name: {"more": name.encode()} for name in PLATFORMS}
    annotations = {"org.opencontainers.image.base.digest": base.digest}
    top = build_index(
        tmp_path / "top",
        platforms=files,
        bases=bases,
        labels={"a": "b"},
        annotations=annotations,
        docker=docker,
    )
    assert document(top.folder, top.digest)["annotations"] == annotations
    for name in PLATFORMS:
        below, above = config_of(base.image(name)), config_of(top.image(name))
        is_on_top = above["rootfs"]["diff_ids"][:1] == below["rootfs"]["diff_ids"]
        assert (is_on_top, above["config"].get("User") == "app") == (name in bases, name in bases)
        assert above["config"]["Labels"] == {"a": "b"}
    assert len(pushed(repo, top.folder)) == 4


@needs_skopeo
@pytest.mark.parametrize("options", [{}, {"attestations": True}, {"docker": True}])
def test_skopeo_copies_a_built_and_pushed_image(
    repo: Repository, tmp_path: Path, options: dict[str, Any]
) -> None:
    index = build_index(tmp_path / "layout", platforms=PLATFORMS, **options)
    pushed(repo, index.folder)
    key = repo.sandbox.admin
    login = f"{key['aws_access_key_id']}:{key['aws_secret_access_key']}"
    source = f"docker://{repo.sandbox.settings.registry}/{repo.name}:v1"
    command = ["skopeo", "--insecure-policy", "copy", "--all", "--preserve-digests", "--quiet"]
    command += ["--src-tls-verify=false", "--src-creds", login, source, f"dir:{tmp_path / 'copied'}"]
    subprocess.run(command, check=True)
    copied = (tmp_path / "copied" / "manifest.json").read_bytes()
    assert copied == (index.folder / "blobs" / index.digest.replace(":", "/")).read_bytes()
