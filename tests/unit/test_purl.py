"""Package URLs and packages: what a waiver by package URL is about, also where a scanner gives none."""

from __future__ import annotations

import pytest

from imagegate.findings.finding import Package
from imagegate.findings.package_url import PackageUrl


@pytest.mark.parametrize(
    ("purl", "package", "is_named"),
    [
        ("pkg:pypi/jinja2", Package("Jinja2", "3.0", ecosystem="pypi"), True),
        ("pkg:golang/github.com/x/y", Package("github.com/X/y", "1", ecosystem="golang"), False),
        ("pkg:deb/debian/OpenSSL@1", Package("openssl", "1"), False),
        ("pkg:pypi/jinja2@3.0", Package("jinja2", "3.0", ecosystem="pypi"), True),
        ("pkg:pypi/jinja2@3.1", Package("jinja2", "3.0", ecosystem="pypi"), False),
        ("pkg:pypi/jinja2", Package("jinja2", "3.0", ecosystem="npm"), False),
        ("pkg:pypi/jinja2", Package("jinja2", "3.0"), False),
        ("pkg:pypi/jinja2", Package("jinja2", "3.0", purl="pkg:pypi/jinja2@3.0"), True),
        ("pkg:npm/%40babel/core", Package("@babel/core", "7", ecosystem="npm"), True),
        ("pkg:npm/@babel/core@7", Package("@babel/core", "7", ecosystem="npm"), True),
        ("pkg:npm/core", Package("@babel/core", "7", ecosystem="npm"), False),
        (
            "pkg:maven/org.apache.logging.log4j/log4j-core",
            Package("org.apache.logging.log4j:log4j-core", "2.14", ecosystem="maven"),
            True,
        ),
        ("pkg:deb/debian/openssl", Package("openssl", "3.0"), True),  # ECR does not tell whose it is
        ("pkg:deb/debian/openssl?arch=amd64", Package("openssl", "3.0", ecosystem="deb"), True),
        ("pkg:deb/debian/openssl", Package("openssl", "3.0", ecosystem="rpm"), False),
        (
            "pkg:golang/github.com/gin-gonic/gin",
            Package("github.com/gin-gonic/gin", ecosystem="golang"),
            True,
        ),
    ],
)
def test_a_package_url_names_a_package(purl: str, package: Package, is_named: bool) -> None:
    parsed = PackageUrl.parse(purl)
    assert parsed is not None
    assert parsed.names(package) is is_named


@pytest.mark.parametrize(
    "text", ["openssl", "pkg:", "pkg:deb", "pkg:deb/", "pkg:Deb/x", "", "pkg:deb/x?arch=a&Arch=b"]
)
def test_other_texts_are_no_package_urls(text: str) -> None:
    assert PackageUrl.parse(text) is None
