"""Pushes of real tools are never refused as ambiguous: each is an image with its platforms, or no image."""

from __future__ import annotations

import pytest

from imagegate.oci.artifact import unread_layers
from imagegate.oci.image import Digest
from tests.component.artifact_shapes import ARTIFACTS
from tests.component.gate_reading import is_artifact, read
from tests.component.image_shapes import IMAGES
from tests.component.shape_bench import Bench


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_of_a_real_tool_is_judged_on_each_platform(name: str) -> None:
    shape, bench = IMAGES[name], Bench()
    root = Digest.parse(shape.build(bench)["digest"])
    reading = read(bench.shelf, root)
    assert len(reading.judged) == shape.runs
    assert not is_artifact(bench.shelf, root)
    assert any(unread_layers(judged.manifest) for judged in reading.judged.values()) is shape.unread


@pytest.mark.parametrize("name", ARTIFACTS)
def test_an_artifact_of_a_real_tool_starts_nothing(name: str) -> None:
    bench = Bench()
    root = Digest.parse(ARTIFACTS[name].build(bench)["digest"])
    assert is_artifact(bench.shelf, root)
    assert read(bench.shelf, root).judged == {}
