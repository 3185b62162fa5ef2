"""The calls to AWS and to the registry that a promoted hop makes: `benchmarks/hop_calls.json` lists them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from benchmarks.cost import HOP_CALLS
from tests.contract.registry_sandbox import serving
from tests.integration.hop import ROOT, Calls, Hop, counting, starts

PAGE = (ROOT / "docs/explanation/cost.md").read_text()
COLUMNS = {"dynamodb": "DynamoDB", "ecr": "ECR", "registry": "registry"}  # the others are in one column
MOST = 50


@pytest.fixture(scope="module")
def hop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hop]:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        serving(tmp_path_factory.mktemp("calls")) as sandbox,
        counting(sandbox, monkeypatch) as running,
    ):
        running.run("shop", "1.0")  # the clients, the logins and the policy are there from now on
        yield running


def listed(calls: Calls) -> dict[str, dict[str, int]]:
    return {
        function: {f"{service}:{operation}": times for (service, operation), times in sorted(counted.items())}
        for function, counted in calls.by_function.items()
    }


def rows(by_function: dict[str, dict[str, int]]) -> list[str]:
    """Return the rows of the page's table."""
    found = []
    for function, calls in by_function.items():
        cells = dict.fromkeys((*COLUMNS, "other"), 0)
        for name, times in calls.items():
            service = name.partition(":")[0]
            cells[service if service in COLUMNS else "other"] += times
        numbers = [*cells.values(), sum(cells.values())]
        found.append(f"| {function} | {' | '.join(str(number or '–') for number in numbers)} |")
    return found


def test_a_hop_makes_the_calls_that_are_listed(hop: Hop) -> None:
    calls = hop.run("shop", "2.0")
    assert listed(calls) == json.loads(HOP_CALLS.read_text())
    assert calls.total().total() <= MOST


def test_the_page_has_the_listed_calls() -> None:
    by_function = json.loads(HOP_CALLS.read_text())
    assert [row for row in rows(by_function) if row not in PAGE] == []
    assert f"{sum(sum(calls.values()) for calls in by_function.values())} calls" in PAGE


@pytest.mark.parametrize(
    ("app", "way", "sentence"),
    [
        ("shop", {"scan_is_first": True}, r"(\d+) if the scan is over before"),
        ("first", {}, r"(\d+) for the first image of"),
        ("shop", {"by_buildx": True}, r"(\d+) for an index of one platform and its attestation"),
    ],
)
def test_other_ways_make_the_calls_that_the_page_says(
    hop: Hop, app: str, way: dict[str, bool], sentence: str
) -> None:
    said = re.search(sentence, " ".join(PAGE.split()))
    assert said
    assert hop.run(app, "-".join(["3.0", *way]), **way).total().total() == int(said[1])


def test_promotion_pushes_the_image_once_and_starts_the_next_hop_once(hop: Hop) -> None:
    calls = hop.run("shop", "4.0")
    pushes = {name: counted["registry", "PUT manifests"] for name, counted in calls.by_function.items()}
    assert {name: times for name, times in pushes.items() if times} == {"sign_image": 2, "promote_image": 3}
    assert len(starts(hop.events("ECR Image Action", "shop-staging", hop.digest))) == 1


def test_nothing_is_read_twice_by_one_function(hop: Hop) -> None:
    calls = hop.run("shop", "5.0")
    reads = ("GetItem", "BatchGetImage", "DescribeImages", "DescribeImageScanFindings", "GetObject")
    for function, counted in calls.by_function.items():
        assert [call for call, times in counted.items() if call[1] in reads and times > 1] == [], function
    assert calls.total()["dynamodb", "GetItem"] == 3
