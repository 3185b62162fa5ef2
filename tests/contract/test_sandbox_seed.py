"""The image that the sample events name: the same digest on every machine, there when asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.images import seed
from tests.contract.registry_sandbox import serving


def test_the_sample_has_the_digest_that_the_events_name(tmp_path: Path) -> None:
    assert seed.build(tmp_path).digest == seed.SAMPLE_DIGEST


def test_seeding_twice_leaves_one_tagged_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with serving(tmp_path) as sandbox:
        assert [seed.main(["--state", str(tmp_path)]) for _ in range(2)] == [0, 0]
        listed = sandbox.client("ecr").list_images(repositoryName=seed.SAMPLE_REPOSITORY)["imageIds"]
    assert listed == [{"imageDigest": seed.SAMPLE_DIGEST, "imageTag": seed.SAMPLE_TAG}]
    assert capsys.readouterr().out.split() == [seed.SAMPLE_DIGEST] * 2
    assert not list(tmp_path.glob("seed-*"))


def test_without_a_sandbox_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert seed.main(["--state", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("seed: no sandbox is running")
