"""The build of the layer: `python3.13 build.py arm64|x86_64 FOLDER`, called by `sam build`.

Functions start from what it leaves, and cannot write there. So all modules are compiled, and botocore's data has only
the services that functions call: looking through 440 services takes a quarter of the time that a client takes.
The same sources give the same bytes: a layer that did not change is not deployed again.
"""

from __future__ import annotations

import compileall
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

# Amazon Linux 2023, the system of the runtime, has glibc 2.34.
PLATFORMS = {
    architecture: [f"{tag}_{machine}" for tag in ("manylinux_2_34", "manylinux_2_28", "manylinux2014")]
    for architecture, machine in {"arm64": "aarch64", "x86_64": "x86_64"}.items()
}
# The services that the functions call, as botocore names them.
SERVICES = (
    *(
        "cloudtrail",
        "dynamodb",
        "ec2",
        "ecr",
        "ecs",
        "events",
        "iam",
        "inspector2",
        "kms",
        "lambda",
        "s3",
        "securityhub",
        "signer",
    ),
    *("sns", "stepfunctions", "sts"),
)
# Parts of libraries that no function imports; the layer may have 17 MB zipped.
UNUSED = (
    "aws_lambda_powertools/event_handler",
    *(f"aws_lambda_powertools/utilities/{name}" for name in ("auth_alpha", "batch", "circuit_breaker")),
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in ("data_classes", "data_masking", "feature_flags")
    ),
    *(f"aws_lambda_powertools/utilities/{name}" for name in ("idempotency", "kafka", "parameters", "parser")),
    *(f"aws_lambda_powertools/utilities/{name}" for name in ("streaming", "validation")),
    "bin",
    "cffi",  # its extension module is enough to use a binding
    "pycparser",
    "pydantic/v1",
)
# The data that a client without waiters needs.
_DATA = (
    "endpoint-rule-set-1",
    "paginators-1",
    "paginators-1.sdk-extras",
    "service-2",
    "service-2.sdk-extras",
)


def build(architecture: str, layer: Path) -> None:
    """Write the layer's packages for this processor into the folder, and compile them."""
    install(PLATFORMS[architecture], layer)
    for part in UNUSED:
        shutil.rmtree(layer / part)
    strip_botocore(layer / "botocore" / "data")
    shutil.copytree("imagegate", layer / "imagegate", ignore=shutil.ignore_patterns("__pycache__"))
    store_methods(layer / "imagegate")
    compile_all(layer)


def install(platforms: list[str], layer: Path) -> None:
    """Install the locked wheels. They may be for another machine than this one: nothing of them runs here."""
    tags = [f"--platform={platform}" for platform in platforms]
    options = [
        "--only-binary=:all:",
        "--implementation=cp",
        "--python-version=3.13",
        "--no-compile",
        "--no-deps",
    ]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *options,
        *tags,
    ]
    subprocess.run(
        [*command, "--require-hashes", "--requirement=requirements.txt", f"--target={layer}"], check=True
    )


def strip_botocore(data: Path) -> None:
    """Keep the models of `SERVICES` in their latest versions, unpacked and without their documentation."""
    for service in [folder for folder in data.iterdir() if folder.is_dir()]:
        versions = sorted(service.iterdir())
        kept = versions.pop() if service.name in SERVICES else None
        for version in versions:
            shutil.rmtree(version)
        if kept is None:
            shutil.rmtree(service, ignore_errors=True)
        else:
            _strip_service(kept)
    endpoints = json.loads((data / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in services if name in _ENDPOINTS}
    _write(data / "endpoints.json", endpoints)


# endpoints.json names services by the beginning of their host names.
_ENDPOINTS = {*SERVICES, "api.ecr", "states"}


def _strip_service(version: Path) -> None:
    for path in list(version.iterdir()):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        path.unlink()
        name = path.name.removesuffix(".gz").removesuffix(".json")
        if name in _DATA:
            _write(version / f"{name}.json", _without_documentation(json.loads(content)))


def _without_documentation(node: Any) -> Any:
    """Return a model without the texts that explain it; botocore needs the keys. A member of that name is a mapping."""
    if isinstance(node, dict):
        return {
            key: "" if key == "documentation" and isinstance(value, str) else _without_documentation(value)
            for key, value in node.items()
        }
    return [_without_documentation(value) for value in node] if isinstance(node, list) else node


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, separators=(",", ":")))


_STORE_METHODS = """
import sys
sys.path.append(sys.argv[1])
from imagegate.dataclass_methods import write_methods
write_methods(sys.argv[1] + "/imagegate")
"""


def store_methods(package: Path) -> None:
    """Compile the methods of dataclasses in modules that need nothing but Python; others compile them at each start."""
    with tempfile.TemporaryDirectory() as alone:  # the layer's libraries are for another machine
        shutil.copytree(package, Path(alone, "imagegate"))
        subprocess.run([sys.executable, "-ISB", "-c", _STORE_METHODS, alone], check=True)
        shutil.copytree(Path(alone, "imagegate"), package, dirs_exist_ok=True)


def compile_all(layer: Path) -> None:
    """Compile every module, in one process. The result names the source by its hash, and no time."""
    compiled = compileall.compile_dir(
        layer,
        quiet=1,
        stripdir=layer,
        prependdir="/opt/python",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        raise SystemExit("a module of the layer cannot be compiled")


if __name__ == "__main__":
    build(sys.argv[1], Path(sys.argv[2]))
