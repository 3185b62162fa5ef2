"""CSAF VEX: the shapes of real documents, read as statements about products and their parts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagegate.findings.finding import Finding, Package, Severity
from imagegate.gate.vex import document as vex_document
from imagegate.gate.vex.history import StatementHistory
from imagegate.gate.vex.image import Image, Name
from imagegate.gate.vex.openvex import InvalidVexError, Statement
from tests.fakes import NOW

CVE = "CVE-2026-1111"
OPENSSL = Package(
    "openssl-libs",
    "1:1.1.1k-9.el8",
    ecosystem="rpm",
    purl="pkg:rpm/redhat/openssl-libs@1.1.1k-9.el8?arch=x86_64&epoch=1",
)
CURL = Package("curl", "7.61.1-30.el8", ecosystem="rpm", purl="pkg:rpm/redhat/curl@7.61.1-30.el8?arch=x86_64")
SHOP = Image(
    names=(Name.parse("registry.example/shop:1.0"),),
    tags=frozenset({"1.0"}),
    platform="linux/amd64",
    packages=(OPENSSL, CURL),
)
RHEL = "cpe:/o:redhat:enterprise_linux:8"
ON_RHEL = Image(SHOP.names, tags=SHOP.tags, platform=SHOP.platform, packages=SHOP.packages, products=(RHEL,))

Json = dict[str, Any]


def product(product_id: str, *, name: str = "", **helper: Any) -> Json:
    full_name: Json = {"name": name or product_id, "product_id": product_id}
    return full_name | ({"product_identification_helper": helper} if helper else {})


def branch(category: str, *inside: Json) -> Json:
    return {"category": category, "name": "x", "branches": list(inside)}


def leaf(full_name: Json) -> Json:
    return {"category": "product_version", "name": full_name["name"], "product": full_name}


def part_of(part: str, whole: str, category: str = "default_component_of") -> Json:
    return {
        "category": category,
        "full_product_name": {"name": f"{part} as a component of {whole}", "product_id": f"{whole}:{part}"},
        "product_reference": part,
        "relates_to_product_reference": whole,
    }


def vulnerability(status: Json, **members: Any) -> Json:
    return {"cve": CVE, "product_status": status, **members}


def document(*vulnerabilities: Any, tree: Json | None = None, **members: Any) -> bytes:
    """Return a document in the shape of Red Hat's: branches of vendors and architectures, and relationships."""
    platform = leaf(product("red_hat_enterprise_linux_8", name="Red Hat Enterprise Linux 8", cpe=RHEL))
    packages = [
        leaf(product("openssl-libs-1:1.1.1k-9.el8.x86_64", purl=OPENSSL.purl)),
        leaf(product("curl", purl="pkg:rpm/redhat/curl?arch=src")),
        leaf(product("unnamed")),
    ]
    red_hat = {
        "branches": [branch("vendor", branch("product_family", platform), branch("architecture", *packages))],
        "relationships": [
            part_of("openssl-libs-1:1.1.1k-9.el8.x86_64", "red_hat_enterprise_linux_8"),
            part_of("curl", "red_hat_enterprise_linux_8"),
            part_of("unnamed", "red_hat_enterprise_linux_8"),
        ],
        "product_groups": [
            {
                "group_id": "g",
                "product_ids": ["red_hat_enterprise_linux_8:curl", "red_hat_enterprise_linux_8:unnamed"],
            }
        ],
    }
    tracking = {
        "id": CVE,
        "version": "3",
        "status": "final",
        "initial_release_date": "2026-01-01T00:00:00+00:00",
        "current_release_date": "2026-02-01T00:00:00+00:00",
    }
    head = {
        "category": "csaf_vex",
        "csaf_version": "2.0",
        "publisher": {
            "category": "vendor",
            "name": "Red Hat Product Security",
            "namespace": "https://www.redhat.com",
        },
        "title": CVE,
        "tracking": tracking,
    }
    raw = {
        "document": head | members,
        "product_tree": tree or red_hat,
        "vulnerabilities": list(vulnerabilities),
    }
    return json.dumps(raw).encode()


def statements(*vulnerabilities: Any, **more: Any) -> tuple[Statement, ...]:
    return vex_document.parse(document(*vulnerabilities, **more), "cve.json").statements


def is_aside(*contents: bytes, package: Package = OPENSSL, image: Image = ON_RHEL) -> bool:
    history = StatementHistory([vex_document.parse(content) for content in contents], NOW)
    finding = Finding(CVE, Severity.CRITICAL, (package,))
    return history.setting_aside(finding, package, image) is not None


