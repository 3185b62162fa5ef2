"""Bundles that were recorded stay verifiable by every later version; what was changed in one never holds."""

from __future__ import annotations

import re
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from imagegate_cli.context import CommandLine
from imagegate_cli.main import main
from tests.component.cli_gate import Result

RECORDED = Path(__file__).parent / "fixtures" / "bundles"
ROOT = RECORDED / "trust-root.pem"
LATER = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def call(*arguments: str, at: datetime = LATER) -> Result:
        monkeypatch.setattr(sys, "argv", ["imagegate", "verify", *arguments])
        with pytest.raises(SystemExit) as exited:
            main(CommandLine(lambda: at))
        captured = capsys.readouterr()
        return Result(int(exited.value.code or 0), captured.out, captured.err)

    return call


@pytest.mark.parametrize("at", [LATER, LATER.replace(year=2032)], ids=str)
@pytest.mark.parametrize("bundle", sorted(RECORDED.glob("*.zip")), ids=lambda path: path.name)
def test_a_recorded_bundle_is_judged_again_as_it_was(verify: Any, bundle: Path, at: datetime) -> None:
    found = verify(str(bundle), "--trust-root", str(ROOT), "--json", at=at)
    assert (found.code, found.err) == (0, "")
    assert found.json["rerun"]["confirmed"]
    assert found.json["signatures"][0]["gate"] == "dev"


def test_without_its_root_nothing_is_believed(verify: Any) -> None:
    result = verify(str(RECORDED / "v1-passed.zip"))
    assert result.code == 1
    remedy = "name its file with --trust-root or IMAGEGATE_TRUST_ROOT"
    assert " ".join(result.out.split()).count(remedy) == 1


def test_of_several_images_the_highest_exit_code_counts_and_all_are_shown(
    verify: Any, tmp_path: Path
) -> None:
    good, trusted = str(RECORDED / "v1-passed.zip"), ("--trust-root", str(ROOT))
    both = verify(good, good, *trusted, "--json")
    assert both.code == 0
    assert [one["verified"] for one in both.json] == [True, True]
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK")
    result = verify(str(broken), good, *trusted)
    assert result.code == 2
    assert f"{good}: passed the dev gate" in " ".join(result.out.split())
    assert len(result.err.splitlines()) == 1
    assert not result.out.startswith("\n")
    twice = verify(good, str(broken), good, *trusted)
    assert twice.out == f"{result.out}\n{result.out}"
    refused = verify(good, good, "--gate", "production", *trusted)
    assert refused.code == 1
    with_error = verify(str(broken), good, *trusted, "--json")
    assert (with_error.code, [one["verified"] for one in with_error.json]) == (2, [False, True])
    assert "not a bundle" in with_error.json[0]["error"]


def test_a_bundle_is_written_of_one_image_only(verify: Any) -> None:
    result = verify("shop-dev:1.0", "shop-dev:1.1", "--bundle", "x.zip")
    assert (result.code, result.out) == (2, "")
    assert "--bundle is for one image" in result.err


def test_a_bundle_is_made_of_an_image_and_not_of_a_file(verify: Any, tmp_path: Path) -> None:
    result = verify(str(RECORDED / "v1-passed.zip"), "--bundle", str(tmp_path / "x.zip"))
    assert (result.code, result.out) == (2, "")
    assert "--bundle is for an image in ECR" in result.err
    assert not (tmp_path / "x.zip").exists()


def test_the_root_can_be_named_by_the_environment(verify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEGATE_TRUST_ROOT", str(ROOT))
    result = verify(str(RECORDED / "v1-passed.zip"))
    assert result.code == 0
    assert "--trust-root" not in result.out


def test_digests_stay_whole_in_80_columns(verify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = verify(str(RECORDED / "v1-passed.zip"), "--trust-root", str(ROOT))
    assert len(re.findall(r"sha256:[0-9a-f]{64}\b", result.out)) == result.out.count("sha256:") > 3


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip file at all"])
def test_another_file_is_no_bundle(verify: Any, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.zip"
    path.write_bytes(content)
    found = verify(str(path))
    assert found.code == 2
    assert len(found.err.splitlines()) == 1


@pytest.mark.parametrize(
    "head", [b"", b"[]", b"{}", b'{"schema": "imagegate.bundle/v9"}', b"[" * 100_000, b'{"schema": 1}']
)
def test_a_broken_head_is_one_line(verify: Any, tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "broken.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bundle.json", head)
    found = verify(str(path))
    assert found.code == 2
    assert len(found.err.splitlines()) == 1


def test_no_part_can_be_taken_out_or_exchanged(verify: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(RECORDED / "v1-passed.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for number, name in enumerate(sorted(files)):
        for kind, content in (("gone", None), ("other", b"{}"), ("cut", files[name][:-1])):
            path = tmp_path / f"{number}-{kind}.zip"
            with zipfile.ZipFile(path, "w") as archive:
                for other, kept in (files | {name: content}).items():
                    if kept is not None:
                        archive.writestr(other, kept)
            assert verify(str(path), "--trust-root", str(ROOT)).code in (1, 2), (name, kind)
