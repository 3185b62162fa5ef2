"""The image that an import means, and the registry that has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagegate.errors import AccessRefusedError, RejectedInputError
from imagegate_cli.faults import CannotTellError, NotFoundError
from imagegate_cli.importing.sources import RemoteImage
from tests.component.token_registry import MANIFEST, token_registry

OTHER_ECR = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag"),
    [
        ("nginx:1.27", "docker.io", "library/nginx", "1.27"),
        ("library/nginx", "docker.io", "library/nginx", "latest"),
        ("grafana/grafana:11", "docker.io", "grafana/grafana", "11"),
        ("docker.io/nginx", "docker.io", "library/nginx", "latest"),
        ("registry-1.docker.io/library/nginx:1", "docker.io", "library/nginx", "1"),
        ("index.docker.io/nginx:1", "docker.io", "library/nginx", "1"),
        ("ghcr.io/team/app:1.0", "ghcr.io", "team/app", "1.0"),
        ("localhost/app:1", "localhost", "app", "1"),
        ("127.0.0.1:5000/team/app:1", "127.0.0.1:5000", "team/app", "1"),
        (f"{OTHER_ECR}/a:1", OTHER_ECR, "a", "1"),
    ],
)
def test_a_source_is_read_as_docker_reads_it(text: str, host: str, repository: str, tag: str) -> None:
    source = RemoteImage.parse(text)
    assert (source.host, source.reference.repository, source.reference.tag) == (host, repository, tag)


def test_a_digest_names_the_image() -> None:
    source = RemoteImage.parse(f"ghcr.io/team/app@{DIGEST}")
    assert str(source.reference.digest) == DIGEST
    assert source.reference.tag is None


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("nginx", "https://registry-1.docker.io"),
        ("ghcr.io/a/b", "https://ghcr.io"),
        ("127.0.0.1:5000/b", "http://127.0.0.1:5000"),
        ("127.0.0.1.evil.test/b", "https://127.0.0.1.evil.test"),
    ],
)
def test_only_this_machine_is_called_without_tls(text: str, endpoint: str) -> None:
    assert RemoteImage.parse(text).endpoint == endpoint


@pytest.mark.parametrize(
    "text", ["", "https://ghcr.io/a/b:1", "docker://nginx", "Nginx", "nginx:", "nginx:a b", "nginx@sha256:1"]
)
def test_a_text_that_names_no_image_is_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(CannotTellError, match="write HOST/NAME:TAG"):
        RemoteImage.parse(text)


@pytest.mark.parametrize("host", ["h.example:99999", "h%00:1", "[::1", "a:b:c", "h.example:0x1"])
def test_a_host_that_is_no_address_is_refused_in_one_line(host: str) -> None:
    with pytest.raises(
        (CannotTellError, RejectedInputError), match=r"is no address of a registry|cannot import"
    ):
        RemoteImage.parse(f"{host}/a:1").opened()


def test_an_image_is_found_and_goes_by_its_digest_from_then_on() -> None:
    with token_registry() as registry:
        opened = RemoteImage.parse(f"127.0.0.1:{registry.script.port}/team/app:1.0").opened()
        assert opened.image.digest == MANIFEST.digest


def test_credentials_of_docker_login_are_used(home: Path) -> None:
    with token_registry() as registry:
        host = f"127.0.0.1:{registry.script.port}"
        (home / ".docker").mkdir()
        (home / ".docker/config.json").write_text(json.dumps({"auths": {host: {"auth": "YTpi"}}}))
        RemoteImage.parse(f"{host}/team/app:1.0").opened()
    assert registry.asked_for_tokens[0].headers["authorization"] == "Basic YTpi"


def test_an_unknown_image_is_said_to_be_unknown() -> None:
    with token_registry() as registry, pytest.raises(NotFoundError, match=r"there is no .*/team/app:2\.0"):
        RemoteImage.parse(f"127.0.0.1:{registry.script.port}/team/app:2.0").opened()


def test_a_refused_login_says_how_to_sign_in() -> None:
    with token_registry() as registry:
        registry.refused = 1000
        with pytest.raises(AccessRefusedError, match=r"or there is no such image.*docker login"):
            RemoteImage.parse(f"127.0.0.1:{registry.script.port}/team/app:1.0").opened()
