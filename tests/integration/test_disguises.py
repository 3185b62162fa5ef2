"""The gate reads every document as a client does that we did not write."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from benchmarks import disguises
from imagegate.oci.image import Digest
from tests.component.disguise_shapes import PLATFORMS, Maker
from tests.component.disguised_documents import Pairs, bytes_of
from tests.component.disguises import KINDS, disguise
from tests.component.go_client import go_client

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="the judge is skopeo")


def test_a_client_in_go_pulls_the_judged_image() -> None:
    result = disguises.run(300, 7, 1)
    assert result["disagreed"] == 0, result["told"]
    assert result["refused"] + result["agreed"] == result["tried"] == sum(result["by_kind"].values())
    assert result["pulled"] > result["agreed"] > 50  # the judge has looked


def test_the_judge_tells_two_readings_apart(tmp_path: Path) -> None:
    """It folds keys, as every client in Go; else its agreement would say nothing."""
    maker = Maker(random.Random(1))
    good, evil = maker.child("linux/amd64"), maker.child("linux/amd64", evil=True)
    hidden = evil.put("platform", Pairs.of(OS="linux", Architecture="amd64"))
    made = maker.finish(maker.index([hidden, good]), maker.index_type)
    config = bytes_of(Pairs([("config", Pairs.of(User="1", user="0")), ("os", "linux"), ("rootfs", Pairs())]))
    digest = maker.shelf.blob(config, "application/json").get("digest")
    with go_client(tmp_path) as client:
        client.serve("folded", made.shelf, made.root)
        pulled = client.pull(["folded"], PLATFORMS[0])
        configs = client.configs({Digest.parse(digest): config})
        made_of = [good, evil, maker.attestation(good), maker.attestation(good, new=False)]
        client.serve("all", maker.shelf, made.root)
        images = client.images(Digest.parse(entry.get("digest")) for entry in made_of)
    assert str(pulled["folded"].manifest) == evil.get("digest")
    assert [read["config"]["User"] for read in configs.values()] == ["0"]
    assert {str(image) for image in images} == {good.get("digest"), evil.get("digest")}


def test_the_same_seed_makes_the_same_documents_and_another_one_others() -> None:
    for kind in KINDS:
        made = {disguise(kind, random.Random(f"{kind}/{number % 6}")).root for number in range(12)}
        assert 1 < len(made) <= 6, kind
