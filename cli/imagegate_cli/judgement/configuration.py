"""Image configurations from files and scanner reports. A document of another kind is refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imagegate.errors import RejectedInputError
from imagegate.oci.image_config import ImageConfig
from imagegate_cli.scanners.document import ScannerFileError, load
from imagegate_cli.scanners.formats import describe
from imagegate_cli.scanners.report import ScannerReport

_HELP = (
    "write one by skopeo inspect --config docker://IMAGE, crane config IMAGE, or docker image inspect IMAGE;"
    " of an index, that of the platform that was scanned"
)


def read(path: Path) -> ImageConfig:
    """Read a configuration. Raise `ScannerFileError` if the file is not the configuration of one image."""
    raw = load(path)
    if isinstance(raw, list) and len(raw) == 1:
        raw = raw[0]
    config = _convert_inspected(raw)
    missing = _missing(config)
    if missing:
        raise ScannerFileError(
            f"{path}: not an image configuration: no {', no '.join(missing)} ({describe(raw)}); {_HELP}"
        )
    try:
        return ImageConfig.of(config)
    except RejectedInputError as error:
        raise ScannerFileError(f"{path}: {error}") from error


def config_in_reports(reports: Iterable[ScannerReport]) -> ImageConfig | None:
    """Return the first complete configuration in the reports, or None. A scan of a directory has an empty one."""
    configs = (report.config for report in reports if report.config)
    return next((ImageConfig.of(config) for config in configs if not _missing(config)), None)


def _missing(raw: object) -> list[str]:
    """Return the names of missing REQUIRED properties (OCI image-spec, config.md)."""
    given: dict[Any, Any] = raw if isinstance(raw, dict) else {}
    layers = given.get("rootfs")
    is_rootfs = isinstance(layers, dict) and isinstance(layers.get("diff_ids"), list)
    texts = [
        name for name in ("architecture", "os") if not (isinstance(given.get(name), str) and given[name])
    ]
    return texts if is_rootfs else [*texts, "rootfs"]


def _convert_inspected(raw: object) -> object:
    """Convert the form of `docker image inspect` and Podman; return other documents unchanged."""
    if not isinstance(raw, dict) or not isinstance(raw.get("RootFS"), dict):
        return raw
    return {
        "os": raw.get("Os"),
        "architecture": raw.get("Architecture"),
        "variant": raw.get("Variant"),
        "config": raw.get("Config"),
        "rootfs": {"diff_ids": raw["RootFS"].get("Layers") or []},
    }
