"""The benchmark of the audit: its requests grow with the repositories and with pages, never with images."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import audit
from imagegate.aws import dynamodb, records
from imagegate.aws.cleanup import images as stored_images
from imagegate.aws.ecr import images as ecr
from imagegate.aws.ecr import settings as ecr_settings


@pytest.fixture(autouse=True)
def _own_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the adapters their clients back after the test."""
    for adapter in (ecr, ecr_settings, stored_images, dynamodb, records):
        monkeypatch.setattr(adapter, "client", adapter.client)


def calls(repositories: int, images: int) -> dict[str, int]:
    result: dict[str, Any] = audit.measure(repositories, images)
    assert (result["images"], result["not_assessed"]) == (repositories * images, 0)
    assert result["report_kib"] > 0
    return dict(result["api_calls"])


def test_requests_are_linear_in_repositories() -> None:
    few, many = calls(4, 20), calls(12, 20)
    assert {name: 3 * number for name, number in few.items() if number > 1} == {
        name: number + 2 * (name == "ecr:DescribeRepositories") for name, number in many.items() if number > 1
    }


def test_images_cost_pages_not_requests() -> None:
    assert calls(2, 40) == calls(2, 10)