RPM = "red_hat_enterprise_linux_8:openssl-libs-1:1.1.1k-9.el8.x86_64"
SOURCE = "red_hat_enterprise_linux_8:curl"
NOT_AFFECTED = vulnerability(
    {"known_not_affected": [SOURCE]},
    flags=[{"label": "vulnerable_code_not_present", "product_ids": [SOURCE], "date": "2026-01-10T00:00:00Z"}],
)


def test_a_component_of_a_platform_is_a_part_of_a_product() -> None:
    (one,) = statements(NOT_AFFECTED)
    assert (one.status, one.justification, one.author) == (
        "not_affected",
        "vulnerable_code_not_present",
        "Red Hat Product Security",
    )
    assert one.product.names == (RHEL,)
    assert [part.names for part in one.parts] == [("pkg:rpm/redhat/curl",)]
    assert one.where == "cve.json: vulnerabilities[0].product_status.known_not_affected[0]"
    assert one.fault == ""


def test_a_distributions_statements_apply_if_the_user_says_that_the_image_is_built_on_it() -> None:
    fixed = document(vulnerability({"fixed": [RPM]}))
    assert is_aside(fixed)
    assert not is_aside(fixed, image=SHOP)
    assert not is_aside(fixed, package=CURL)
    assert is_aside(document(NOT_AFFECTED), package=CURL)


@pytest.mark.parametrize("name", ["red_hat_enterprise_linux_8", "Red Hat Enterprise Linux *", f"{RPM}"])
def test_a_product_is_named_by_its_id_its_name_or_a_glob(name: str) -> None:
    image = Image(SHOP.names, packages=SHOP.packages, products=(name,))
    assert is_aside(document(vulnerability({"fixed": [RPM]})), image=image)


@pytest.mark.parametrize("key", ["known_affected", "under_investigation", "first_affected", "surprise"])
def test_a_product_with_two_statuses_has_the_stricter_one(key: str) -> None:
    assert not is_aside(document(vulnerability({"fixed": [RPM], key: [RPM]})))


def test_a_product_without_relationships_is_the_image_itself() -> None:
    tree = {"full_product_names": [product("CSAFPID-1", purl="pkg:oci/shop?tag=1.0")]}
    told = vulnerability(
        {"known_not_affected": ["CSAFPID-1"]},
        threats=[{"category": "impact", "details": "not reachable", "product_ids": ["CSAFPID-1"]}],
    )
    assert is_aside(document(told, tree=tree), image=SHOP)
    (one,) = statements(told, tree=tree)
    assert (one.note, one.justification) == ("not reachable", None)


def test_flags_and_threats_may_name_groups() -> None:
    told = vulnerability(
        {"known_not_affected": [SOURCE]}, flags=[{"label": "component_not_present", "group_ids": ["g"]}]
    )
    assert is_aside(document(told), package=CURL)


@pytest.mark.parametrize(
    ("vulnerability_", "members", "fault"),
    [
        (
            vulnerability({"known_not_affected": [SOURCE]}),
            {},
            "needs a flag or a threat of the category impact",
        ),
        (
            vulnerability(
                {"known_not_affected": [SOURCE]}, flags=[{"label": "lucky", "product_ids": [SOURCE]}]
            ),
            {},
            "the flag 'lucky' is not understood",
        ),
        (vulnerability({"fixed": ["nowhere"]}), {}, "the product 'nowhere' is not in the tree"),
        (vulnerability({"fixed": [7]}), {}, "the product '7' is not in the tree"),
        ({"product_status": {"fixed": [RPM]}}, {}, "neither a cve nor ids"),
        (
            vulnerability({"fixed": [RPM]}),
            {"tracking": {"status": "final"}},
            "current_release_date is not a time",
        ),
        (
            vulnerability({"fixed": [RPM]}),
            {"tracking": {"status": "draft", "current_release_date": "2026-02-01T00:00:00Z"}},
            "the document is a draft",
        ),
        *(
            (
                vulnerability({"fixed": [RPM]}),
                {"tracking": {"status": status, "current_release_date": "2026-02-01T00:00:00Z"}},
                "the document is a draft",
            )
            for status in ("Draft", "DRAFT ", "", None, 7, ["final"])
        ),
    ],
)
def test_one_odd_statement_is_named_and_sets_nothing_aside(
    vulnerability_: Json, members: Json, fault: str
) -> None:
    good = vulnerability({"fixed": [RPM]})
    one = statements(vulnerability_, good, **members)[0]
    assert fault in one.fault
    assert not is_aside(document(vulnerability_, **members))


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        ({"full_product_names": [product("p", purl="pkg:oci/shop", skus=["s"])]}, "skus of the product"),
        (
            {
                "full_product_names": [product("a", purl="pkg:oci/a"), product("b"), product("c")],
                "relationships": [
                    part_of("b", "a"),
                    {**part_of("c", "a:b"), "full_product_name": product("p")},
                ],
            },
            "a part of a part",
        ),
        (
            {
                "full_product_names": [
                    product("a", purl="pkg:oci/shop"),
                    product("b", purl="pkg:deb/debian/b"),
                ],
                "relationships": [{**part_of("b", "a", "beside"), "full_product_name": product("p")}],
            },
            "the relationship 'beside' is not understood",
        ),
    ],
)
def test_an_unknown_qualifier_of_a_product_is_a_fault(tree: Json, fault: str) -> None:
    (one,) = statements(vulnerability({"fixed": ["p"]}), tree=tree)
    assert fault in one.fault


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("where", ["full_product_names", "branches", "relationships"])
def test_an_id_of_several_products_takes_back_and_never_sets_aside(where: str, is_first: bool) -> None:
    ours, other = product("p", purl="pkg:oci/shop"), product("p", purl="pkg:oci/other")
    pair = [ours, other] if is_first else [other, ours]
    tree: Json = {"full_product_names": [product("q", purl="pkg:oci/q"), pair[0]]}
    if where == "full_product_names":
        tree[where].append(pair[1])
    elif where == "branches":
        tree[where] = [branch("vendor", leaf(pair[1]))]
    else:
        tree[where] = [{**part_of("q", "q"), "full_product_name": pair[1]}]
    assert not is_aside(document(vulnerability({"fixed": ["p"]}), tree=tree), image=SHOP)
    (one,) = statements(vulnerability({"fixed": ["p"]}), tree=tree)
    assert "several products with the id 'p'" in one.fault
    tree = {"full_product_names": [product("q", purl="pkg:oci/shop"), *pair]}
    both = vulnerability({"fixed": ["q"], "known_affected": ["p"]})
    assert not is_aside(document(both, tree=tree), image=SHOP)


