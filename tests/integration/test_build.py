"""The result of `sam build` for this checkout: the layer has the wheels of the template's architecture."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from sandbox.deployment.deploy import machine_architecture

ROOT = Path(__file__).parents[2]
SAM = ROOT / ".venv-sam/bin/sam"
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
LAYER_LIMIT = 15_000_000  # bytes, zipped; README.md and docs/how-to/install.md state the size


def runs(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="module", params=MACHINES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def layer(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not runs("python3.13", "-c", "pass"):
        pytest.skip("sam build needs python3.13 on PATH")
    build = tmp_path_factory.mktemp("build")
    subprocess.run(
        [
            *(SAM, "build", "CoreLayer", "--no-cached", "--build-dir", build),
            *("--template", ROOT / "template.yaml", "--parameter-overrides", f"Architecture={architecture}"),
        ],
        check=True,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
    )
    return build / "CoreLayer/python"


def test_every_compiled_module_is_for_the_chosen_architecture_and_runtime(
    layer: Path, architecture: str
) -> None:
    modules = list(layer.rglob("*.so"))
    assert modules
    for module in modules:
        assert _machine(module) == MACHINES[architecture], module.name
        assert "cpython-313" in module.name or "abi3" in module.name, module.name


def _machine(module: Path) -> str:
    """Return the machine of an ELF header (e_machine, offset 18): 183 is AArch64, 62 is x86-64."""
    number = int.from_bytes(module.read_bytes()[18:20], "little")
    return {183: "aarch64", 62: "x86_64"}[number]


def test_every_module_is_compiled_for_the_runtime_and_names_its_source_by_hash(layer: Path) -> None:
    """`/opt` is read-only: a module without bytecode is compiled again at each cold start."""
    magic = subprocess.run(
        [
            "python3.13",
            "-c",
            "import importlib.util, sys; sys.stdout.buffer.write(importlib.util.MAGIC_NUMBER)",
        ],
        check=True,
        capture_output=True,
    ).stdout
    unchecked_hash = (0b01).to_bytes(
        4, "little"
    )  # PEP 552: no time, so that the same source is the same layer
    modules = list(layer.rglob("*.py"))
    assert modules
    for module in modules:
        compiled = module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc"
        assert compiled.is_file(), module
        assert compiled.read_bytes()[:8] == magic + unchecked_hash, module


def test_methods_of_dataclasses_are_compiled_for_the_runtime(layer: Path) -> None:
    stored = {file.name for file in (layer / "imagegate/methods.cpython-313").iterdir()}
    assert {"imagegate.gate.verdict", "imagegate.policy.policy", "imagegate.release.release"} < stored


def test_botocore_has_the_services_that_the_product_calls_and_no_others(layer: Path) -> None:
    sources = [path.read_text() for path in (layer / "imagegate").rglob("*.py")]
    called = {name for text in sources for name in re.findall(r'client(?:_with)?\(\s*"([a-z0-9-]+)"', text)}
    data = layer / "botocore/data"
    assert {folder.name for folder in data.iterdir() if folder.is_dir()} == called
    endpoints = {
        name
        for part in json.loads((data / "endpoints.json").read_text())["partitions"]
        for name in part["services"]
    }
    assert len(endpoints) <= len(called)


_IMPORT_ALL = """
import ast, importlib, inspect, pkgutil, runpy, sys
layer, *handlers = sys.argv[1:]
sys.path.insert(0, layer)
import imagegate
def import_in_calls(module):
    for function in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(function, ast.FunctionDef):
            for line in ast.walk(function):
                if isinstance(line, ast.Import | ast.ImportFrom):
                    exec(ast.unparse(line), {})
for module in pkgutil.walk_packages(imagegate.__path__, "imagegate."):
    import_in_calls(importlib.import_module(module.name))
for handler in handlers:
    runpy.run_path(handler)
"""


_CALL_ALL = """
import io, sys
sys.path[:0] = sys.argv[1:]
import urllib3
from botocore import awsrequest, exceptions, parsers, session, xform_name
def refuse(request, **_):
    body = urllib3.HTTPResponse(io.BytesIO(), preload_content=False)
    return awsrequest.AWSResponse(request.url, 400, {}, body)
own, refused = session.Session(), 0
for service in own.get_available_services():
    client = own.create_client(service, "eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")
    client.meta.events.register("before-send", refuse)
    model = client.meta.service_model
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        if shape is None or not shape.required_members:
            try:
                getattr(client, xform_name(name))()
            except (exceptions.ClientError, parsers.ResponseParserError):
                refused += 1
            except exceptions.ParamValidationError:
                pass
print(refused)
"""


def test_the_layers_botocore_makes_calls_of_every_service(layer: Path) -> None:
    command = ["python3.13", "-I", "-B", "-c", _CALL_ALL, str(layer)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert int(done.stdout) > 20


def test_nothing_that_the_product_imports_is_missing(layer: Path, architecture: str) -> None:
    if architecture != machine_architecture():
        pytest.skip("the layer is for another machine")
    environment = {"PATH": os.environ["PATH"], "POWERTOOLS_SERVICE_NAME": "imagegate"}
    handlers = sorted(map(str, ROOT.glob("functions/*/handler.py")))
    assert len(handlers) > 10
    subprocess.run(
        ["python3.13", "-I", "-B", "-c", _IMPORT_ALL, str(layer), *handlers], check=True, env=environment
    )


def test_the_layer_holds_the_product_and_stays_small(layer: Path, tmp_path: Path) -> None:
    assert (layer / "imagegate/gate/verdict.py").is_file()
    for absent in ("boto3", "moto", "rich", "sandbox", "imagegate_cli"):
        assert not (layer / absent).exists(), absent
    archive = tmp_path / "layer.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in layer.rglob("*"):
            target.write(path, path.relative_to(layer))
    assert archive.stat().st_size < LAYER_LIMIT


def test_arm64_is_the_default() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    assert template["Parameters"]["Architecture"]["Default"] == "arm64"
    assert template["Resources"]["CoreLayer"]["Metadata"]["BuildArchitecture"] == {"Ref": "Architecture"}


def test_sam_validate_is_clean_without_region_or_credentials(tmp_path: Path) -> None:
    result = subprocess.run(
        [SAM, "validate", "--lint", "--template", ROOT / "template.yaml"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SAM_CLI_TELEMETRY": "0"},
    )
    assert result.returncode == 0, result.stderr


def test_a_missing_python_is_said_plainly(tmp_path: Path) -> None:
    for tool in ("make", "bash", "sh", "grep"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    result = subprocess.run(
        [tmp_path / "make", "build"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
    )
    assert result.returncode != 0
    assert "sam build needs python3.13 on PATH: install it" in result.stderr
