"""`imagegate decide`: the requests to the function that decides, the texts of its answers, and the waivers' states."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagegate.errors import RejectedInputError
from imagegate.grants.approval import name_of
from imagegate.oci.image import Digest
from imagegate.policy.waiver import Waiver, WaiverTerms
from imagegate_cli.decisions.parameters import Scope
from tests.component.cli_gate import CALLER, CliGate, Served, gate, url
from tests.fakes import DEV, NOW, POLICY, critical

__all__ = ["gate", "url"]

TODAY = NOW.date()
FINDING = ("--cve", "CVE-2026-0000", "--package", "openssl")
WHY = ("--reason", "not reachable", "--expires", "30d")


def waiver(**changes: Any) -> Waiver:
    plain = Waiver(
        owner="ann",
        reason="not reachable",
        expires=TODAY + timedelta(days=30),
        vulnerability="CVE-2026-0000",
        package="openssl",
        repositories="shop-*",
        granted_at=NOW - timedelta(days=1),
        granted_by=CALLER,
    )
    return replace(plain, **changes)


def granted(gate: CliGate, **changes: Any) -> Waiver:
    one = waiver(**changes)
    gate.world.grants.granted[one.id] = one
    return one


# Waiving


def test_a_waiver_releases_its_images_and_the_answer_says_how_to_follow_them(
    gate: CliGate, url: Served
) -> None:
    image = gate.blocked()
    result = gate.call("decide", "waive", "shop-*", *FINDING, *WHY)
    assert (result.code, result.err) == (0, "")
    for vex_statement in (
        "CVE-2026-0000 in openssl",
        "2026-12-21 (30 days)",
        "ann",
        "not reachable",
        "1 blocked image would pass now, and is judged again:",
        "imagegate status --watch shop-dev:1.0",
    ):
        assert vex_statement in result.out
    [kept] = gate.world.grants.waivers()
    assert kept.granted_by == CALLER
    assert kept.id in result.out
    assert gate.world.starter.requests == [(image, ("1.0",), "new waiver")]


def test_the_request_is_signed_and_says_only_what_was_asked(gate: CliGate, url: Served) -> None:
    gate.call("decide", "waive", "shop-dev", *FINDING, *WHY, "--owner", "bob", "--ticket", "SHOP-1")
    [headers], [body] = url.headers, url.bodies
    assert "/eu-central-1/lambda/aws4_request" in headers["authorization"]
    assert body == {
        "schema": 1,
        "action": "waive",
        "waiver": {
            "repositories": "shop-dev",
            "vulnerability": "CVE-2026-0000",
            "package": "openssl",
            "reason": "not reachable",
            "expires": "2026-12-21",
            "ticket": "SHOP-1",
            "owner": "bob",
        },
    }


def test_the_same_waiver_twice_is_one(gate: CliGate, url: Served) -> None:
    first = gate.call("decide", "waive", "shop-*", *FINDING, *WHY, "--json")
    again = gate.call("decide", "waive", "shop-*", *FINDING, *WHY, "--json")
    assert (first.code, again.code) == (0, 0)
    assert (first.json["is_new"], again.json["is_new"]) == (True, False)
    assert first.json["waiver"] == again.json["waiver"]
    assert "Was waived" in gate.call("decide", "waive", "shop-*", *FINDING, *WHY).out


def test_a_waiver_that_releases_nothing_says_so(gate: CliGate, url: Served) -> None:
    gate.blocked(findings=critical(3))
    result = gate.call("decide", "waive", "shop-*", *FINDING, *WHY)
    assert "No image that is blocked now would pass by it." in result.out
    assert "It is not enough for:" in result.out
    assert "shop-dev:1.0: 2 CRITICAL (at most 0): CVE-2026-0001" in result.out
    told = gate.call("decide", "waive", "shop-*", *FINDING, *WHY, "--json").json
    assert [one["tags"] for one in told["still_blocked"]] == [["1.0"]]
    other = gate.call("decide", "waive", "shop-*", "--cve", "CVE-1999-1", "--package", "bash", *WHY)
    assert "It is not enough for" not in other.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("shop-*", *FINDING, "--reason", "x", "--expires", "400d"), "lasts longer than the 90 days"),
        (("shop-*", *FINDING, "--reason", "x", "--expires", "2026-01-01"), "expired on 2026-01-01"),
        (("*", *FINDING, *WHY), "covers every repository"),
        (("shop-*", "--cve", "CVE-2026-1001", "--package", "*", *WHY), "covers every package"),
        (("shop-*", *FINDING, *WHY, "--until", "fix_available"), "basic scanning does not say"),
    ],
)
def test_a_waiver_that_would_never_count_is_refused_in_one_line(
    gate: CliGate, url: Served, arguments: tuple[str, ...], says: str
) -> None:
    result = gate.call("decide", "waive", *arguments)
    assert (result.code, result.out) == (1, "")
    assert says in result.err
    assert len(result.err.splitlines()) == 1
    assert gate.world.grants.waivers() == []


def test_one_image_is_named_by_its_digest(gate: CliGate, url: Served) -> None:
    image = gate.blocked()
    for scope in (f"shop-dev@{image.digest}", f"shop-*@{image.digest}"):
        result = gate.call("decide", "waive", scope, *FINDING, *WHY, "--json")
        assert result.json["waiver"]["digest"] == str(image.digest)
        assert result.json["waiver"]["repositories"] == scope.partition("@")[0]


def test_a_pattern_that_matches_no_repository_is_noted_and_granted(gate: CliGate, url: Served) -> None:
    gate.blocked()
    assert gate.call("decide", "waive", "shop-*", *FINDING, *WHY).err == ""
    result = gate.call("decide", "waive", "nosuch-*", *FINDING, *WHY)
    assert result.code == 0
    assert result.err == "imagegate: nosuch-* matches no repository of a stage now\n"
    assert "No image that is blocked now would pass by it." in result.out


def test_a_tag_is_refused_and_the_digest_is_shown(gate: CliGate, url: Served) -> None:
    image = gate.blocked()
    result = gate.call("decide", "waive", "shop-dev:1.0", *FINDING, *WHY)
    assert result.code == 2
    assert f"it is shop-dev@{image.digest} now" in result.err
    assert url.bodies == []


def test_a_repository_of_no_stage_is_not_waived_in_vain(gate: CliGate, url: Served) -> None:
    result = gate.call("decide", "waive", "shop-dve", *FINDING, *WHY)
    assert result.code == 2
    assert "no stage of the deployed policy has the repository shop-dve" in result.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("shop-*", *WHY), "say what is waived"),
        (("shop-*", "--cve", "CVE-1", *WHY), "name the package"),
        (("shop-*", *FINDING, "--rule", "image.non_root", *WHY), "say what is waived"),
        (("shop-*", "--rule", "findings.high", *WHY), "each with --cve and --package"),
        (("shop-*", "--rule", "image.nonroot", *WHY), "rules that can: scan.unsupported"),
        (("shop-*", "--rule", "image.non_root", "--package", "x", *WHY), "leave out --package"),
        (("shop-*", "--rule", "packages.prohibited", *WHY), "name the prohibited package"),
        (("shop-*", *FINDING, "--expires", "30d"), "say why"),
        (("shop-*", *FINDING, "--reason", "x"), "Missing option '--expires'"),
        (("shop-*", *FINDING, "--reason", "x", "--expires", "soon"), "write 2027-01-31, or 30d from today"),
        (("Shop dev", *FINDING, *WHY), "not an ECR repository name"),
        (("shop *", *FINDING, *WHY), "no repository can match"),
        (("shop-dev@sha256:12", *FINDING, *WHY), "not a sha256 digest"),
        (("shop-*", "--vex", "no.json", "--reason", "x", "--expires", "30d"), "leave out --reason"),
        (("shop-*", "--vex", "no.json", "--expires", "30d"), "no.json: No such file"),
    ],
)
def test_a_wrong_call_is_one_line_and_asks_nobody(
    gate: CliGate, url: Served, arguments: tuple[str, ...], says: str
) -> None:
    result = gate.call("decide", "waive", *arguments)
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert len(result.err.splitlines()) == 1
    assert url.bodies == []


def test_a_rule_is_waived_as_a_whole(gate: CliGate, url: Served) -> None:
    result = gate.call("decide", "waive", "shop-*", "--rule", "image.non_root", *WHY, "--json")
    assert result.json["waiver"]["rule"] == "image.non_root"


# Documents


def vex(path: Path, *statements: dict[str, Any]) -> str:
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.com/vex",
        "author": "team-shop",
        "timestamp": "2026-11-01T00:00:00Z",
        "version": 1,
        "statements": list(statements),
    }
    path.write_text(json.dumps(document))
    return str(path)


def statement_of(
    name: str, status: str = "not_affected", package: str = "openssl", **more: Any
) -> dict[str, Any]:
    product = {"@id": f"pkg:deb/debian/{package}@3.0.1"}
    why = {"justification": "vulnerable_code_not_present"} if status == "not_affected" else {}
    return {"vulnerability": {"name": name}, "products": [product], "status": status, **why, **more}


def test_a_document_is_imported_statement_by_statement(gate: CliGate, url: Served, tmp_path: Path) -> None:
    file = vex(
        tmp_path / "vex.json",
        statement_of("CVE-2026-1001"),
        statement_of("CVE-2026-1002", "affected"),
        statement_of("CVE-2026-1003"),
    )
    result = gate.call("decide", "waive", "shop-*", "--vex", file, "--expires", "30d", "--ticket", "T-1")
    assert (result.code, result.err) == (0, "")
    assert "affected, and so not waived: CVE-2026-1002" in result.out
    kept = {(w.vulnerability, w.owner, w.ticket, w.justification) for w in gate.world.grants.waivers()}
    because = "vulnerable_code_not_present"
    assert kept == {
        ("CVE-2026-1001", "team-shop", "T-1", because),
        ("CVE-2026-1003", "team-shop", "T-1", because),
    }


def test_a_refused_statement_does_not_hide_the_others(gate: CliGate, url: Served, tmp_path: Path) -> None:
    whole = {**statement_of("CVE-2026-1001"), "products": [{"@id": "pkg:oci/shop"}]}
    file = vex(tmp_path / "vex.json", whole, statement_of("CVE-1"), statement_of("CVE-2026-1002"))
    result = gate.call("decide", "waive", "shop-*", "--vex", file, "--expires", "30d", "--json")
    assert result.code == 1
    refused, odd, kept = result.json
    assert "covers every package" in refused["refused"]
    assert "must be the name of one vulnerability" in odd["refused"]
    assert kept["is_new"]


def test_a_product_that_the_user_says_is_this_image_is_taken(
    gate: CliGate, url: Served, tmp_path: Path
) -> None:
    part = {"@id": "pkg:golang/golang.org/x/net"}
    product = {"@id": f"pkg:oci/fleet@sha256%3A{'a' * 64}", "subcomponents": [part]}
    file = vex(tmp_path / "vex.json", {**statement_of("CVE-2026-1001"), "products": [product]})
    arguments = ("decide", "waive", "shop-*", "--vex", file, "--expires", "30d")
    refused = gate.call(*arguments)
    assert "it is about another product" in refused.err
    assert gate.world.grants.waivers() == []
    assert gate.call(*arguments, "--vex-product", "pkg:oci/fleet@*").code == 0
    [kept] = gate.world.grants.waivers()
    assert (kept.vulnerability, kept.package, kept.digest) == ("CVE-2026-1001", part["@id"], None)
    alone = gate.call("decide", "waive", "shop-*", *FINDING, *WHY, "--vex-product", "x")
    assert (alone.code, "--vex-product is about --vex FILE" in alone.err) == (2, True)


def test_only_what_holds_now_about_what_is_asked_for_is_waived(
    gate: CliGate, url: Served, tmp_path: Path
) -> None:
    later = {"timestamp": "2026-11-02T00:00:00Z"}
    other = {"products": [{"@id": "pkg:oci/other", "subcomponents": [{"@id": "pkg:deb/debian/zlib"}]}]}
    ours = {"products": [{"@id": "pkg:oci/shop", "subcomponents": [{"@id": "pkg:deb/debian/zlib"}]}]}
    first = vex(
        tmp_path / "1.json",
        statement_of("CVE-2026-1001"),
        {**statement_of("CVE-2026-1002"), **other},
        {"status": "x"},
    )
    then = vex(
        tmp_path / "2.json",
        {**statement_of("CVE-2026-1001", "affected"), **later},
        {**statement_of("GO-1"), **ours, "vulnerability": {"name": "GO-1", "aliases": ["CVE-2026-1003"]}},
    )
    result = gate.call("decide", "waive", "shop-*", "--vex", first, "--vex", then, "--expires", "30d")
    assert result.code == 0
    assert [(w.vulnerability, w.package) for w in gate.world.grants.waivers()] == [
        ("CVE-2026-1003", "pkg:deb/debian/zlib")
    ]
    unread, taken_back, another = result.err.splitlines()
    assert "1.json: statements[2]: vulnerability: it names none; status must be one of" in unread
    assert "1.json: statements[0]: CVE-2026-1001 in" in taken_back
    assert "2.json: statements[0] says affected" in taken_back
    assert "1.json: statements[1]: it is about another product: pkg:oci/other" in another


def test_a_reason_of_any_length_is_taken(gate: CliGate, url: Served, tmp_path: Path) -> None:
    file = vex(tmp_path / "vex.json", statement_of("CVE-2026-1001", impact_statement="x" * 2000))
    assert gate.call("decide", "waive", "shop-*", "--vex", file, "--expires", "30d").code == 0
    [kept] = gate.world.grants.waivers()
    assert len(kept.reason) == 500


def test_anything_but_an_openvex_document_is_one_line(gate: CliGate, url: Served, tmp_path: Path) -> None:
    file = tmp_path / "vex.json"
    file.write_text("{}")
    result = gate.call("decide", "waive", "shop-*", "--vex", str(file), "--expires", "30d")
    assert (result.code, result.out) == (2, "")
    assert "neither an OpenVEX document" in result.err
    nothing = vex(file, statement_of("CVE-2026-1002", "affected"))
    result = gate.call("decide", "waive", "shop-*", "--vex", nothing, "--expires", "30d")
    assert result.code == 0
    assert "nothing was waived" in result.err


def test_a_file_that_is_no_json_is_refused_with_its_name_and_line(
    gate: CliGate, url: Served, tmp_path: Path
) -> None:
    file = tmp_path / "README.md"
    file.write_text("# Shop\n")
    result = gate.call("decide", "waive", "shop-*", "--vex", str(file), "--expires", "30d")
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert f"{file}: not a VEX document" in result.err
    assert "line 1 column 1" in result.err


# Withdrawing


def test_a_withdrawn_waiver_says_since_when(gate: CliGate, url: Served) -> None:
    one = granted(gate)
    result = gate.call("decide", "withdraw", one.id)
    assert result.code == 0
    assert "Withdrawn  CVE-2026-0000 in openssl, for shop-*" in result.out
    assert "2026-11-21 08:00:00 UTC" in result.out
    [kept] = gate.world.grants.waivers()
    assert kept.withdrawn_at == NOW
    assert gate.call("decide", "withdraw", one.id, "--json").json["waiver"]["withdrawnAt"]


def test_a_waiver_that_is_not_there_cannot_be_withdrawn(gate: CliGate, url: Served) -> None:
    result = gate.call("decide", "withdraw", "w-0")
    assert (result.code, result.out) == (2, "")
    assert "there is no waiver w-0: imagegate decide list shows them" in result.err


# What the function, or Lambda in front of it, answers


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ((403, {"Message": "Forbidden"}), 2, "lambda:InvokeFunctionUrl and lambda:InvokeFunction"),
        ((400, {"error": "InvalidEventError", "message": "not a decision: x"}), 2, "not a decision: x"),
        ((403, {"error": "AccessRefusedError", "message": "nobody is named"}), 2, "nobody is named"),
        ((503, {"error": "ThrottledError", "message": "slow down"}), 2, "slow down"),
        ((429, {"Reason": "ConcurrentInvocationLimitExceeded"}), 2, "try again"),
        ((502, b"Internal Server Error"), 2, "its log group is /aws/lambda/imagegate-decide"),
        ((200, b"[]"), 2, "failed (HTTP 200)"),
    ],
)
def test_an_answer_that_is_none_is_one_line(
    gate: CliGate, url: Served, answer: tuple[int, Any], code: int, says: str
) -> None:
    url.broken = answer
    result = gate.call("decide", "withdraw", "w-1")
    assert (result.code, result.out) == (code, "")
    assert says in result.err
    assert len(result.err.splitlines()) == 1


def test_an_unreachable_url_is_one_line(gate: CliGate) -> None:
    gate.outputs["WaiveUrl"] = "http://127.0.0.1:9/"
    result = gate.call("decide", "withdraw", "w-1")
    assert result.code == 2
    assert "http://127.0.0.1:9/" in result.err
    assert len(result.err.splitlines()) == 1


def test_a_stack_without_the_url_is_said(gate: CliGate) -> None:
    assert "has no output WaiveUrl" in gate.call("decide", "withdraw", "w-1").err


# The list


def test_waivers_are_listed_with_their_state_the_soonest_end_first(gate: CliGate) -> None:
    terms = WaiverTerms(max_days=90)
    of_policy = waiver(vulnerability="CVE-5", granted_at=None, granted_by=None, expires=date(2027, 12, 31))
    gate.deploy(replace(POLICY, waivers=(of_policy,), waiver_terms=terms))
    granted(gate, vulnerability="CVE-1", expires=TODAY)
    granted(gate, vulnerability="CVE-2", expires=TODAY + timedelta(days=3))
    granted(gate, vulnerability="CVE-3", expires=TODAY - timedelta(days=1))
    granted(gate, vulnerability="CVE-4", withdrawn_at=NOW - timedelta(hours=1))
    granted(gate, vulnerability="CVE-6", expires=TODAY + timedelta(days=300))
    shown = gate.call("decide", "list", "--json").json
    assert [(one["waiver"]["vulnerability"], one["says"]) for one in shown] == [
        ("CVE-1", "ends today"),
        ("CVE-2", "ends in 3 days"),
        ("CVE-6", "does not count: lasts longer than the 90 days that the policy allows"),
        ("CVE-5", "counts until 2027-12-31"),
    ]
    assert [(one["source"], one["id"] is None) for one in shown][-1] == ("policy", True)
    every = gate.call("decide", "list", "--all", "--json").json
    assert [one["says"] for one in every[-2:]] == ["withdrawn 2026-11-21", "expired 2026-11-20"]
    result = gate.call("decide", "list")
    assert result.err == "2 more are over; --all shows them\n"
    assert "policy.yaml" in result.out


def test_a_repository_has_the_waivers_that_may_be_about_it(gate: CliGate) -> None:
    granted(gate, repositories="shop-*")
    granted(gate, repositories="cart-dev")
    granted(gate, repositories=None, digest=Digest.of(b"image"))
    shown = gate.call("decide", "list", "--repository", DEV, "--json").json
    assert {one["waiver"].get("repositories") for one in shown} == {None, "shop-*"}
    assert gate.call("decide", "list", "--repository", "other", "--json").json[0]["waiver"]["digest"]


def test_no_waiver_is_no_error(gate: CliGate) -> None:
    result = gate.call("decide", "list")
    assert (result.code, result.out, result.err) == (0, "", "nothing was granted\n")
    assert gate.call("decide", "list", "--json").json == []


@pytest.mark.parametrize("columns", [72, 80, 120, 200])
def test_the_list_fits_and_loses_nothing(gate: CliGate, columns: int) -> None:
    one = granted(gate, reason="behind the proxy and not reachable", ticket="SHOP-17")
    result = gate.call("decide", "list", columns=columns)
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= columns
    words = set(result.out.replace(",", " ").replace(":", " ").split())
    assert {one.id, "CVE-2026-0000", "openssl", "shop-*", "SHOP-17", "proxy", "2026-12-21"} <= words


def test_texts_of_a_waiver_cannot_steer_the_terminal(gate: CliGate) -> None:
    granted(gate, reason="calm\x1b[2J", owner="bob\r")
    assert "\x1b" not in gate.call("decide", "list").out


# Small parts


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:iam::123456789012:user/dev/ann", "ann"),
        ("arn:aws:sts::123456789012:assumed-role/Admin/ann@example.com", "ann@example.com"),
        ("arn:aws:iam::123456789012:root", "root"),
    ],
)
def test_a_caller_is_called_by_its_last_name(arn: str, name: str) -> None:
    assert name_of(arn) == name


def test_a_scope_is_read_strictly() -> None:
    digest = Digest.of(b"image")
    assert Scope.parse("shop-*") == Scope("shop-*")
    assert Scope.parse(f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop-dev@{digest}") == Scope(
        "shop-dev", digest
    )
    assert Scope.parse("shop-dev:1.0").tag == "1.0"
    for wrong in ("", "@", "shop-*@", "shop-*@sha256:1", "Shop-*", "shop-dev@"):
        with pytest.raises(RejectedInputError):
            Scope.parse(wrong)


def test_the_waivers_of_a_refusal_can_be_pasted_and_let_the_image_pass(gate: CliGate, url: Served) -> None:
    image = gate.blocked(findings=critical(3))
    remedies = gate.world.ledger.history(image).attempts[0].remedies
    commands = [line for line in remedies if line.startswith("imagegate ")]
    assert commands == list(remedies[-3:])  # after everything else
    for command in commands:
        result = gate.call(*shlex.split(command.replace("TEXT", "accepted"))[1:])
        assert result.code == 0, result.err
    assert "1 blocked image would pass now" in result.out
    assert image in {asked[0] for asked in gate.world.starter.requests}
