"""The build of the layer: `python3.13 build.py arm64|x86_64 FOLDER`, called by `sam build`.

Functions start from what it leaves, and cannot write there. So all modules are compiled, and botocore's data has only
the services and the operations that functions call: a client reads the whole model of its service when it is made.
The same sources give the same bytes: a layer that did not change is not deployed again.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
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
# Parts of libraries that no function imports; the layer may have 15 MB zipped.
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
    "dateutil/zoneinfo",  # time zones by name
    *("packaging/licenses", "packaging/metadata.py", "packaging/pylock.py"),
    "pycparser",
    *("pydantic/mypy.py", "pydantic/v1"),
    "urllib3/contrib/emscripten",
)
# Files that only installers and type checkers read.
_FOR_TOOLS = ("*.pyi", "*.dist-info/RECORD", "py.typed")
# botocore asks S3 itself where a bucket is, if the Region was wrong.
_CALLED_BY_BOTOCORE = {"headbucket"}
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
    remove_unused(layer)
    shutil.copytree("imagegate", layer / "imagegate", ignore=shutil.ignore_patterns("__pycache__"))
    strip_botocore(layer / "botocore" / "data", words(layer / "imagegate"))
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


def remove_unused(layer: Path) -> None:
    """Remove what no function reads. A missing part is an error: its library has changed."""
    for part in UNUSED:
        path = layer / part
        path.unlink() if path.is_file() else shutil.rmtree(path)
    for pattern in _FOR_TOOLS:
        for path in list(layer.rglob(pattern)):
            path.unlink()


def words(package: Path) -> set[str]:
    """Return the names in the sources of the product that may be those of operations, without their underscores."""
    texts = (path.read_text() for path in package.rglob("*.py"))
    return {word.replace("_", "") for text in texts for word in re.findall(r"\b[a-z][a-z0-9_]+\b", text)}


def strip_botocore(data: Path, called: set[str]) -> None:
    """Keep the models of `SERVICES` in their latest versions, unpacked, with the operations of these names only."""
    for service in [folder for folder in data.iterdir() if folder.is_dir()]:
        versions = sorted(service.iterdir())
        kept = versions.pop() if service.name in SERVICES else None
        for version in versions:
            shutil.rmtree(version)
        if kept is None:
            shutil.rmtree(service, ignore_errors=True)
        else:
            _strip_service(kept, called | _CALLED_BY_BOTOCORE)
    endpoints = json.loads((data / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in services if name in _ENDPOINTS}
    _write(data / "endpoints.json", endpoints)


# endpoints.json names services by the beginning of their host names.
_ENDPOINTS = {*SERVICES, "api.ecr", "states"}


def _strip_service(version: Path, called: set[str]) -> None:
    for path in list(version.iterdir()):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        path.unlink()
        name = path.name.removesuffix(".gz").removesuffix(".json")
        if name in _DATA:
            document = _without_documentation(json.loads(content))
            _write(
                version / f"{name}.json", reduce_model(document, called) if name == "service-2" else document
            )


def reduce_model(model: Mapping[str, Any], called: set[str]) -> dict[str, Any]:
    """Return a service's model with the operations of these names, the shapes that they refer to, and all errors."""
    operations = {
        name: operation for name, operation in model["operations"].items() if name.lower() in called
    }
    errors = [name for name, shape in model["shapes"].items() if shape.get("exception")]
    needed, left = set[str](), [*_shapes_of(operations), *errors]
    while left:
        name = left.pop()
        if name not in needed:
            needed.add(name)
            left += _shapes_of(model["shapes"][name])
    shapes = {name: shape for name, shape in model["shapes"].items() if name in needed}
    return {**model, "operations": operations, "shapes": shapes}


def _shapes_of(node: Any) -> Iterator[str]:
    """Yield the names of the shapes that a part of a model refers to. A member named `shape` is a mapping."""
    if isinstance(node, dict):
        if isinstance(name := node.get("shape"), str):
            yield name
        for value in node.values():
            yield from _shapes_of(value)
    elif isinstance(node, list):
        for value in node:
            yield from _shapes_of(value)


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
write_methods(sys.argv[1] + "/imagegate", *sys.argv[2:])
"""


# Pydantic's library of dataclasses.
_OF_DATACLASSES = ("annotated_types",)


def store_methods(package: Path) -> None:
    """Compile the methods of dataclasses in modules that need nothing but Python; others compile them at each start."""
    with tempfile.TemporaryDirectory() as alone:  # the layer's libraries are for another machine
        for name in ("imagegate", *_OF_DATACLASSES):
            shutil.copytree(package.parent / name, Path(alone, name))
        subprocess.run([*_PYTHON, "-ISB", "-c", _STORE_METHODS, alone, *_OF_DATACLASSES], check=True)
        shutil.copytree(Path(alone, "imagegate"), package, dirs_exist_ok=True)


def compile_all(layer: Path) -> None:
    """Compile every module, in one process. The result names the source by its hash, and no time."""
    command = [*_PYTHON, "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash"]
    subprocess.run([*command, "-s", layer, "-p", "/opt/python", layer], check=True)


# Bytecode that knows the line of each instruction, and not its columns: a fifth smaller, and loaded sooner.
_PYTHON = (sys.executable, "-X", "no_debug_ranges")


if __name__ == "__main__":
    build(sys.argv[1], Path(sys.argv[2]))
