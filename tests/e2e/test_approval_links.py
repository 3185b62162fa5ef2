"""Deciding by a link from a mail, over HTTP as a browser and a mail scanner do: looking changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import urllib3

from tests.e2e.gate import Gate, running_gate
from tests.integration.browser import Browser, needed_chromium
from tests.patience import PATIENCE_SECONDS

POLICY = """version: 1
stages:
  dev:
    repositories: "{app}-dev"
    promotes_to: staging
  staging:
    repositories: "{app}-staging"
    promotes_to: production
    approval: {by_mail: [ann@example.com], expires: 1d}
  production:
    repositories: "{app}-production"
"""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("links")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with running_gate(folder, "--policy", str(policy)) as running:
        yield running


def mail(gate: Gate, name: str) -> str:
    def look() -> str | None:
        texts = [str(m["message"]) for m in gate.messages() if str(m.get("subject")) == f"APPROVE? {name}"]
        return texts[-1] if texts else None

    return gate.eventually(look, f"a mail about {name}")


def links(gate: Gate, name: str) -> dict[str, str]:
    return dict(re.findall(r"(Let it in|Keep it out): +(http\S+?\?t=[\w.-]+)", mail(gate, name)))


def get(url: str, method: str = "GET") -> urllib3.BaseHTTPResponse:
    return urllib3.request(method, url, retries=False, timeout=PATIENCE_SECONDS)


def press(url: str, **fields: str) -> urllib3.BaseHTTPResponse:
    """Send the request that the form's button sends."""
    address, _, token = url.partition("?t=")
    body = urlencode({"token": token, "reason": "tested", **fields})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return urllib3.request(
        "POST", address, body=body, headers=headers, retries=False, timeout=PATIENCE_SECONDS
    )


def held(gate: Gate, application: str) -> str:
    digest = gate.push(f"{application}-dev", "1.0")
    assert gate.ended(f"{application}-dev", digest)["outcome"] == "held"
    return digest


def test_looking_changes_nothing_and_the_button_lets_it_in(gate: Gate) -> None:
    digest = held(gate, "mailed")
    approve = links(gate, "mailed-dev:1.0 into staging")["Let it in"]
    for method in ("GET", "GET", "HEAD"):
        seen = get(approve, method)
    page = get(approve)
    assert page.status == 200
    assert digest in page.data.decode()
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert seen.status in (200, 405)
    assert len(gate.releases("mailed-dev", digest)) == 1
    done = press(approve)
    assert done.status == 200, done.data.decode()
    assert gate.ended("mailed-dev", digest, attempt=2)["outcome"] == "released"
    assert gate.manifest("mailed-staging", "1.0") is not None
    again = press(approve)
    assert again.status != 500
    assert len(gate.releases("mailed-dev", digest)) == 2


def test_the_other_button_keeps_it_out_and_no_link_turns_that_round(gate: Gate) -> None:
    digest = held(gate, "kept")
    found = links(gate, "kept-dev:1.0 into staging")
    assert press(found["Keep it out"]).status == 200
    refused = press(found["Let it in"])
    assert refused.status >= 400
    assert "already" in refused.data.decode()
    assert len(gate.releases("kept-dev", digest)) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda url: url[:-2] + ("AA" if url[-2:] != "AA" else "BB"),
        lambda url: url[:-10],
        lambda url: url + "A",
        lambda url: re.sub(r"t=1\.(.)", lambda m: f"t=1.{'A' if m[1] != 'A' else 'B'}", url),
    ],
    ids=["forged", "cut", "longer", "about something else"],
)
def test_a_link_of_another_gate_is_refused_in_plain_words(gate: Gate, spoil: object) -> None:
    digest = held(gate, "forged")
    url = links(gate, "forged-dev:1.0 into staging")["Let it in"]
    broken = spoil(url)  # type: ignore[operator]
    for answer in (get(broken), press(broken)):
        assert 400 <= answer.status < 500
        assert "link" in answer.data.decode()
    assert len(gate.releases("forged-dev", digest)) == 1


def test_from_the_mail_to_the_next_stage_in_a_browser_without_scripts(gate: Gate, tmp_path: Path) -> None:
    needed_chromium()
    digest = held(gate, "browsed")
    with Browser.running(tmp_path / "profile") as browser:
        browser.shaped(360)
        browser.opens(links(gate, "browsed-dev:1.0 into staging")["Let it in"])
        assert "Approve browsed-dev:1.0 for staging" in browser.text
        assert browser.complaints == []
        while browser.focused != "BUTTON":
            browser.presses("Tab")
        browser.presses("Enter", loads=True)
        assert "It goes to staging. Recorded as ann@example.com." in browser.text
        assert "?t=" not in browser.evaluate("location.href")
    assert gate.ended("browsed-dev", digest, attempt=2)["outcome"] == "released"
