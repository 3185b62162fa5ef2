"""An image's configuration as people and scanners bring it. What is none says nothing about the image."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imagegate.errors import RejectedInputError
from imagegate.oci.image_config import ImageConfig
from imagegate_cli.scanners import ScannerFileError, ScannerReport
from imagegate_cli.scanners.document import load
from imagegate_cli.scanners.formats import seen

_HELP = (
    "write one by skopeo inspect --config docker://IMAGE, crane config IMAGE, or docker image inspect IMAGE;"
    " of an index, that of the platform that was scanned"
)


def read(path: Path) -> ImageConfig:
    """Raise `ScannerFileError` for whatever is no configuration of one image."""
    raw = load(path)
    if isinstance(raw, list) and len(raw) == 1:
        raw = raw[0]
    config = _inspected(raw)
    missing = _missing(config)
    if missing:
        raise ScannerFileError(
            f"{path}: not an image configuration: no {', no '.join(missing)} ({seen(raw)}); {_HELP}"
        )
    try:
        return ImageConfig.of(config)
    except RejectedInputError as error:
        raise ScannerFileError(f"{path}: {error}") from error


def carried(reports: Iterable[ScannerReport]) -> ImageConfig | None:
    """The one that a scanner's file carries; None where there is none, or an empty one, as of a directory."""
    configs = (report.config for report in reports if report.config)
    return next((ImageConfig.of(config) for config in configs if not _missing(config)), None)


def _missing(raw: object) -> list[str]:
    """The REQUIRED properties that are not there (image-spec, config.md)."""
    given: dict[Any, Any] = raw if isinstance(raw, dict) else {}
    layers = given.get("rootfs")
    is_rootfs = isinstance(layers, dict) and isinstance(layers.get("diff_ids"), list)
    texts = [
        name for name in ("architecture", "os") if not (isinstance(given.get(name), str) and given[name])
    ]
    return texts if is_rootfs else [*texts, "rootfs"]


def _inspected(raw: object) -> object:
    """Docker's and Podman's own form has the same in other words."""
    if not isinstance(raw, dict) or not isinstance(raw.get("RootFS"), dict):
        return raw
    return {
        "os": raw.get("Os"),
        "architecture": raw.get("Architecture"),
        "variant": raw.get("Variant"),
        "config": raw.get("Config"),
        "rootfs": {"diff_ids": raw["RootFS"].get("Layers") or []},
    }
