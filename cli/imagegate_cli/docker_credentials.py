"""Credentials of registries, as `docker login` stores them: in Docker's configuration, or in a credential helper.

A helper is a program `docker-credential-NAME`. It is started without a shell, gets the registry's name on its standard
input, and answers in JSON. Source: docker/docker-credential-helpers, "Development".
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from imagegate.text import one_line
from imagegate_cli.faults import CannotTellError

_HELPER_SECONDS = 30.0
_LONGEST_ANSWER = 64 * 1024
_LONGEST_MESSAGE = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# The answer of a helper that has no credentials of the registry.
_NOT_FOUND = "credentials not found in native keychain"
_TOKEN_USER = "<token>"  # noqa: S105 - the user name by which a helper marks an identity token


def credentials_of(host: str) -> str:
    """Return base64 of `user:password` for the registry; empty if there are none.

    Raises `CannotTellError` if the registry's helper fails.
    """
    config = _read_config()
    helper = _text_in(_object_in(config, "credHelpers"), host)
    if helper and _path_of(helper) is None:
        fault = f"{_program(helper)!r} keeps the credentials of {host}, and is not on the PATH"
        raise CannotTellError(f"{fault}: install it, or name another configuration by DOCKER_CONFIG")
    # Without the program of a general store, images that everybody may pull are still within reach.
    helper = helper or _text_in(config, "credsStore")
    path = _path_of(helper)
    return (_ask_helper(_program(helper), path, host) if path else "") or _stored(config, host)


def _program(helper: str) -> str:
    return f"docker-credential-{helper}"


def _path_of(helper: str) -> str | None:
    """Return the path of the helper's program, or None if there is none of that name."""
    return shutil.which(_program(helper)) if _NAME.fullmatch(helper) else None


def _read_config() -> dict[str, Any]:
    folder = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    try:
        config = json.loads((Path(folder) / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError, RuntimeError):  # RuntimeError: there is no home directory
        return {}
    return config if isinstance(config, dict) else {}


def _stored(config: dict[str, Any], host: str) -> str:
    """Return the credentials in the configuration itself. The name of a registry may have a scheme and a path."""
    auths = _object_in(config, "auths")
    name = host if host in auths else next((key for key in auths if _host_of(key) == host), host)
    credentials = _text_in(_object_in(auths, name), "auth")
    try:
        base64.b64decode(credentials, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return credentials


def _host_of(key: str) -> str:
    """Return the registry's host of a key such as `https://registry.example/v1/`."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _ask_helper(program: str, path: str, host: str) -> str:
    code, output = _run(program, path, host)
    if code != 0:
        if _NOT_FOUND in output:
            return ""
        raise CannotTellError(f"{program} has no credentials of {host}: {one_line(output, _LONGEST_MESSAGE)}")
    return _encode(program, host, output)


def _run(program: str, path: str, host: str) -> tuple[int, str]:
    """Run the helper. Return its exit code, and its output without what it writes to stderr."""
    command = [path, "get"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            output, _ = process.communicate(host.encode(), timeout=_HELPER_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise CannotTellError(f"{program} did not answer within {_HELPER_SECONDS:.0f} s") from None
    return process.returncode, output[:_LONGEST_ANSWER].decode(errors="replace")


def _encode(program: str, host: str, output: str) -> str:
    """Return the credentials in a helper's answer. No message has a part of the answer: it may be the secret."""
    try:
        answer = json.loads(output)
        user, secret = answer["Username"], answer["Secret"]
        if not isinstance(user, str) or not isinstance(secret, str):
            raise TypeError
        encoded = base64.b64encode(f"{user}:{secret}".encode()).decode()
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CannotTellError(f"{program} does not answer with JSON that has Username and Secret") from None
    if user == _TOKEN_USER:
        raise CannotTellError(
            f"{program} has only an identity token of {host}: sign in with a password or an access token"
        )
    if ":" in user:
        raise CannotTellError(f"{program}: the user name for {host} has a colon")
    return encoded if secret else ""


def _object_in(config: dict[str, Any], key: str) -> dict[str, Any]:
    value = config.get(key)
    return value if isinstance(value, dict) else {}


def _text_in(config: dict[str, Any], key: str) -> str:
    value = config.get(key)
    return value if isinstance(value, str) else ""
