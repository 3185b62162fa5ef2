"""The result of `sam build` for this checkout: the layer has the wheels of the template's architecture."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
SAM = ROOT / ".venv-sam/bin/sam"
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
LAYER_LIMIT_MIB = 12  # zipped; docs/how-to/install.md states the size


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
    return build / "CoreLayer" / "python"


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


def test_the_layer_holds_the_product_and_stays_small(layer: Path, tmp_path: Path) -> None:
    assert (layer / "imagegate/gate/verdict.py").is_file()
    for absent in ("boto3", "botocore", "moto", "rich", "sandbox", "imagegate_cli"):
        assert not (layer / absent).exists(), absent
    archive = tmp_path / "layer.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in layer.rglob("*"):
            target.write(path, path.relative_to(layer))
    assert archive.stat().st_size < LAYER_LIMIT_MIB * 1024 * 1024


def test_arm64_is_the_default() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    assert template["Parameters"]["Architecture"]["Default"] == "arm64"
    assert template["Resources"]["CoreLayer"]["Metadata"]["BuildMethod"] == "python3.13"


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