def test_a_group_that_is_there_twice_has_what_both_have() -> None:
    tree = {
        "full_product_names": [product("a", purl="pkg:oci/shop"), product("b", purl="pkg:oci/b")],
        "product_groups": [{"group_id": "g", "product_ids": ["a"]}, {"group_id": "g", "product_ids": ["b"]}],
    }
    flags = [{"label": "component_not_present", "group_ids": ["g"]}]
    told = vulnerability({"known_not_affected": ["a", "b"]}, flags=flags)
    assert not is_aside(document(told, tree=tree), image=SHOP)


def test_a_product_without_names_takes_back_and_never_sets_aside() -> None:
    tree = {"full_product_names": [product("p"), product("q", purl="pkg:oci/shop")]}
    image = Image(SHOP.names, tags=SHOP.tags, packages=SHOP.packages)
    assert is_aside(document(vulnerability({"fixed": ["q"]}), tree=tree), image=image)
    assert not is_aside(document(vulnerability({"fixed": ["p"]}), tree=tree), image=image)
    both = vulnerability({"fixed": ["q"], "known_affected": ["p"]})
    assert not is_aside(document(both, tree=tree), image=image)


def test_a_newer_version_of_a_document_replaces_the_older_one() -> None:
    def content(version: str, status: str) -> bytes:
        tracking = {
            "id": "x",
            "version": version,
            "status": "final",
            "current_release_date": "2026-02-01T00:00:00Z",
        }
        return document(vulnerability({status: [RPM]}), tracking=tracking)

    assert is_aside(content("2", "fixed"), content("1", "known_affected"))
    assert not is_aside(content("1.10.0", "known_affected"), content("1.9.0", "fixed"))


def test_statements_of_openvex_and_of_csaf_are_one_sequence_in_time() -> None:
    openvex = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "timestamp": "2026-03-01T00:00:00Z",
        "statements": [
            {"vulnerability": {"name": CVE}, "products": [{"@id": "pkg:oci/shop"}], "status": "affected"}
        ],
    }
    fixed = document(vulnerability({"fixed": [RPM]}))
    assert not is_aside(fixed, json.dumps(openvex).encode())
    openvex["timestamp"] = "2026-01-01T00:00:00Z"
    assert is_aside(fixed, json.dumps(openvex).encode())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (document(category="csaf_security_advisory"), "document.category must be csaf_vex"),
        (document(csaf_version="3.0"), "csaf_version must be 2.0 or 2.1"),
        (b'{"document": {"category": "csaf_vex", "csaf_version": "2.0"}}', "vulnerabilities must be a list"),
        (b'{"document": {"csaf_version": 1, "csaf_version": 2}}', "an object has a key twice"),
        (b"[]", "neither an OpenVEX document"),
    ],
)
def test_anything_but_a_csaf_vex_document_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(InvalidVexError, match=says.replace("(", r"\(")):
        vex_document.parse(content)
