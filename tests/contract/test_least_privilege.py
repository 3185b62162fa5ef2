"""The list of what no test reaches, and the tool that compares the template with what the tests used."""

from __future__ import annotations

from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from tools import least_privilege
from tools.least_privilege import TEMPLATE, UNREACHED, faults, read_used, statements

SMALL: dict[str, Any] = {
    "Resources": {
        "SomeRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "Policies": [{"PolicyDocument": {"Statement": [{"Sid": "Read"}, {"Sid": "WriteItsLog"}]}}]
            },
        },
        "Records": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"PolicyDocument": {"Statement": [{"Sid": "Tls"}]}},
        },
        "Other": {"Type": "AWS::SNS::Topic"},
    }
}


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_privilege, "UNREACHED", {("*", "WriteItsLog"): "because"})


def test_used_and_listed_statements_are_in_order() -> None:
    assert faults(SMALL, read_used("imagegate-SomeRole-1X Read\ns3 Tls\nlambda Other\n")) == []


def test_an_unused_statement_is_named() -> None:
    assert faults(SMALL, read_used("s3 Tls\n")) == ["SomeRole Read: no test uses it"]


def test_a_needless_entry_of_the_list_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = read_used("gate-SomeRole-1X Read\ngate-SomeRole-1X WriteItsLog\ns3 Tls\n")
    assert "SomeRole WriteItsLog: listed as unreached, and used" in faults(SMALL, seen)
    monkeypatch.setitem(least_privilege.UNREACHED, ("SomeRole", "Gone"), "because")
    assert "SomeRole Gone: listed as unreached, and not in the template" in faults(SMALL, seen)


def test_the_list_names_statements_of_the_template_and_says_why() -> None:
    known = set(statements(yaml_parse(TEMPLATE.read_text())))
    sids = {sid for _, sid in known}
    assert known
    assert all(one in known or (one[0] == "*" and one[1] in sids) for one in UNREACHED)
    assert all(why for why in UNREACHED.values())
