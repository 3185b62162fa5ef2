"""`python -m sandbox push` brings images from disk into the registry: children first, the tag last."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from sandbox.images import push
from sandbox.images.build import LayoutImage, build_image
from tests.contract.registry_sandbox import (
    EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Repository,
    Sandbox,
    digest_of,
)


@pytest.fixture(autouse=True)
def _no_other_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


def run(sandbox: Sandbox, path: Path, reference: str, *options: str) -> int:
    return push.main([str(path), reference, "--state", str(sandbox.settings.state), *options])


def built(folder: Path, **options: Any) -> LayoutImage:
    return build_image(folder, files={"app": b"#!/bin/sh\necho hello\n"}, **options)


def read_blob(folder: Path, digest: str) -> bytes:
    return (folder / "blobs" / digest.replace(":", "/")).read_bytes()


def add_manifest(folder: Path, document: dict[str, Any]) -> str:
    """Put a manifest that only tests need into the layout and its index."""
    content = json.dumps(document).encode()
    digest = digest_of(content)
    (folder / "blobs" / digest.replace(":", "/")).write_bytes(content)
    index = json.loads((folder / "index.json").read_text())
    entry = {"mediaType": document["mediaType"], "digest": digest, "size": len(content)}
    index["manifests"].append(entry)
    (folder / "index.json").write_text(json.dumps(index))
    return digest


def add_signature(folder: Path, image: LayoutImage) -> str:
    (folder / "blobs" / digest_of(b"{}").replace(":", "/")).write_bytes(b"{}")
    empty = {"mediaType": EMPTY, "digest": digest_of(b"{}"), "size": 2}
    subject = {"mediaType": image.media_type, "digest": image.digest, "size": image.size}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty, "layers": [empty]}
    return add_manifest(folder, document | {"artifactType": "x/y", "subject": subject})


def test_the_same_input_gives_the_same_digest(tmp_path: Path) -> None:
    first, second = built(tmp_path / "one"), built(tmp_path / "two")
    assert first.digest == second.digest
    labelled = built(tmp_path / "three", labels={"version": "2"})
    assert labelled.digest != first.digest


def test_a_built_image_names_its_uncompressed_layers(tmp_path: Path) -> None:
    image = built(tmp_path, base_layers=[{"etc/os-release": b"ID=debian\n"}])
    manifest = json.loads(read_blob(tmp_path, image.digest))
    config = json.loads(read_blob(tmp_path, manifest["config"]["digest"]))
    archives = [gzip.decompress(read_blob(tmp_path, layer["digest"])) for layer in manifest["layers"]]
    assert config["rootfs"]["diff_ids"] == [digest_of(archive) for archive in archives]
    with tarfile.open(fileobj=io.BytesIO(archives[0])) as archive:
        assert archive.getnames() == ["etc/os-release"]


def test_a_layout_arrives_with_its_digest_in_a_new_repository(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = built(tmp_path)
    name = f"new/{tmp_path.name.replace('_', '-')}".lower()
    assert run(sandbox, tmp_path, f"{name}:1.0") == 0
    output = capsys.readouterr()
    assert output.out.strip() == image.digest
    assert f"created the repository {name} (scan on push)" in output.err
    repo = Repository(sandbox, name)
    assert repo.call("HEAD", "manifests/1.0").headers["Docker-Content-Digest"] == image.digest


def test_json_describes_the_pushed_image(
    repo: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = built(tmp_path)
    assert run(repo.sandbox, tmp_path, f"{repo.name}:1.0", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "repository": repo.name,
        "tag": "1.0",
        "digest": image.digest,
        "media_type": OCI_MANIFEST,
        "size": image.size,
        "referrers": [],
        "created_repository": False,
    }


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_of_a_layout_is_the_same_image(repo: Repository, tmp_path: Path, mode: Any) -> None:
    image = built(tmp_path / "layout")
    with tarfile.open(tmp_path / "image.tar", mode) as archive:
        archive.add(tmp_path / "layout", arcname=".")
    assert run(repo.sandbox, tmp_path / "image.tar", f"{repo.name}:1.0") == 0
    assert repo.call("HEAD", f"manifests/{image.digest}").status == 200


def test_an_archive_of_docker_save_is_taken(repo: Repository, tmp_path: Path) -> None:
    layer = gzip.decompress(_any_layer(tmp_path))
    config = b'{"architecture": "amd64", "os": "linux"}'
    image = {"Config": "config.json", "RepoTags": ["app:1.0"], "Layers": ["one/layer.tar"] * 2}
    members = {
        "config.json": config,
        "one/layer.tar": layer,
        "manifest.json": json.dumps([image]).encode(),
    }
    with tarfile.open(tmp_path / "saved.tar", "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert run(repo.sandbox, tmp_path / "saved.tar", f"{repo.name}:1.0") == 0
    manifest = json.loads(repo.call("GET", "manifests/1.0").data)
    assert repo.call("GET", f"blobs/{manifest['config']['digest']}").data == config
    pulled = repo.call("GET", f"blobs/{manifest['layers'][0]['digest']}").data
    assert gzip.decompress(pulled) == layer


def _any_layer(folder: Path) -> bytes:
    image = built(folder / "layout")
    manifest = json.loads(read_blob(folder / "layout", image.digest))
    return read_blob(folder / "layout", manifest["layers"][0]["digest"])


def test_referrers_come_along_and_the_tag_comes_last(repo: Repository, tmp_path: Path) -> None:
    image = built(tmp_path)
    signature = add_signature(tmp_path, image)
    assert run(repo.sandbox, tmp_path, f"{repo.name}:1.0") == 0
    events = [(event["image-digest"], event.get("image-tag")) for event in repo.events()]
    assert events == [(signature, None), (image.digest, "1.0")]


def test_children_of_an_index_go_first_and_untagged(repo: Repository, tmp_path: Path) -> None:
    child = built(tmp_path)
    entry = {"mediaType": OCI_MANIFEST, "digest": child.digest, "size": child.size}
    layout_index = tmp_path / "index.json"
    layout_index.write_text(json.dumps({"manifests": []}))
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    index = add_manifest(tmp_path, document)
    assert run(repo.sandbox, tmp_path, f"{repo.name}:1.0") == 0
    events = [(event["image-digest"], event.get("image-tag")) for event in repo.events()]
    assert events == [(child.digest, None), (index, "1.0")]


def test_among_several_images_the_tag_chooses(
    repo: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = built(tmp_path, tag="1.0")
    built(tmp_path, tag="2.0", labels={"version": "2"})
    assert run(repo.sandbox, tmp_path, f"{repo.name}:1.0") == 0
    assert capsys.readouterr().out.strip() == wanted.digest
    assert run(repo.sandbox, tmp_path, f"{repo.name}:3.0") == 2
    assert "which image is meant by '3.0'? The layout has: 1.0, 2.0" in capsys.readouterr().err


def test_pushing_again_uploads_nothing(repo: Repository, tmp_path: Path) -> None:
    built(tmp_path)
    run(repo.sandbox, tmp_path, f"{repo.name}:1.0")
    run(repo.sandbox, tmp_path, f"{repo.name}:2.0")
    lines = (repo.sandbox.settings.state / "registry.jsonl").read_text().splitlines()
    mine = [line["method"] for line in map(json.loads, lines) if repo.name in line["path"]]
    assert mine.count("POST") == 2


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda folder: None, "does not exist"),
        (lambda folder: folder.mkdir(), "has neither index.json (OCI) nor manifest.json (docker)"),
        (lambda folder: folder.write_text("x"), "neither an OCI layout nor a tar archive"),
    ],
)
def test_anything_but_an_image_is_refused_with_the_reason(
    repo: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Any, complaint: str
) -> None:
    spoil(tmp_path / "image")
    assert run(repo.sandbox, tmp_path / "image", f"{repo.name}:1.0") == 2
    assert complaint in capsys.readouterr().err


def test_a_damaged_layout_is_not_tagged(
    repo: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = built(tmp_path)
    blobs = list((tmp_path / "blobs" / "sha256").iterdir())
    for blob in blobs:
        if blob.name not in image.digest:
            blob.write_bytes(b"short")
    assert run(repo.sandbox, tmp_path, f"{repo.name}:1.0") == 2
    assert "the layout is damaged" in capsys.readouterr().err
    assert repo.events() == []


def test_a_reference_without_tag_is_refused(
    repo: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built(tmp_path)
    assert run(repo.sandbox, tmp_path, repo.name) == 2
    assert "a tag is needed" in capsys.readouterr().err


def test_an_environment_that_points_elsewhere_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://ecr.eu-central-1.amazonaws.com")
    built(tmp_path)
    assert push.main([str(tmp_path), "team/app:1.0", "--state", str(tmp_path)]) == 2
    assert "no sandbox is running" in capsys.readouterr().err
