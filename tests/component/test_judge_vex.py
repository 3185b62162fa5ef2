"""`imagegate judge --vex` and `--write-vex` with documents of hubs, and what is written is read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.component.judged import Judge

Json = dict[str, Any]
STRICT = 'version: 1\nstages: {dev: {repositories: "{app}-dev", findings: {max: {critical: 0, high: 0}}}}\n'
FLEET = "pkg:golang/github.com/rancher/fleet@v0.9.0"


def trivy(*found: tuple[str, str, str], **result: Any) -> Json:
    """Return a report with vulnerabilities: name, severity, package URL."""
    vulnerabilities = [
        {
            "VulnerabilityID": name,
            "Severity": severity,
            "PkgName": purl.partition("@")[0].rpartition("/")[2],
            "InstalledVersion": purl.partition("@")[2],
            "PkgIdentifier": {"PURL": purl},
        }
        for name, severity, purl in found
    ]
    results = [{"Target": "debian", "Class": "os-pkgs", "Vulnerabilities": vulnerabilities, **result}]
    return {"SchemaVersion": 2, "ArtifactName": "shop:1.0", "Results": results}


def hub_document() -> Json:
    """Return a document in the shape of the public hubs: application as product, library as subcomponent."""
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://hub.example/pkg/golang/fleet",
        "author": "hub",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": [
            {
                "vulnerability": {"name": "CVE-2026-1"},
                "products": [
                    {"@id": FLEET, "subcomponents": [{"@id": "pkg:golang/golang.org/x/crypto@v0.17.0"}]}
                ],
                "status": "not_affected",
                "justification": "vulnerable_code_not_in_execute_path",
            }
        ],
    }


CRYPTO = ("CVE-2026-1", "CRITICAL", "pkg:golang/golang.org/x/crypto@v0.17.0")


def test_the_analysis_of_a_program_holds_where_the_user_says_that_the_image_is_it(judge: Judge) -> None:
    plain = judge("--findings", trivy(CRYPTO), "--vex", hub_document(), policy=STRICT)
    assert plain.code == 1
    assert "about another product, and not applied" in " ".join(plain.out.split())
    glob = "pkg:golang/github.com/rancher/*"
    for product in (FLEET, glob):
        result = judge(
            *("--findings", trivy(CRYPTO), "--vex", hub_document(), "--vex-product", product), policy=STRICT
        )
        assert result.code == 0, result.out
    other = trivy(CRYPTO, ("CVE-2026-1", "CRITICAL", "pkg:golang/golang.org/x/net@v0.1.0"))
    assert judge("--findings", other, "--vex", hub_document(), "--vex-product", glob, policy=STRICT).code == 1


def test_the_program_itself_in_the_image_is_its_product(judge: Judge) -> None:
    packages = [
        {"Name": "github.com/rancher/fleet", "Version": "v0.9.0", "Identifier": {"PURL": FLEET}},
        {"Name": "golang.org/x/crypto", "Version": "v0.17.0", "Identifier": {"PURL": CRYPTO[2]}},
    ]
    report = trivy(CRYPTO, Target="usr/bin/fleet", Class="lang-pkgs", Packages=packages)
    assert judge("--findings", report, "--vex", hub_document(), policy=STRICT).code == 0


def test_a_csaf_document_is_read_like_an_openvex_one(judge: Judge) -> None:
    helper = {"purl": "pkg:oci/shop?tag=1.0"}
    document = {
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "publisher": {"name": "ann"},
            "tracking": {
                "id": "x",
                "version": "1",
                "status": "final",
                "current_release_date": "2026-01-01T00:00:00Z",
            },
        },
        "product_tree": {
            "full_product_names": [
                {"product_id": "p", "name": "shop", "product_identification_helper": helper}
            ]
        },
        "vulnerabilities": [{"cve": "CVE-2026-1", "product_status": {"fixed": ["p"]}}],
    }
    assert judge("--findings", trivy(CRYPTO), "--vex", document, policy=STRICT).code == 0


NAMES = st.sampled_from(["CVE-2026-1001", "CVE-2026-1002", "GHSA-jfh8-c2jp-5v3q"])
PACKAGES = st.sampled_from(
    [
        "pkg:deb/debian/a@1%3A2?arch=amd64",
        "pkg:deb/debian/b@1",
        "pkg:npm/%40babel/core@7",
        "pkg:golang/c/d@v1",
    ]
)
FOUND = st.lists(
    st.tuples(NAMES, st.sampled_from(["CRITICAL", "HIGH", "LOW"]), PACKAGES),
    max_size=5,
    unique_by=lambda one: one[::2],
)
WAIVED = st.lists(
    st.tuples(NAMES, st.sampled_from(["a", "b", "*core", "c/d"]), st.booleans()),
    max_size=3,
    unique_by=lambda one: one[:2],
)


def policy_with(waivers: list[tuple[str, str, bool]]) -> str:
    listed = [
        {
            "vulnerability": name,
            "package": package,
            "repositories": "shop-*",
            "owner": "ann",
            "reason": "not reachable",
            "expires": "2026-12-20",
            **({"justification": "vulnerable_code_not_present"} if has_justification else {}),
        }
        for name, package, has_justification in waivers
    ]
    return STRICT + f"waivers: {json.dumps(listed)}\n"


@given(FOUND, WAIVED)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_vex_leads_to_the_same_verdict(
    judge: Judge, tmp_path: Path, found: list[tuple[str, str, str]], waived: list[tuple[str, str, bool]]
) -> None:
    report, out = trivy(*found, Packages=[{"Name": "a"}]), tmp_path / "out.json"
    options = ("--findings", report, "--repository", "shop-dev", "--tag", "1.0")
    policy = policy_with(waived)
    first = judge(*options, "--write-vex", str(out), policy=policy)
    assert first.code in (0, 1), first.err
    assert judge(*options, "--vex", str(out), policy=policy).code == first.code
    written = json.loads(out.read_text())["statements"]
    assert {one["vulnerability"]["name"] for one in written} == {name for name, _, _ in found}
    justified = policy_with([one for one in waived if one[2]])
    without_waivers = judge(*options, "--vex", str(out), policy=STRICT)
    assert without_waivers.code == judge(*options, policy=justified).code


@pytest.mark.parametrize("option", ["--findings", "--vex", "--config", "--kev", "--epss"])
def test_each_file_can_be_standard_input(
    judge: Judge, option: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contents = {
        "--findings": json.dumps(trivy(("CVE-2026-9", "LOW", "pkg:deb/debian/a@1"))),
        "--vex": json.dumps(hub_document()),
        "--config": json.dumps(
            {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        ),
        "--kev": json.dumps({"vulnerabilities": [{"cveID": "CVE-2026-1"}]}),
        "--epss": "#model\ncve,epss,percentile\nCVE-2026-1,0.1,0.2\n",
    }
    import io
    from types import SimpleNamespace

    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(contents[option].encode())))
    others = (
        () if option == "--findings" else ("--findings", trivy(("CVE-2026-9", "LOW", "pkg:deb/debian/a@1")))
    )
    result = judge(*others, option, "-", policy=STRICT)
    assert result.code == 0, result.out + result.err


def test_standard_input_is_read_once(judge: Judge) -> None:
    result = judge("--findings", "-", "--vex", "-", policy=STRICT)
    assert result.code == 2
    assert "only one file can be standard input" in result.err


def test_an_image_in_ecr_takes_no_options_of_files(judge: Judge) -> None:
    result = judge("shop-dev:1.0", "--tag", "x", "--vex-product", "y", "--epss", "z")
    assert result.code == 2
    assert "leave out --tag, --vex-product, --epss" in result.err
