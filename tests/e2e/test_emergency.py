"""A night on call: an image is let through though it did not pass, and a signature is taken back."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.gate import Gate
from tests.e2e.test_waivers import DECIDES, READS, blocked, imagegate, user


def messages_with(gate: Gate, start: str, about: str) -> list[dict[str, Any]]:
    """Return the messages to people whose subject begins with this."""
    return [
        message
        for message in gate.messages()
        if str(message.get("subject", "")).startswith(start) and about in str(message.get("message", ""))
    ]


def test_an_image_is_let_through_unsigned_and_everybody_hears_of_it(gate: Gate) -> None:
    digest = blocked(gate, "broken")
    said = imagegate(
        gate,
        "decide",
        "break-glass",
        f"broken-*@{digest}",
        "--reason",
        "payments are down",
        "--expires",
        "4h",
    )
    assert (said.code, said.err) == (0, "")
    second = gate.ended("broken-dev", digest, attempt=2)
    assert (second["reason"], second["verdict"], second["outcome"]) == ("break-glass", "BLOCK", "released")
    assert "signature" not in second
    assert gate.signatures("broken-dev", digest) == []
    assert gate.manifest("broken-staging", "1.0") is not None
    [message] = gate.eventually(lambda: messages_with(gate, "BREAK-GLASS: ", digest), "people are told")
    assert "payments are down" in message["message"]

    listed = imagegate(gate, "decide", "list", "--repository", "broken-dev", "--json").json
    [glass] = [one for one in listed if "break_glass" in one]
    seen = imagegate(gate, "verify", "broken-dev:1.0", "--trust-root", root(gate), "--json")
    assert (seen.code, [one["id"] for one in seen.json["since"]["breakGlass"]]) == (1, [glass["id"]])
    assert imagegate(gate, "decide", "withdraw", glass["id"]).code == 0
    again = imagegate(gate, "release", "broken-dev:1.0", "--wait", "--json")
    assert (again.code, again.json["outcome"]) == (1, "blocked")


def test_a_revocation_revokes_the_signature_of_every_gate_for_ever(gate: Gate) -> None:
    digest = gate.push("stolen-dev", "1.0")
    assert gate.ended("stolen-dev", digest)["outcome"] == "released"
    gate.ended("stolen-staging", digest)
    assert len(gate.signatures("stolen-staging", digest)) == 2

    said = imagegate(
        gate, "decide", "revoke", "stolen-dev:1.0", "--reason", "stolen laptop", "--yes", "--json"
    )
    assert (said.code, said.err) == (0, "")
    assert said.json["stages"] == ["dev", "staging"]
    assert said.json["signatures"] == 2  # the first one is in both repositories
    for repository in ("stolen-dev", "stolen-staging"):
        seen = imagegate(gate, "verify", f"{repository}:1.0", "--trust-root", root(gate), "--json")
        assert seen.code == 1, seen.out
        assert {one["failed"] for one in seen.json["signatures"]} == {"revocation"}
        status = imagegate(gate, "status", f"{repository}:1.0", "--json").json
        assert status["revoked"]["reason"] == "stolen laptop"
    [message] = gate.eventually(
        lambda: messages_with(gate, "REVOKED: stolen-dev@", digest), "people are told"
    )
    assert "stolen-staging" in message["message"]

    before = len(gate.releases("stolen-dev", digest))
    refused = imagegate(gate, "release", "stolen-dev:1.0")
    assert "revoked" in refused.out + refused.err
    gate.push("stolen-dev", "1.1")
    time.sleep(1)
    assert len(gate.releases("stolen-dev", digest)) == before

    once_more = imagegate(gate, "decide", "revoke", "stolen-dev:1.0", "--reason", "x", "--yes", "--json")
    assert once_more.json["revocation"] == said.json["revocation"]


def test_a_person_who_may_decide_cannot_revoke_directly(gate: Gate) -> None:
    _, keys = user(gate, READS, *DECIDES)
    signer = gate.cloud.client(
        "signer",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    with pytest.raises(signer.exceptions.ClientError, match="AccessDenied"):
        signer.revoke_signature(jobId="5f0a4f2e-0000-4000-8000-000000000000", reason="x")


def root(gate: Gate) -> str:
    return gate.cloud.env["IMAGEGATE_TRUST_ROOT"]
