"""Documents in the shapes of public VEX hubs, made by a generator: none is refused as a whole."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from imagegate.errors import RejectedInputError
from imagegate.gate.vex import document as vex_document
from tests.unit.test_csaf_vex import NOT_AFFECTED, RPM, document, vulnerability

Json = dict[str, Any]

NAMES = st.sampled_from(["CVE-2026-1001", "GHSA-jfh8-c2jp-5v3q", "GO-2026-0001"])
MODULES = st.sampled_from(["golang.org/x/crypto", "golang.org/x/net", "stdlib", "github.com/docker/docker"])
VERSIONS = st.sampled_from(["", "@v0.17.0", "@v25.0.0%2Bincompatible", "@1.21.5"])
LIBRARIES = st.builds("pkg:golang/{}{}".format, MODULES, VERSIONS)
APPLICATIONS = st.builds(
    "pkg:{}{}".format,
    st.sampled_from(
        ["golang/github.com/rancher/fleet", "golang/k8s.io/kubernetes", "npm/%40example/app", "oci/trivy"]
    ),
    st.sampled_from(["", "@v0.9.0", "?repository_url=ghcr.io/aquasecurity/trivy"]),
)
PRODUCTS = st.fixed_dictionaries(
    {"@id": APPLICATIONS},
    optional={"subcomponents": st.lists(st.fixed_dictionaries({"@id": LIBRARIES}), min_size=1, max_size=3)},
)
STATEMENTS = st.fixed_dictionaries(
    {
        "vulnerability": st.fixed_dictionaries(
            {"name": NAMES},
            optional={"aliases": st.lists(NAMES, max_size=2), "description": st.text(max_size=5)},
        ),
        "products": st.lists(PRODUCTS, min_size=1, max_size=2),
        "status": st.just("not_affected"),
        "justification": st.sampled_from(
            ["vulnerable_code_not_present", "vulnerable_code_not_in_execute_path"]
        ),
    },
    optional={"impact_statement": st.text(max_size=9), "timestamp": st.just("2026-01-01T00:00:00Z")},
)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=6),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.none(), max_size=2),
)


def hub(statements: list[Any]) -> bytes:
    head = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://hub.example/pkg",
        "author": "hub",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
    }
    return json.dumps({**head, "statements": statements}).encode()


@given(st.lists(STATEMENTS, max_size=6))
def test_a_document_of_a_hub_is_understood_in_full(statements: list[Json]) -> None:
    parsed = vex_document.parse(hub(statements)).statements
    assert len(parsed) == sum(len(one["products"]) for one in statements)
    assert not any(one.fault for one in parsed)


@given(st.lists(STATEMENTS, min_size=1, max_size=4), st.data())
def test_an_odd_statement_spoils_no_other(statements: list[Json], data: st.DataObject) -> None:
    odd = damaged(data.draw(st.sampled_from(statements)), data)
    good, both = vex_document.parse(hub(statements)), vex_document.parse(hub([*statements, odd]))
    assert both.statements[: len(good.statements)] == good.statements


@given(st.data())
def test_whatever_is_in_a_vulnerability_of_csaf_spoils_no_other(data: st.DataObject) -> None:
    fixed = vulnerability({"fixed": [RPM]})
    odd = damaged(NOT_AFFECTED, data)
    alone, both = vex_document.parse(document(fixed)), vex_document.parse(document(fixed, odd))
    assert both.statements[:1] == alone.statements


@given(st.data())
def test_whatever_is_changed_in_a_csaf_document_it_is_read_or_refused(data: st.DataObject) -> None:
    raw = damaged(json.loads(document(NOT_AFFECTED, vulnerability({"fixed": [RPM]}))), data)
    with contextlib.suppress(RejectedInputError):
        vex_document.parse(json.dumps(raw).encode())


def damaged(document_: Json, data: st.DataObject) -> Any:
    """Return a document with junk at some place."""
    changed = copy.deepcopy(document_)
    path = data.draw(st.sampled_from(list(places(changed))))
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = data.draw(JUNK)
    return changed


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of everything in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, element in inside:
        yield (*path, key)
        yield from places(element, (*path, key))
