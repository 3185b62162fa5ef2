"""Sandboxes for tests: one of each module with a registry alone, and one of all with every type of resource."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.registry_sandbox import Repository, Sandbox, serving
from tests.contract.served_cloud import ServedCloud, served_cloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCloud]:
    with served_cloud(tmp_path_factory.mktemp("cloud"), "cloud") as running:
        yield running


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with serving(tmp_path_factory.mktemp("state")) as sandbox:
        yield sandbox


@pytest.fixture
def repo(sandbox: Sandbox) -> Repository:
    return sandbox.repository()
