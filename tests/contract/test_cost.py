"""The bill has a line for everything in the template that costs money, and stays within its limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import cost


def test_the_stack_and_a_thousand_images_stay_within_their_limits() -> None:
    lines = cost.bill(cost.PUSHES_A_DAY * cost.HOPS_A_PUSH * 30)
    assert sum(line.usd for line in lines) <= 45
    assert cost.marginal_usd(1000) <= 0.60


def test_every_type_of_resource_has_its_lines_or_is_known_to_cost_nothing() -> None:
    types = {resource["Type"] for resource in cost.template().values()}
    assert sorted(types - cost.RESOURCES.keys()) == []


def test_every_line_has_a_price_with_a_source_and_something_that_is_paid_in_it() -> None:
    prices = cost.read_json("prices.json")["prices"]
    paid = {name for names in cost.RESOURCES.values() for name in names}
    assert paid <= prices.keys()
    assert [name for name, price in prices.items() if not price["source"]] == []
    amounts = cost.of_a_hop().keys() | cost.of_a_month().keys()
    assert amounts == prices.keys()


def test_every_counted_call_is_of_a_function_of_the_template() -> None:
    by_function = json.loads(cost.HOP_CALLS.read_text())
    assert all(cost.memory_of(function) for function in by_function)
    assert by_function.keys() <= cost.read_json("usage.json")["cpu_ms"].keys()


@pytest.mark.parametrize("name", ["lambda_gb_seconds", "states_transitions", "dynamodb_writes"])
def test_more_images_cost_more(name: str) -> None:
    few, many = ({line.name: line.usd for line in cost.bill(hops)} for hops in (100, 1000))
    assert few[name] < many[name]


def test_the_bill_is_printed_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bill.json"
    monkeypatch.setattr("sys.argv", ["cost", "--pushes-per-day", "10", "--json", str(file)])
    cost.main()
    lines = json.loads(file.read_text())
    assert {line["name"] for line in lines} == cost.read_json("prices.json")["prices"].keys()
    printed = capsys.readouterr().out
    assert [line["name"] for line in lines if line["name"] not in printed] == []
