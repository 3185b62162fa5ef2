"""The command line as others install it: a wheel in an empty environment, with its dependencies as ranges."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from imagegate import __version__

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
POLICY = """\
version: 1
stages:
  dev: {repositories: "{app}-dev", findings: {max: {critical: 0}}}
"""
# Trivy's report of an image without packages.
TRIVY = {
    "SchemaVersion": 2,
    "ArtifactName": "shop",
    "ArtifactType": "container_image",
    "Metadata": {"OS": {"Family": "debian", "Name": "12.1"}},
    "Results": [{"Target": "shop (debian 12.1)", "Class": "os-pkgs", "Type": "debian"}],
}


def run(*command: str | Path, code: int = 0, cwd: Path = ROOT) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))
    }
    ended = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    # From the source archive, as whoever packages it for a distribution would.
    run(UV, "build", "--quiet", "--no-build-isolation", "--out-dir", folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environment") / "venv"
    run(UV, "venv", "--quiet", "--python", sys.executable, folder)
    install = (UV, "pip", "install", "--quiet", "--python", folder)
    run(*install, "--require-hashes", "--requirements", "requirements/cli.txt")
    # Fails if the lock lacks what the wheel needs, or has a version out of its range.
    run(*install, "--no-index", "--find-links", wheel.parent, "imagegate")
    return folder


def test_the_wheel_has_the_two_packages_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith("/METADATA"))
        head = Parser().parsestr(archive.read(metadata).decode())
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"imagegate", "imagegate_cli", f"imagegate-{__version__}.dist-info"}
    assert {
        "imagegate/py.typed",
        "imagegate_cli/py.typed",
        "imagegate/approval_page/approval_page.html",
        "imagegate/html_page/frame.html",
    } <= set(names)
    assert head["Version"] == __version__
    requires = head.get_all("Requires-Dist") or []
    assert requires
    assert not any("==" in one for one in requires)


def test_it_says_its_version(environment: Path) -> None:
    assert run(environment / "bin/imagegate", "--version") == f"imagegate {__version__}\n"
    assert run(environment / "bin/python", "-m", "imagegate_cli", "--version").split()[-1] == __version__


def test_it_judges_a_file(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "trivy.json").write_text(json.dumps(TRIVY))
    said = run(
        environment / "bin/imagegate",
        "judge",
        "--findings",
        "trivy.json",
        "--policy",
        "policy.yaml",
        "--json",
        cwd=tmp_path,
    )
    assert json.loads(said)["verdict"] == "PASS"


def test_every_module_can_be_imported(environment: Path) -> None:
    """Nothing that only the development environment has is needed; what runs in Lambda alone brings it."""
    source = (
        "import importlib, pkgutil, imagegate, imagegate_cli\n"
        "for package in (imagegate, imagegate_cli):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
    )
    run(environment / "bin/python", "-c", source)
