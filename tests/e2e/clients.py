"""Other people's programs, as a team uses them against its registry."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gate import Gate


@dataclass(frozen=True)
class Clients:
    """skopeo, docker and aws, each with the sandbox's address and key and a home of its own."""

    gate: Gate
    home: Path

    @classmethod
    def logged_in(cls, gate: Gate, home: Path, ecr: Any = None) -> Clients:
        """Log in with the token of GetAuthorizationToken, stored where both skopeo and docker look for it.

        `ecr`: a client of whoever logs in. Default: the administrator.
        """
        ecr = ecr or gate.cloud.client("ecr")
        granted = ecr.get_authorization_token()["authorizationData"][0]
        logins = {gate.cloud.env["IMAGEGATE_REGISTRY"]: {"auth": granted["authorizationToken"]}}
        (home / "config.json").write_text(json.dumps({"auths": logins}))
        return cls(gate, home)

    @property
    def password(self) -> str:
        """The password that `aws ecr get-login-password` prints."""
        granted = self.gate.cloud.client("ecr").get_authorization_token()["authorizationData"][0]
        return base64.b64decode(granted["authorizationToken"]).decode().partition(":")[2]

    def repository(self, name: str) -> None:
        self.gate.cloud.client("ecr").create_repository(repositoryName=name)

    def skopeo(self, source: str, target: str, *options: str) -> None:
        self._run(
            *("skopeo", "--insecure-policy", "copy", "--quiet"),
            *("--src-tls-verify=false", "--dest-tls-verify=false", *options, source, target),
        )

    def docker(self, *arguments: str) -> str:
        return self._run("docker", *arguments)

    def forget_images(self) -> None:
        """Leave Docker as it was."""
        names = self.docker("images", "--format", "{{.Repository}}@{{.ID}}").split()
        ours = {name.partition("@")[2] for name in names if name.startswith(self._registry)}
        if ours:
            self.docker("rmi", "--force", *ours)

    def aws(self, *arguments: str) -> Any:
        endpoint = self.gate.cloud.env["AWS_ENDPOINT_URL"]  # the variable is unknown to older versions
        return json.loads(self._run("aws", "--output", "json", "--endpoint-url", endpoint, *arguments))

    @property
    def _registry(self) -> str:
        return self.gate.cloud.env["IMAGEGATE_REGISTRY"]

    def _run(self, *arguments: str) -> str:
        """Run a client; `registry/` in an argument means the sandbox's registry."""
        command = [re.sub(r"^(docker://)?registry/", rf"\g<1>{self._registry}/", part) for part in arguments]
        own = {
            "HOME": str(self.home),
            "DOCKER_CONFIG": str(self.home),
            "REGISTRY_AUTH_FILE": str(self.home / "config.json"),
            "AWS_PAGER": "",
        }
        environment = {"PATH": os.environ["PATH"], **self.gate.cloud.env, **own}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        if "Invalid choice" in done.stderr:
            pytest.skip(f"this version of {command[0]} is too old: {done.stderr.strip()[-200:]}")
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout


def needed(program: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


def needed_docker() -> None:
    needed("docker")
    if sys.platform != "linux":
        pytest.skip("Docker has a machine and a loopback of its own here")
    if subprocess.run(["docker", "info"], capture_output=True, timeout=20).returncode:
        pytest.skip("no dockerd runs")
