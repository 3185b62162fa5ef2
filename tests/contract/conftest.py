"""One sandbox with every resource type in it, shared by the tests of the cloud's core."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.served_cloud import ServedCloud, served_cloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCloud]:
    with served_cloud(tmp_path_factory.mktemp("cloud"), "cloud") as running:
        yield running
