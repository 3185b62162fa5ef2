"""OpenVEX: a sequence in time, in which what is not understood in full sets nothing aside."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagegate.findings.finding import Finding, Package, Severity
from imagegate.gate.vex import document as vex_document
from imagegate.gate.vex import openvex
from imagegate.gate.vex import writer as openvex_writer
from imagegate.gate.vex.history import StatementHistory
from imagegate.gate.vex.image import Image, Name
from imagegate.oci.image import Digest
from imagegate.policy.policy import RepositoryPattern
from imagegate.policy.waiver import Waiver
from tests.fakes import NOW

OURS = f"sha256:{'ab' * 32}"
OTHER = f"sha256:{'cd' * 32}"
CVE = "CVE-2026-1111"
OPENSSL = Package("openssl", "3.0.1", ecosystem="deb", purl="pkg:deb/debian/openssl@3.0.1?arch=amd64")
LIBSSL = Package("libssl3", "3.0.1", ecosystem="deb", purl="pkg:deb/debian/libssl3@3.0.1?arch=amd64")
BARE = Package("openssl", "3.0.1")  # as ECR names it
IMAGE = Image(
    names=(Name.parse("123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop:1.0"),),
    digests=frozenset({OURS}),
    tags=frozenset({"1.0"}),
    platform="linux/amd64",
    packages=(OPENSSL, LIBSSL),
)
UNSCANNED = Image(names=(Name(None, "shop-dev"),), patterns=(RepositoryPattern("{app}-dev"),))
KIND = {"status": "not_affected", "justification": "vulnerable_code_not_present"}
STRICT = [{"status": "affected"}, {"status": "under_investigation"}, {"status": "perhaps"}, {}]

Json = dict[str, Any]


def make_statement(product: Any = "pkg:oci/shop", *parts: Any, day: int | None = 1, **more: Any) -> Json:
    """Return a statement of a day in January."""
    subject = {"@id": product} if isinstance(product, str) else dict(product)
    if parts:
        subject["subcomponents"] = [{"@id": part} if isinstance(part, str) else part for part in parts]
    when = {"timestamp": f"2026-01-{day:02}T00:00:00Z"} if day else {}
    return {"vulnerability": {"name": CVE}, "products": [subject], **when, **(more or KIND)}


def document(*statements: Any, **more: Any) -> bytes:
    head = {"@context": openvex.CONTEXT, "@id": "https://example.com/vex", "author": "ann", "version": 1}
    return json.dumps({**head, **more, "statements": list(statements)}).encode()


def history(*documents: bytes) -> StatementHistory:
    return StatementHistory([vex_document.parse(content) for content in documents], NOW)


def is_aside(
    *statements: Any, package: Package = OPENSSL, image: Image = IMAGE, names: tuple[str, ...] = (CVE,)
) -> bool:
    found = Finding(names[0], Severity.CRITICAL, (package,), names[1:])
    return history(document(*statements)).setting_aside(found, package, image) is not None


# in time


@pytest.mark.parametrize("strict", STRICT)
@pytest.mark.parametrize(("first", "then", "aside"), [(1, 2, False), (2, 1, True), (1, 1, False)])
def test_the_latest_statement_holds_and_at_the_same_time_the_stricter(
    strict: Json, first: int, then: int, aside: bool
) -> None:
    kind, later = make_statement(day=first), make_statement(day=then, status_notes="", **strict)
    assert is_aside(kind, later) is aside
    assert is_aside(later, kind) is aside


@pytest.mark.parametrize(
    ("package", "part", "name"),
    [
        (OPENSSL, "pkg:deb/debian/openssl", CVE.lower()),
        (OPENSSL, "pkg:deb/debian/OpenSSL", CVE),
        (OPENSSL, "OpenSSL", CVE),
        (BARE, "pkg:deb/debian/OpenSSL", CVE),
        (BARE, "OPENSSL", CVE),
        (
            Package("x", "1", ecosystem="golang", purl="pkg:golang/github.com/Masterminds/sprig@1"),
            "pkg:golang/github.com/masterminds/sprig",
            CVE,
        ),
        (OPENSSL, "pkg:deb/debian/openssl?arch=arm64&arch=amd64", CVE),
        (OPENSSL, "pkg:deb/debian/openssl?arch=amd64&arch=arm64", CVE),
    ],
)
def test_a_name_in_other_capitals_takes_back_and_never_sets_aside(
    package: Package, part: str, name: str
) -> None:
    """Some tools write names in lower case; of a qualifier that is there twice, readers take different ones."""
    exact = package.purl or package.name
    kind = make_statement("pkg:oci/shop", exact, day=1)
    assert is_aside(kind, package=package)
    strict = {
        **make_statement("pkg:oci/shop", part, day=2, status="affected"),
        "vulnerability": {"name": name},
    }
    assert not is_aside(kind, strict, package=package)
    odd = {**make_statement("pkg:oci/shop", part, day=1), "vulnerability": {"name": name}}
    assert not is_aside(odd, package=package)


def test_a_statement_without_a_date_is_older_than_all_that_take_back() -> None:
    assert is_aside(make_statement(day=None))
    assert not is_aside(make_statement(day=None), make_statement(day=1, status="affected"))
    assert not is_aside(make_statement(day=2), make_statement(day=None, status="affected"))


def test_a_date_that_cannot_be_read_is_never_an_advantage() -> None:
    assert not is_aside({**make_statement(), "timestamp": "yesterday"})
    assert not is_aside(
        make_statement(day=2), {**make_statement(status="affected"), "timestamp": "yesterday"}
    )
    assert is_aside(make_statement(), {**make_statement(), "timestamp": "yesterday"})


def test_a_statement_of_a_future_date_has_no_effect() -> None:
    ahead = (NOW + timedelta(days=1)).isoformat()
    assert not is_aside({**make_statement(), "timestamp": ahead})
    assert not is_aside(make_statement(), {**make_statement(status="affected"), "timestamp": ahead})
    assert not is_aside({**make_statement(), "last_updated": ahead})
    assert is_aside({**make_statement(), "timestamp": (NOW + timedelta(minutes=1)).isoformat()})


def test_an_update_takes_back_what_was_said_since() -> None:
    updated = make_statement(day=1, status="affected", last_updated="2026-01-09T00:00:00Z")
    assert not is_aside(make_statement(day=5), updated)
    assert is_aside(make_statement(day=10), updated)
    assert is_aside(make_statement(day=1, last_updated="2026-01-10T00:00:00Z", **KIND), updated)


@given(*[st.integers(1, 9)] * 2, *[st.none() | st.integers(1, 9)] * 2)
@example(5, 5, None, 3)
def test_a_date_more_never_makes_a_contrary_statement_older(
    favourable: int, contrary: int, ours: int | None, theirs: int | None
) -> None:
    def made(day: int, updated: int | None, **more: Any) -> Json:
        return make_statement(
            day=day, **more, **({"last_updated": f"2026-01-0{updated}T00:00:00Z"} if updated else {})
        )

    kind, strict = made(favourable, ours), made(contrary, None, status="affected")
    if not is_aside(kind, strict):
        assert not is_aside(kind, made(contrary, theirs, status="affected"))


def both(*documents: bytes) -> bool:
    found = Finding(CVE, Severity.CRITICAL, (OPENSSL,))
    answers = {
        history(*some).setting_aside(found, OPENSSL, IMAGE) is not None
        for some in (documents, documents[::-1])
    }
    (answer,) = answers  # the order of the files makes no difference
    return answer


def test_the_latest_version_of_a_document_holds() -> None:
    undated = {"timestamp": "2026-01-01T00:00:00Z"}
    kind, strict = make_statement(day=None), make_statement(day=None, status="affected")
    assert both(document(strict, **undated), document(kind, version=2, **undated))
    assert not both(document(kind, **undated), document(strict, version=2, **undated))
    assert not both(document(kind, **undated), document(version=2, **undated))  # taken out again
    assert not both(
        document(kind, **undated), document(strict, **{**undated, "@id": "https://example.com/2"})
    )


def test_statements_have_the_date_of_their_document() -> None:
    old = document(make_statement(day=None), timestamp="2026-01-01T00:00:00Z")
    assert not both(
        old, document(make_statement(day=None, status="affected"), timestamp="2026-02-01T00:00:00Z")
    )
    assert both(old, document(make_statement(day=None, status="affected"), timestamp="2025-12-01T00:00:00Z"))


# what it is about


@pytest.mark.parametrize(
    ("product", "is_ours"),
    [
        ("pkg:oci/shop", True),
        ("pkg:oci/Shop", True),
        (f"pkg:oci/shop@{OURS}", True),
        (f"pkg:oci/shop@{OURS.replace(':', '%3A')}?repository_url=elsewhere.example", True),
        (f"pkg:oci/shop@{OTHER}", False),
        ("pkg:oci/shop@sha256:abab", False),
        ("pkg:oci/shop@1.0", False),
        ("pkg:oci/shop?tag=1.0", True),
        ("pkg:oci/shop?tag=2.0", False),
        ("pkg:oci/shop?arch=amd64", True),
        ("pkg:oci/shop?arch=arm64", False),
        (f"pkg:oci/shop@{OURS}?arch=arm64", False),
        ("pkg:oci/shop?something=new", False),
        ("pkg:oci/shop#usr/bin", False),
        ("pkg:oci/shop?repository_url=123456789012.dkr.ecr.eu-central-1.amazonaws.com%2Fshop", True),
        ("pkg:oci/shop?repository_url=123456789012.dkr.ecr.eu-central-1.amazonaws.com", True),
        ("pkg:oci/shop?repository_url=ghcr.io/shop", False),
        ("pkg:oci/shop?repository_url=123456789012.dkr.ecr.eu-central-1.amazonaws.com/a/shop", False),
        ("pkg:oci/other", False),
        ("pkg:docker/shop", False),
        ("pkg:golang/github.com/acme/other@v1", False),
        ("https://example.com/products/shop", False),
        (f"shop@{OURS}", True),
        (f"shop@{OTHER}", False),
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop:1.0", True),
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop:2.0", False),
        ("ghcr.io/acme/shop:1.0", False),
        ({"identifiers": {"purl": "pkg:oci/shop"}}, True),
        ({"@id": "https://example.com/p", "identifiers": {"purl": "pkg:oci/shop"}}, True),
        ({"@id": "pkg:oci/shop", "identifiers": {"purl": f"pkg:oci/shop@{OTHER}"}}, False),
        ({"@id": "pkg:oci/shop", "hashes": {"sha-256": OURS[7:]}}, True),
        ({"@id": "pkg:oci/shop", "hashes": {"sha-256": OTHER[7:]}}, False),
        ({"@id": "pkg:oci/shop", "hashes": {"sha-512": "ab"}}, False),
        ({"hashes": {"sha-256": OURS[7:]}}, True),
        ({"@id": "pkg:oci/shop", "version_range": "<2"}, False),
    ],
)
def test_a_statement_is_about_the_product_that_it_names(product: Any, is_ours: bool) -> None:
    assert is_aside(make_statement(product)) is is_ours
    assert is_aside(make_statement(product, "pkg:deb/debian/openssl@3.0.1")) is is_ours
    if isinstance(product, str):
        texts = make_statement(product)
        texts["products"] = [product]
        assert is_aside(texts) is is_ours


def test_an_identifier_that_the_scanner_does_not_report_narrows_the_statement_all_the_same() -> None:
    dated: dict[str, Any] = {"package": BARE, "image": UNSCANNED}
    assert is_aside(make_statement("pkg:oci/shop-dev"), **dated)
    assert is_aside(make_statement("pkg:oci/shop"), **dated)  # the application of the pattern
    for product in (
        f"pkg:oci/shop-dev@{OURS}",
        "pkg:oci/shop-dev?arch=amd64",
        "pkg:oci/shop-dev?tag=1.0",
        "pkg:oci/shop-dev?repository_url=ghcr.io/shop-dev",
    ):
        assert not is_aside(make_statement(product), **dated)
        assert not is_aside(
            make_statement("pkg:oci/shop-dev"), make_statement(product, day=2, status="affected"), **dated
        )


@pytest.mark.parametrize(
    ("part", "package", "is_meant"),
    [
        ("pkg:deb/debian/openssl@3.0.1", OPENSSL, True),
        ("pkg:deb/debian/openssl", OPENSSL, True),
        ("pkg:deb/debian/openssl@3.0.2", OPENSSL, False),
        ("pkg:deb/ubuntu/openssl", OPENSSL, False),
        ("pkg:deb/debian/openssl?arch=amd64", OPENSSL, True),
        ("pkg:deb/debian/openssl?arch=arm64", OPENSSL, False),
        ("pkg:deb/debian/openssl?distro=debian-12", OPENSSL, False),
        ("pkg:deb/debian/openssl?upstream=openssl", OPENSSL, True),
        ("pkg:deb/debian/openssl#lib", OPENSSL, False),
        ("pkg:deb/debian/openssl", LIBSSL, False),
        ("pkg:deb/debian/openssl@3.0.1", BARE, True),
        ("pkg:deb/debian/openssl@3.0.1?arch=amd64", BARE, True),
        ("pkg:deb/debian/openssl@3.0.1?arch=arm64", BARE, False),
        ("pkg:deb/debian/openssl@3.0.1?distro=debian-12", BARE, False),
        ("openssl", BARE, True),
        ("urn:example:1", OPENSSL, False),
        ({"@id": "urn:example:1", "identifiers": {"purl": "pkg:deb/debian/openssl@3.0.1"}}, OPENSSL, True),
        (
            {"@id": "pkg:deb/debian/openssl@3", "identifiers": {"purl": "pkg:deb/debian/openssl"}},
            OPENSSL,
            False,
        ),
        ({"identifiers": {"cpe23": "cpe:2.3:a:openssl:openssl:3.0.1:*:*:*:*:*:*:*"}}, OPENSSL, True),
        ({"identifiers": {"cpe22": "cpe:/a:openssl:openssl:3.0.1"}}, OPENSSL, True),
        ({"identifiers": {"cpe23": "cpe:2.3:a:openssl:openssl:3.0.2:*:*:*:*:*:*:*"}}, OPENSSL, False),
        ({"identifiers": {"cpe23": "cpe:2.3:a:acme:openssl:3.0.1:*:*:*:*:*:*:*"}}, OPENSSL, False),
        ({"identifiers": {"cpe23": "cpe:2.3:a:openssl:openssl:3.0.1:*:*:*:*:windows:*:*"}}, OPENSSL, False),
        ({"identifiers": {"swid": "x", "purl": "pkg:deb/debian/openssl"}}, OPENSSL, False),
        ({"@id": "pkg:deb/debian/openssl", "hashes": {"sha-256": "ab"}}, OPENSSL, False),
        ({"@id": "pkg:deb/debian/openssl", "platform": "windows"}, OPENSSL, False),
        ({}, OPENSSL, False),
        (7, OPENSSL, False),
    ],
)
def test_a_part_means_the_packages_that_it_names_in_full(part: Any, package: Package, is_meant: bool) -> None:
    assert is_aside(make_statement("pkg:oci/shop", part), package=package) is is_meant


@pytest.mark.parametrize("where", ["statement", "product"])
def test_parts_narrow_a_statement_wherever_they_are(where: str) -> None:
    parts = ["pkg:deb/debian/openssl"]
    statement = make_statement("pkg:oci/shop", *(parts if where == "product" else ()))
    if where == "statement":
        statement |= {"subcomponents": parts}
    assert is_aside(statement)
    assert not is_aside(statement, package=LIBSSL)


def test_a_product_may_be_a_package_in_the_image() -> None:
    assert is_aside(make_statement("pkg:deb/debian/openssl@3.0.1"))
    assert not is_aside(make_statement("pkg:deb/debian/openssl@3.0.1"), package=LIBSSL)


def test_a_statement_about_a_program_applies_to_no_other_program() -> None:
    program = Package("github.com/acme/app", "v1", ecosystem="golang", path="usr/bin/app")
    ours = Package("golang.org/x/net", "v0.1", ecosystem="golang", path="usr/bin/app")
    theirs = Package("golang.org/x/net", "v0.1", ecosystem="golang", path="usr/bin/other")
    image = Image(names=IMAGE.names, packages=(program, ours, theirs))
    statement = make_statement("pkg:golang/github.com/acme/app@v1", "pkg:golang/golang.org/x/net")
    assert is_aside(statement, package=ours, image=image)
    assert not is_aside(statement, package=theirs, image=image)
    assert not is_aside(statement, package=ours, image=Image(names=IMAGE.names, packages=(ours, theirs)))


# which vulnerability


@pytest.mark.parametrize(
    ("vulnerability", "names", "is_meant"),
    [
        ({"name": CVE}, (CVE,), True),
        (CVE, (CVE,), True),
        ({"@id": CVE}, (CVE,), True),
        ({"@id": f"https://nvd.nist.gov/vuln/detail/{CVE}"}, (CVE,), True),
        ({"@id": f"https://example.com/?name={CVE}", "name": "X-1"}, (CVE,), True),
        ({"name": "GO-2026-1", "aliases": [CVE]}, (CVE,), True),
        ({"name": CVE}, ("GHSA-1", CVE), True),
        ({"name": CVE}, ("GHSA-1", CVE, "CVE-2026-2"), False),  # about two, of which it names one
        ({"name": "CVE-2026-2", "aliases": ["DSA-1"]}, (CVE, "DSA-1"), False),
        ({"name": "DSA-1"}, (CVE, "DSA-1"), False),
        ({"name": "CVE-2026-2"}, (CVE,), False),
        ({"name": CVE, "only_if": "x"}, (CVE,), False),
        ({}, (CVE,), False),
    ],
)
def test_a_statement_is_about_all_names_of_its_vulnerability(
    vulnerability: Any, names: tuple[str, ...], is_meant: bool
) -> None:
    assert is_aside({**make_statement(), "vulnerability": vulnerability}, names=names) is is_meant


# what cannot be read


@pytest.mark.parametrize(
    "bad",
    [
        7,
        {},
        {**make_statement(), "status": "perhaps", "vulnerability": {"name": "CVE-2026-2"}},
        {**make_statement(), "justification": "because"},
        {**make_statement(), "justification": None},
        {**make_statement(), "products": "all", "vulnerability": {"name": "CVE-2026-2"}},
        {**make_statement(), "subcomponents": "openssl"},
        {**make_statement(), "platforms": ["linux/arm64"]},
        {**make_statement(), "Subcomponents": ["openssl"]},
        make_statement({"identifiers": {}}),
        make_statement({"identifiers": ["pkg:oci/shop"]}),
    ],
)
def test_one_bad_statement_sets_nothing_aside_and_spoils_no_other(bad: Any) -> None:
    assert not is_aside(bad)
    assert is_aside(bad, make_statement())
    read = vex_document.parse(document(make_statement(), bad), "vex.json").statements
    assert [one.fault != "" for one in read] == [False, True]
    assert read[1].where == "vex.json: statements[1]"


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"@context": "https://openvex.dev/ns/v0.2.0"}',
        b'{"@context": "https://openvex.dev/ns/v0.2.0", "statements": [], "statements": []}',
        b'{"@context": "https://openvex.dev/ns/v0.2.0", "statements": [{"status": "fixed", "status": "affected"}]}',
        b'{"@context": "https://openvex.dev/nsx", "statements": []}',
        b'{"@context": "https://openvex.dev/ns/v1.0.0", "statements": []}',
        b'{"@context": "https://cyclonedx.org", "statements": []}',
        b'{"_type": "https://in-toto.io/Statement/v1", "predicate": {}}',
    ],
)
def test_anything_but_an_openvex_document_is_refused(content: bytes) -> None:
    with pytest.raises(openvex.InvalidVexError):
        vex_document.parse(content)


@pytest.mark.parametrize(
    "context", ["https://openvex.dev/ns", "https://openvex.dev/ns/v0.0.1", openvex.CONTEXT]
)
def test_documents_of_all_versions_are_read(context: str) -> None:
    assert vex_document.parse(document(make_statement(), **{"@context": context})).statements


# for any documents

PRODUCTS = st.sampled_from(
    [
        "pkg:oci/shop",
        f"pkg:oci/shop@{OURS}",
        f"pkg:oci/shop@{OTHER}",
        "pkg:oci/other",
        "pkg:deb/debian/openssl",
    ]
)
PARTS = st.lists(
    st.sampled_from(
        ["pkg:deb/debian/openssl@3.0.1", "pkg:deb/debian/openssl", "pkg:deb/debian/libssl3", "urn:x"]
    ),
    max_size=2,
    unique=True,
)
DAYS = st.none() | st.integers(1, 4)
VULNERABILITIES = st.sampled_from([{"name": CVE}, {"name": "GO-1", "aliases": [CVE]}, {"name": "CVE-2026-2"}])


@st.composite
def statements(draw: st.DrawFn, saying: st.SearchStrategy[Json]) -> Json:
    more = {"status_notes": "x", **draw(saying)}
    one = make_statement(draw(PRODUCTS), *draw(PARTS), day=draw(DAYS), **more)
    return {**one, "vulnerability": draw(VULNERABILITIES)}


ANY = statements(st.sampled_from([KIND, {"status": "fixed"}, *STRICT]))
TAKING_BACK = statements(st.sampled_from(STRICT))
FOUND = [Finding(CVE, Severity.HIGH, (one,)) for one in (OPENSSL, LIBSSL, BARE)]


def aside(*documents: bytes) -> set[str]:
    told = history(*documents)
    return {
        str(package)
        for one in FOUND
        for package in one.packages
        if told.setting_aside(one, package, IMAGE) is not None
    }


@given(st.lists(ANY, max_size=5), st.randoms(use_true_random=False), st.integers(0, 5))
def test_the_order_of_statements_and_of_documents_makes_no_difference(
    some: list[Json], random: Any, cut: int
) -> None:
    head = {"timestamp": "2026-01-02T00:00:00Z"}
    shuffled = random.sample(some, len(some))
    parts = [document(*some[:cut], **head), document(*some[cut:], **head)]
    assert aside(document(*some, **head)) == aside(document(*shuffled, **head)) == aside(*parts)
    assert aside(*parts) == aside(*parts[::-1])


@given(st.lists(ANY, max_size=5), TAKING_BACK)
def test_one_more_statement_that_takes_back_never_sets_more_aside(some: list[Json], more: Json) -> None:
    assert aside(document(*some, more)) <= aside(document(*some))


@given(st.lists(ANY, max_size=4), ANY)
def test_a_later_version_of_a_document_only_counts_by_what_it_says(some: list[Json], more: Json) -> None:
    newer = document(more, version=2)
    assert aside(document(*some), newer) <= aside(document(*some)) | aside(newer)


@pytest.mark.parametrize(
    ("product", "digest"),
    [
        ("pkg:oci/shop", None),
        (f"pkg:oci/shop@{OURS}", OURS),
        (f"shop@{OURS}", OURS),
        ({"@id": "pkg:oci/shop", "hashes": {"sha-256": OURS[7:]}}, OURS),
        (f"pkg:oci/shop@{OURS}?arch=amd64", ...),
        (f"pkg:oci/other@{OURS}", ...),
        (f"other@{OURS}", ...),
        ("pkg:oci/shop?tag=1.0", ...),
        ("pkg:oci/shop@1.0", ...),
        ("shop:1.0", ...),
    ],
)
def test_a_waiver_of_a_statement_is_never_about_more_images(product: Any, digest: Any) -> None:
    asked = Image(names=(Name(None, "shop*"),), any_digest=True)
    statement = make_statement(product, "pkg:deb/debian/openssl")
    waivers, notes = history(document(statement)).waivers(asked, "shop*", None, date(2026, 12, 31))
    assert [one.digest and str(one.digest) for one in waivers] == ([] if digest is ... else [digest])
    assert len(notes) == (digest is ...)


@given(st.lists(ANY, max_size=5), TAKING_BACK)
def test_nothing_is_waived_by_a_document_that_takes_it_back(some: list[Json], more: Json) -> None:
    asked = Image(names=(Name(None, "shop*"),), any_digest=True)

    def waived(*these: Json) -> set[tuple[Any, ...]]:
        waivers, _ = history(document(*these)).waivers(asked, "shop*", None, date(2026, 12, 31))
        return {(one.vulnerability, one.package, one.digest) for one in waivers}

    assert waived(*some, more) <= waived(*some)


# what is written

TEXTS = st.text(min_size=1, max_size=6) | st.sampled_from(
    ["a b", "org.x:a", "@babel/core", "a/b", "<%>", "1:3.0~x+y"]
)
SOME_PACKAGES = st.builds(
    Package,
    TEXTS,
    st.none() | TEXTS,
    ecosystem=st.sampled_from([None, "deb", "npm", "maven", "golang", "pypi", "unheard-of"]),
    purl=st.none()
    | st.sampled_from(["pkg:deb/debian/a@1%3A2?arch=amd64", "pkg:npm/@babel/core@7", "not a purl"]),
)
WAIVER = Waiver("ann", "not reachable", date(2026, 12, 1), justification="vulnerable_code_not_present")
TOLD = st.builds(
    openvex_writer.WrittenStatement,
    st.sampled_from([CVE, "CVE-2026-2"]),
    st.none() | SOME_PACKAGES,
    st.sampled_from([None, WAIVER, replace(WAIVER, justification=None)]),
    st.sampled_from(["", "2026-12-24"]),
    st.booleans(),
)
# RFC 3987 leaves these out of an IRI; spaces and control characters, too.
IRI = re.compile(r"[a-z]+:[^\s<>\"{}|\\^`\x00-\x20]+")


@given(st.lists(TOLD, max_size=5), TEXTS, st.booleans())
def test_written_vex_has_every_finding_with_valid_purls(
    told: list[openvex_writer.WrittenStatement], name: str, has_digest: bool
) -> None:
    product = openvex_writer.product_of(name, Digest.parse(OURS) if has_digest else None)
    assert re.fullmatch(r"pkg:oci/[a-z0-9._~%A-F-]+(@sha256%3A[0-9a-f]{64})?", product)
    found = openvex_writer.document(product, told, NOW)["statements"]
    assert len({json.dumps(one) for one in found}) == len(found)
    assert {one["vulnerability"]["name"] for one in found} == {one.vulnerability for one in told}
    for one in found:
        assert IRI.fullmatch(one["products"][0]["@id"])
        assert all(IRI.fullmatch(part["@id"]) for part in one["products"][0].get("subcomponents", ()))
        assert ("justification" in one) is (one["status"] == "not_affected")
        assert ("action_statement" in one) is (one["status"] == "affected")


@given(st.lists(SOME_PACKAGES, min_size=1, max_size=3), st.booleans())
def test_written_vex_is_read_back_unchanged(packages: list[Package], is_waived: bool) -> None:
    told = [openvex_writer.WrittenStatement(CVE, one, WAIVER if is_waived else None) for one in packages]
    written = json.dumps(openvex_writer.document("pkg:oci/shop", told, NOW)).encode()
    (read,) = [vex_document.parse(written)]
    assert not any(one.fault for one in read.statements)
    for package in packages:
        aside = StatementHistory([read], NOW).setting_aside(
            Finding(CVE, Severity.HIGH, (package,)), package, IMAGE
        )
        assert (aside is not None) is is_waived


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_verdicts_on_the_same_package_the_stricter_one_is_written(order: int) -> None:
    accepted = replace(WAIVER, justification=None)
    twice = [openvex_writer.WrittenStatement(CVE, OPENSSL, waiver) for waiver in (WAIVER, accepted)]
    (statement,) = openvex_writer.document("pkg:oci/shop", twice[::order], NOW)["statements"]
    assert statement["status"] == "affected"
