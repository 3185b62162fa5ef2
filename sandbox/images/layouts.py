"""Images on disk: an OCI layout, the same as a tar, or an archive of `docker save`."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from sandbox.images.build import CONFIG, LAYER, MANIFEST

REF_NAME = "org.opencontainers.image.ref.name"


class InvalidLayoutError(ValueError):
    """There is no complete image here, or not the requested one."""


class Files(Protocol):
    """Named files: a folder or a tar."""

    def names(self) -> set[str]: ...
    def open(self, name: str) -> IO[bytes]: ...


class Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> set[str]:
        return {str(f.relative_to(self._root)) for f in self._root.rglob("*") if f.is_file()}

    def open(self, name: str) -> IO[bytes]:
        return (self._root / name).open("rb")


class LayoutArchive:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members = {m.name.removeprefix("./"): m for m in archive.getmembers()}

    def names(self) -> set[str]:
        return {name for name, member in self._members.items() if not member.isdir()}

    def open(self, name: str) -> IO[bytes]:
        # Older `docker save` repeats a layer as a link, which this follows.
        file = self._archive.extractfile(self._members[name])
        if file is None:
            raise InvalidLayoutError(f"{name} is not a file in the archive")
        return file


class Layout:
    """An OCI layout: an index and blobs by digest."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._names = files.names()

    def entries(self) -> list[dict[str, Any]]:
        with self._files.open("index.json") as file:
            return list(json.load(file)["manifests"])

    def open(self, digest: str) -> IO[bytes]:
        name = f"blobs/{digest.replace(':', '/')}"
        if name not in self._names:
            raise InvalidLayoutError(f"the layout lacks the blob {digest}")
        return self._files.open(name)

    def read(self, digest: str) -> bytes:
        """Return a manifest's bytes, checked against its digest."""
        with self.open(digest) as file:
            content = file.read()
        if digest != f"sha256:{hashlib.sha256(content).hexdigest()}":
            raise InvalidLayoutError(f"the blob {digest} is damaged")
        return content

    def subject(self, entry: dict[str, Any]) -> str | None:
        subject = json.loads(self.read(entry["digest"])).get("subject")
        return subject["digest"] if subject else None


def choose(layout: Layout, tag: str | None) -> dict[str, Any]:
    """Return the requested image: the only one, else the one whose name in the layout is the tag."""
    images = [entry for entry in layout.entries() if not layout.subject(entry)]
    if len(images) > 1:
        images = [entry for entry in images if _name(entry).rpartition(":")[2] == tag]
    if len(images) != 1:
        names = ", ".join(_name(e) or e["digest"] for e in layout.entries()) or "nothing"
        raise InvalidLayoutError(f"which image is meant by {tag!r}? The layout has: {names}")
    return images[0]


def _name(entry: dict[str, Any]) -> str:
    return str(entry.get("annotations", {}).get(REF_NAME, ""))


@contextmanager
def open_layout(path: Path) -> Iterator[Layout]:
    """Open a folder or a tar (compressed or not) in any of the three forms."""
    if not path.exists():
        raise InvalidLayoutError(f"{path} does not exist")
    if path.is_dir():
        yield from _layout(Folder(path), path)
        return
    if not tarfile.is_tarfile(path):
        raise InvalidLayoutError(f"{path} is neither an OCI layout nor a tar archive")
    with tarfile.open(path) as archive:
        yield from _layout(LayoutArchive(archive), path)


def _layout(files: Files, path: Path) -> Iterator[Layout]:
    names = files.names()
    if "index.json" in names:
        yield Layout(files)
    elif "manifest.json" in names:
        with tempfile.TemporaryDirectory() as folder:
            _convert(files, Path(folder))
            yield Layout(Folder(Path(folder)))
    else:
        raise InvalidLayoutError(f"{path} has neither index.json (OCI) nor manifest.json (docker)")


def _convert(files: Files, folder: Path) -> None:
    """Write the images of a `docker save` archive as an OCI layout."""
    with files.open("manifest.json") as file:
        images = json.load(file)
    entries = []
    for image in images:
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _copy(files, image["Config"], folder, CONFIG),
            "layers": [_copy(files, name, folder, LAYER) for name in image["Layers"]],
        }
        content = json.dumps(document).encode()
        descriptor = _keep(_write_temporary(folder, content), folder, MANIFEST)
        names = image.get("RepoTags") or [""]
        entries += [descriptor | {"annotations": {REF_NAME: name}} for name in names]
    (folder / "index.json").write_text(json.dumps({"manifests": entries}))


def _copy(files: Files, name: str, folder: Path, media_type: str) -> dict[str, Any]:
    target = folder / "incoming"
    with files.open(name) as source, target.open("wb") as raw:
        if media_type == LAYER:
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
                shutil.copyfileobj(_unpack_gzip(source), packed)
        else:
            shutil.copyfileobj(source, raw)
    return _keep(target, folder, media_type)


def _unpack_gzip(source: IO[bytes]) -> IO[bytes]:
    is_packed = source.read(2) == b"\x1f\x8b"
    source.seek(0)
    return gzip.GzipFile(fileobj=source) if is_packed else source  # type: ignore[return-value]


def _write_temporary(folder: Path, content: bytes) -> Path:
    target = folder / "incoming"
    target.write_bytes(content)
    return target


def _keep(file: Path, folder: Path, media_type: str) -> dict[str, Any]:
    with file.open("rb") as content:
        digest = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
    path = folder / "blobs" / digest.replace(":", "/")
    path.parent.mkdir(parents=True, exist_ok=True)
    file.replace(path)
    return {"mediaType": media_type, "digest": digest, "size": path.stat().st_size}
