"""Subjects decide and do no I/O; nothing knows the sandbox. Which package may import which is in pyproject.toml."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers" / "core" / "imagegate"
# Packages whose modules decide: no I/O, no SDK, the time is passed in.
SUBJECTS = (
    *(
        "audit",
        "baseline",
        "cleanup",
        "deployment",
        "evidence",
        "gate",
        "grants",
        "lifecycle",
        "notices",
        "release",
        "risk",
    ),
)
# Modules that decide, in packages that also talk.
DECIDING = (
    *("errors", "canonical_json", "strict_json", "text", "duration"),
    *(f"oci/{name}" for name in ("image", "image_config", "manifest", "reference", "artifact")),
    *(f"findings/{name}" for name in ("finding", "scan", "coverage", "package_url")),
    *(
        f"policy/{name}"
        for name in ("policy", "audit_rules", "rules", "waiver", "replication", "approval_terms", "cleanup")
    ),
    *(f"approval_page/{name}" for name in ("view", "image_difference")),
)
PURE = sorted(
    [path for name in SUBJECTS for path in (LAYER / name).rglob("*.py")]
    + [LAYER / f"{name}.py" for name in DECIDING]
)
STEPS = sorted((LAYER / "workflow").rglob("*.py"))
PORTS = sorted((LAYER / "ports").glob("*.py"))
HANDLERS = sorted((ROOT / "functions").glob("*/*.py"))
LAYERS = sorted((ROOT / "layers").rglob("*.py"))
CLI = sorted((ROOT / "cli").rglob("*.py"))

SDKS = (
    "boto3",
    "botocore",
    "urllib3",
    "cryptography",
    "yaml",
    "requests",
    "pydantic",
    "aws_lambda_powertools",
    "jinja2",
)
NOT_IN_PRODUCT = ("sandbox", "moto", "tests")
# Modules of the standard library that reach outside, or whose answers change from call to call.
IMPURE = (
    "asyncio",
    "concurrent",
    "ftplib",
    "glob",
    "http",
    "importlib",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "smtplib",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib.request",
    "uuid",
)
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval", "__import__", "breakpoint"})


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def package_of(path: Path) -> list[str]:
    base = LAYER.parent if path.is_relative_to(LAYER) else ROOT
    return list(path.relative_to(base).parent.parts)


def imports(source: str, package: list[str]) -> Iterator[str]:
    """Yield every imported module, wherever the import is; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "__import__",
            "importlib.import_module",
        ):
            yield ast.unparse(node.args[0]).strip("'\"")


def calls(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    yield from (ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))


def is_under(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def forbidden(paths: list[Path], *packages: str) -> list[str]:
    return [
        f"{name_of(path)} imports {module}"
        for path in paths
        for module in imports(path.read_text(), package_of(path))
        if is_under(module, *packages)
    ]


def foreign(path: Path) -> list[str]:
    """Return the imports from outside the standard library and the modules that decide."""
    pure = [".".join(one.relative_to(LAYER.parent).with_suffix("").parts) for one in PURE]
    return [
        module
        for module in imports(path.read_text(), package_of(path))
        if module.partition(".")[0] not in sys.stdlib_module_names and not is_under(module, *pure)
    ]


def test_there_is_something_to_look_at() -> None:
    assert len(PURE) > 5
    assert len(STEPS) > 3
    assert len(HANDLERS) > 5


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_modules_that_decide_import_only_the_standard_library_and_each_other(path: Path) -> None:
    assert foreign(path) == []


def test_modules_that_decide_do_no_input_or_output() -> None:
    assert forbidden(PURE, *IMPURE) == []
    impure = [
        f"{name_of(p)} calls {call}" for p in PURE for call in calls(p.read_text()) if call in IMPURE_CALLS
    ]
    assert impure == []


def test_steps_import_only_ports_and_modules_that_decide() -> None:
    assert forbidden(STEPS, *SDKS, "imagegate.aws", "imagegate.events", "functions", "imagegate_cli") == []
    assert forbidden(STEPS, "os", "socket", "subprocess", "time", "http", "urllib") == []


def test_ports_import_only_each_other_and_modules_that_decide() -> None:
    others = {
        path.name: [module for module in foreign(path) if not is_under(module, "imagegate.ports")]
        for path in PORTS
    }
    assert {name: modules for name, modules in others.items() if modules} == {}


def test_the_product_does_not_know_the_sandbox() -> None:
    assert forbidden([*LAYERS, *HANDLERS, *CLI], *NOT_IN_PRODUCT) == []


def test_code_of_lambda_does_not_import_the_command_line() -> None:
    assert forbidden([*LAYERS, *HANDLERS], "imagegate_cli", "rich") == []


@pytest.mark.parametrize("path", HANDLERS, ids=name_of)
def test_a_handler_is_short_enough_to_have_no_logic(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 50


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import boto3", "boto3"),
        ("import os.path as p", "os.path"),
        ("def f():\n    from moto.ecr import models", "moto.ecr.models"),
        ("from . import ports", "imagegate.workflow.ports"),
        ("from ..aws import ecr", "imagegate.aws.ecr"),
        ("if True:\n    importlib.import_module('sandbox.cloud')", "sandbox.cloud"),
    ],
)
def test_no_import_hides_from_these_tests(source: str, found: str) -> None:
    assert list(imports(source, ["imagegate", "workflow"])) == [found]


def test_no_call_hides_from_these_tests() -> None:
    assert IMPURE_CALLS & set(calls("with open('f'): x = [print(1)]")) == {"open", "print"}


def test_no_two_classes_have_one_name() -> None:
    found: dict[str, list[str]] = {}
    for folder in ("layers", "cli", "functions", "sandbox"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, []).append(str(file.relative_to(ROOT)))
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


def test_the_page_of_the_architecture_names_every_package() -> None:
    page = (ROOT / "docs/explanation/architecture.md").read_text().split("## Where things are")[1]
    core = ROOT / "layers/core/imagegate"
    packages = [folder.parent for at in (core, core / "workflow") for folder in at.glob("*/__init__.py")]
    assert packages
    assert not [folder.name for folder in packages if f"{folder.name}/" not in page]
