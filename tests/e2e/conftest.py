from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.gate import Gate, running_gate

# A worker takes whole files, in this order: one that takes minutes must not begin when the others are done.
LONG = ("test_walk", "test_crowd", "test_night", "test_at_risk", "test_failing_calls")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture(scope="session")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with running_gate(tmp_path_factory.mktemp("gate")) as running:
        yield running


@pytest.fixture(autouse=True)
def quiet(gate: Gate) -> Iterator[None]:
    """Switch quirks off again after each test."""
    before = gate.cloud.api("/sandbox-api/quirks")
    yield
    gate.quirks(**before)
