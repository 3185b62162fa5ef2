"""Anyone can check what an image passed, from the registry or from one file on a machine without AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gate import Gate

PROFILES = "arn:aws:signer:eu-central-1:123456789012:/signing-profiles/imagegate"


@dataclass
class Verified:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def verify(gate: Gate | None, *arguments: str) -> Verified:
    """With the sandbox's environment, or on a machine that knows nothing of AWS."""
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "100", "HOME": "/nonexistent"}
    program = Path(sys.executable).with_name("imagegate")
    done = subprocess.run(
        [program, "verify", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment | (gate.cloud.env if gate else {}),
        timeout=120,
    )
    assert "Traceback" not in done.stderr
    return Verified(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def passed(gate: Gate) -> str:
    digest = gate.push("checked-dev", "1.0")
    gate.ended("checked-dev", digest)
    gate.ended("checked-staging", digest)
    return digest


@pytest.fixture(scope="module")
def refused(gate: Gate) -> str:
    gate.findings("unchecked-dev", CRITICAL=1)
    digest = gate.push("unchecked-dev", "1.0")
    assert gate.ended("unchecked-dev", digest)["outcome"] == "blocked"
    return digest


@pytest.fixture(scope="module")
def bundle(gate: Gate, passed: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "checked.zip"
    assert verify(gate, "checked-dev:1.0", "--bundle", str(path)).code == 0
    return path


def root(gate: Gate) -> str:
    return gate.cloud.env["IMAGEGATE_TRUST_ROOT"]


def test_a_promoted_image_says_which_gates_it_passed(gate: Gate, passed: str) -> None:
    found = verify(gate, "checked-staging:1.0", "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json["digest"] == passed
    gates = {one["gate"]: one for one in found.json["signatures"]}
    assert set(gates) == {"dev", "staging"}
    assert all(one["valid"] for one in gates.values())
    assert gates["dev"]["profile"] == f"{PROFILES}__dev"
    assert gates["dev"]["policy"] == gate.cloud.outputs["PolicyDigest"]


def test_the_gate_that_is_asked_for_counts(gate: Gate, passed: str) -> None:
    assert verify(gate, "checked-dev:1.0", "--gate", "dev").code == 0
    assert verify(gate, f"checked-dev@{passed}", "--gate", "production").code == 1


def test_a_refused_image_carries_nothing(gate: Gate, refused: str) -> None:
    found = verify(gate, "unchecked-dev:1.0")
    assert found.code == 1
    assert "no valid signature of a gate" in found.out


def test_what_cannot_be_told_exits_2_in_one_line(gate: Gate, tmp_path: Path) -> None:
    for arguments in (
        ("nothing-dev:1.0",),
        ("checked-dev",),
        ("Checked",),
        ("checked-dev:1.0", "--trust-root", "/no"),
    ):
        found = verify(gate, *arguments)
        assert found.code == 2
        assert len(found.err.splitlines()) == 1


def test_another_root_or_profile_is_not_believed(gate: Gate, bundle: Path) -> None:
    assert verify(None, str(bundle)).code == 1  # AWS's own root did not issue these
    other = verify(
        None, str(bundle), "--trust-root", root(gate), "--profile", PROFILES.replace("1234", "9999")
    )
    assert other.code == 1
    right = verify(None, str(bundle), "--trust-root", root(gate), "--profile", PROFILES, "--json")
    assert right.code == 0
    assert right.json["note"] == "whether a signature has been revoked since was not asked"


def test_a_bundle_is_judged_again_without_aws(gate: Gate, bundle: Path) -> None:
    found = verify(None, str(bundle), "--trust-root", root(gate), "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json["rerun"]["confirmed"]
    assert found.json["rerun"]["verdict"] == "PASS"
    assert "is yours was not checked" in found.json["note"]


def test_a_refusal_can_be_checked_too(gate: Gate, refused: str, tmp_path: Path) -> None:
    path = tmp_path / "refused.zip"
    assert verify(gate, "unchecked-dev:1.0", "--bundle", str(path)).code == 1
    found = verify(None, str(path), "--json")
    assert found.code == 1
    assert found.json["rerun"] | {"judgedAt": "", "image": ""} == {
        "confirmed": True,
        "problem": None,
        "verdict": "BLOCK",
        "judgedAt": "",
        "stage": "dev",
        "image": "",
    }


def files_of(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_bundle_that_was_changed_never_holds(gate: Gate, bundle: Path, tmp_path: Path) -> None:
    whole = files_of(bundle)
    for number, name in enumerate(whole):
        for change in (b"", whole[name][:-1], whole[name].replace(b"1", b"2", 1) + b" "):
            changed = zipped(tmp_path / f"{number}-{len(change)}.zip", {**whole, name: change})
            found = verify(None, str(changed), "--trust-root", root(gate))
            assert found.code in (1, 2), name
        without = {other: content for other, content in whole.items() if other != name}
        assert verify(
            None, str(zipped(tmp_path / f"{number}.zip", without)), "--trust-root", root(gate)
        ).code in (1, 2)
