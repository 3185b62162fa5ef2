"""Credentials as `docker login` stores them, also in credential helpers."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from imagegate_cli import docker_credentials
from imagegate_cli.docker_credentials import credentials_of
from imagegate_cli.faults import CannotTellError

HOST = "registry.example"
STORED = base64.b64encode(b"ann:stored").decode()
HELD = base64.b64encode(b"ann:held").decode()
ANSWER = '{"ServerURL": "x", "Username": "ann", "Secret": "held"}'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".docker").mkdir()
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    return tmp_path


def configure(folder: Path, **config: Any) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))


def add_helper(home: Path, script: str, name: str = "test") -> None:
    program = home / "bin" / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_another_folder_is_named_by_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(home / ".docker", auths={HOST: {"auth": "b3RoZXI6b3RoZXI="}})
    configure(home / "elsewhere", auths={HOST: {"auth": STORED}})
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "elsewhere"))
    assert credentials_of(HOST) == STORED


@pytest.mark.parametrize("key", ["https://{}", "http://{}", "https://{}/", "https://{}/v1/", "{}/v2"])
def test_a_registry_is_found_under_a_name_with_a_scheme_and_a_path(home: Path, key: str) -> None:
    configure(
        home / ".docker", auths={key.format(HOST): {"auth": STORED}, f"https://x.{HOST}": {"auth": "eA=="}}
    )
    assert credentials_of(HOST) == STORED
    assert credentials_of("other.example") == ""
    exact = {HOST: {"auth": HELD}}
    configure(home / ".docker", auths={key.format(HOST): {"auth": STORED}, **exact})
    assert credentials_of(HOST) == HELD


@pytest.mark.parametrize("config", [{"credHelpers": {HOST: "test"}}, {"credsStore": "test"}])
def test_a_helper_gets_the_name_of_the_registry_and_answers(home: Path, config: dict[str, Any]) -> None:
    add_helper(home, f"""test "$1" = get && test "$(cat)" = {HOST} && echo '{ANSWER}'""")
    configure(home / ".docker", auths={HOST: {"auth": STORED}}, **config)
    assert credentials_of(HOST) == HELD


def test_the_helper_of_a_registry_counts_more_than_the_store_and_only_there(home: Path) -> None:
    add_helper(home, f"echo '{ANSWER}'")
    add_helper(home, "echo 'credentials not found in native keychain'; exit 1", "store")
    configure(
        home / ".docker",
        credHelpers={HOST: "test"},
        credsStore="store",
        auths={"other.example": {"auth": STORED}},
    )
    assert credentials_of(HOST) == HELD
    assert credentials_of("other.example") == STORED
    assert credentials_of("third.example") == ""


def test_a_store_that_is_not_installed_is_as_one_without_credentials(home: Path) -> None:
    configure(home / ".docker", credsStore="desktop-that-is-not-here")
    assert credentials_of(HOST) == ""


@pytest.mark.parametrize("name", ["not-installed", "../../bin/sh", "a b; touch x", ""])
def test_a_helper_that_is_no_program_is_named_and_never_reaches_a_shell(home: Path, name: str) -> None:
    configure(home / ".docker", credHelpers={HOST: name})
    if not name:
        assert credentials_of(HOST) == ""
        return
    with pytest.raises(CannotTellError, match="is not on the PATH"):
        credentials_of(HOST)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo locked; exit 1", "has no credentials of registry.example: locked"),
        ("echo hunter2", "does not answer with JSON"),
        ("""echo '{"Username": "ann", "Secret": ["hunter2"]}'""", "does not answer with JSON"),
        (r"""echo '{"Username": "ann\\ud800", "Secret": "hunter2"}'""", "does not answer with JSON"),
        ("""echo '{"Username": "<token>", "Secret": "hunter2"}'""", "only an identity token"),
        ("""echo '{"Username": "a:b", "Secret": "hunter2"}'""", "has a colon"),
    ],
)
def test_a_helper_that_fails_is_one_line_without_the_secret(home: Path, script: str, says: str) -> None:
    add_helper(home, script)
    configure(home / ".docker", credHelpers={HOST: "test"})
    with pytest.raises(CannotTellError) as raised:
        credentials_of(HOST)
    assert says in raised.value.message
    assert "hunter2" not in raised.value.message


def test_a_helper_that_hangs_is_ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_credentials, "_HELPER_SECONDS", 0.2)
    add_helper(home, "exec sleep 60")
    configure(home / ".docker", credHelpers={HOST: "test"})
    started = time.monotonic()
    with pytest.raises(CannotTellError, match="did not answer"):
        credentials_of(HOST)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"auths": 7, "credHelpers": [], "credsStore": {}}',
        '{"auths": {"registry.example": {"auth": "?"}}}',
    ],
)
def test_a_broken_configuration_has_no_credentials(home: Path, content: str) -> None:
    (home / ".docker/config.json").write_text(content)
    assert credentials_of(HOST) == ""
