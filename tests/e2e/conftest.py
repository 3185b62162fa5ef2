from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.gate import Gate, running_gate


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
