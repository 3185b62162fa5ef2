"""Unzipped code and layers, unpacked once per content."""

from __future__ import annotations

import hashlib
import io
import shutil
import threading
import uuid
import zipfile
from collections.abc import Iterable
from pathlib import Path

from sandbox.functions.function import DeployedArchive


class UnpackedCode:
    """Folders under `root`: one per code archive, one per combination of layers (Lambda's /opt)."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()

    def task_root(self, code: DeployedArchive) -> Path:
        return self._unpacked("task", [code])

    def opt(self, layers: Iterable[DeployedArchive]) -> Path:
        return self._unpacked("opt", list(layers))

    def _unpacked(self, kind: str, archives: list[DeployedArchive]) -> Path:
        names = "\n".join(archive.sha256 for archive in archives)
        folder = self._root / f"{kind}-{hashlib.sha256(names.encode()).hexdigest()[:16]}"
        with self._lock:
            if not folder.exists():
                self._unpack(archives, folder)
        return folder

    def _unpack(self, archives: list[DeployedArchive], folder: Path) -> None:
        partial = self._root / f".{uuid.uuid4().hex}"
        partial.mkdir(parents=True)
        for archive in archives:
            with zipfile.ZipFile(io.BytesIO(archive.content)) as zipped:
                zipped.extractall(partial)
        partial.rename(folder)

    def remove(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
