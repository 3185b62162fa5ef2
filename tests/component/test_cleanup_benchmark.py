"""The benchmark of clean-ups finds what a careless clean-up would take."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import cleanup as benchmark
from imagegate.cleanup.graph import RepositoryGraph
from imagegate.cleanup.usage import UsedImages
from imagegate.workflow.cleanup.protection import Protection


def test_nothing_that_is_needed_goes() -> None:
    result = benchmark.run(40, 7)
    assert result["expired"] > 10
    assert [result[name] for name in benchmark._BAD] == [0, 0, 0, 0]


BROKEN: dict[str, tuple[object, str, Callable[..., object]]] = {
    "what runs": (UsedImages, "reasons", lambda *_: {}),
    "releases that run": (Protection, "of_image", lambda *_: []),
    "parts of what would go": (RepositoryGraph, "below", lambda self, digests: set(digests)),
    "wholes of what is used": (RepositoryGraph, "above", lambda self, digests: set(digests)),
}


@pytest.mark.parametrize("part", BROKEN)
def test_a_clean_up_without_one_of_its_parts_is_found(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, careless = BROKEN[part]
    monkeypatch.setattr(owner, name, careless)
    assert any(benchmark.run(1, seed)[bad] for seed in range(60) for bad in benchmark._BAD)
