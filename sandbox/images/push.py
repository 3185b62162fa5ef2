"""`python -m sandbox push`: push an image from disk into the sandbox's registry, through its HTTP API.

Blobs, children and referrers go first, untagged; the tag comes last, because a tag starts a release.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import urllib3

from sandbox.images.build import MANIFEST, is_foreign
from sandbox.images.layouts import InvalidLayoutError, Layout, choose, open_layout
from sandbox.images.references import InvalidSandboxReferenceError, SandboxReference
from sandbox.session import NoSandboxError, Session, default_state, find_session

_BLOCK = 1024 * 1024

_WITHOUT_SCAN = ("replication", "pull-through")
_DONE = {"push": "pushed", "before-the-gate": "was pushed 30 days ago:"}


class PushRefusedError(RuntimeError):
    """The registry refused the push."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """The image that is in the registry now."""

    repository: str
    tag: str
    digest: str
    media_type: str
    size: int
    referrers: tuple[str, ...]
    created_repository: bool


def push(path: Path, reference: SandboxReference, session: Session, *, arrival: str = "push") -> Pushed:
    """Push the image of a layout or archive; create the repository if it is missing.

    With `arrival` `replication` or `pull-through`, ECR announces the image as arrived that way. Repositories that ECR
    itself creates for these have no scan on push.
    """
    if not reference.tag:
        raise InvalidSandboxReferenceError(f"a tag is needed: {reference.repository}:TAG")
    with open_layout(path) as layout:
        entry = choose(layout, reference.tag)
        is_new = _create_repository(session, reference.repository, scan_on_push=arrival not in _WITHOUT_SCAN)
        target = _Target(session, reference.repository, arrival)
        referrers = _push_referrers(layout, target, entry)
        _push_manifest(layout, target, entry, reference.tag)
    return Pushed(
        reference.repository,
        reference.tag,
        entry["digest"],
        entry.get("mediaType", MANIFEST),
        entry["size"],
        tuple(referrers),
        is_new,
    )


class _Target:
    """One repository of the registry."""

    def __init__(self, session: Session, repository: str, arrival: str) -> None:
        data = session.client("ecr").get_authorization_token()["authorizationData"][0]
        user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        self._base = f"{data['proxyEndpoint']}/v2/{repository}"
        self._headers = urllib3.make_headers(basic_auth=f"{user}:{password}")
        self._headers["Sandbox-Arrival"] = arrival
        self._http = urllib3.PoolManager(blocksize=_BLOCK, retries=False)

    def put_blob(self, layout: Layout, descriptor: dict[str, Any]) -> None:
        digest = descriptor["digest"]
        if self._call("HEAD", f"{self._base}/blobs/{digest}", (200, 404)).status == 200:
            return
        begun = self._call("POST", f"{self._base}/blobs/uploads/", (202,))
        with layout.open(digest) as content:
            _check_size(content, descriptor)
            url = f"{begun.headers['Location']}?digest={digest}"
            headers = {"Content-Length": str(descriptor["size"])}
            self._call("PUT", url, (201,), body=content, headers=headers)

    def put_manifest(self, content: bytes, media_type: str, reference: str) -> None:
        url = f"{self._base}/manifests/{reference}"
        self._call("PUT", url, (201,), body=content, headers={"Content-Type": media_type})

    def _call(self, method: str, url: str, expected: tuple[int, ...], **options: Any) -> Any:
        headers = self._headers | options.pop("headers", {})
        answer = self._http.request(method, url, headers=headers, **options)
        if answer.status not in expected:
            raise PushRefusedError(_reason(answer))
        return answer


def _check_size(content: IO[bytes], descriptor: dict[str, Any]) -> None:
    # With a short body both sides would wait for each other.
    size = content.seek(0, io.SEEK_END)
    content.seek(0)
    if size != descriptor["size"]:
        expected = f"{descriptor['digest']} has {size} bytes, not {descriptor['size']}"
        raise InvalidLayoutError(f"the layout is damaged: {expected}")


def _reason(answer: urllib3.BaseHTTPResponse) -> str:
    try:
        error = json.loads(answer.data)["errors"][0]
    except (ValueError, KeyError, IndexError):
        return f"the registry answered {answer.status}"
    return f"the registry answered {answer.status} {error['code']}: {error['message']}"


def _push_manifest(layout: Layout, target: _Target, entry: dict[str, Any], reference: str) -> None:
    content = layout.read(entry["digest"])
    document = json.loads(content)
    for child in document.get("manifests", []):
        _push_manifest(layout, target, child, child["digest"])
    if "config" in document:
        own = [layer for layer in document["layers"] if not is_foreign(layer)]
        for blob in (document["config"], *own):
            target.put_blob(layout, blob)
    media_type = document.get("mediaType") or entry["mediaType"]
    target.put_manifest(content, media_type, reference)


def _push_referrers(layout: Layout, target: _Target, entry: dict[str, Any]) -> list[str]:
    """Push signatures and attestations of the image, of its children, and of each other."""
    subjects = _tree(layout, entry)
    waiting = {e["digest"]: (e, layout.subject(e)) for e in layout.entries()}
    pushed: list[str] = []
    for subject in subjects:  # grows in the loop: a referrer can have referrers
        for digest, (referrer, its_subject) in waiting.items():
            if its_subject == subject and digest not in pushed:
                _push_manifest(layout, target, referrer, digest)
                pushed.append(digest)
                subjects.append(digest)
    return pushed


def _tree(layout: Layout, entry: dict[str, Any]) -> list[str]:
    """Return the digests of a manifest, its children, and theirs."""
    children = json.loads(layout.read(entry["digest"])).get("manifests", [])
    return [entry["digest"], *(digest for child in children for digest in _tree(layout, child))]


def _create_repository(session: Session, name: str, *, scan_on_push: bool) -> bool:
    ecr = session.client("ecr")
    scanning = {"scanOnPush": scan_on_push}
    try:
        ecr.create_repository(repositoryName=name, imageScanningConfiguration=scanning)
    except ecr.exceptions.RepositoryAlreadyExistsException:
        return False
    return True


def main(argv: Sequence[str]) -> int:
    """Run the command; return 0, or 2 after one line that says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m sandbox push", description=__doc__)
    return run("push", take_arguments(parser, argv))


def take_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    parser.add_argument("path", type=Path, metavar="LAYOUT_OR_ARCHIVE")
    parser.add_argument("reference", metavar="REPOSITORY:TAG")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--state", type=Path, default=default_state(), help="the sandbox's folder")
    return parser.parse_args(argv)


def run(command: str, arguments: argparse.Namespace, *, arrival: str = "push") -> int:
    """Push the image that the arguments name and print the result; return the exit code."""
    # Imported late: only the command needs boto3's errors.
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        reference = SandboxReference.parse(arguments.reference)
        pushed = push(arguments.path, reference, find_session(arguments.state), arrival=arrival)
    except (InvalidSandboxReferenceError, InvalidLayoutError, NoSandboxError, PushRefusedError) as error:
        return _fail(command, str(error))
    except (BotoCoreError, ClientError, urllib3.exceptions.HTTPError) as error:
        return _fail(command, f"the sandbox does not answer as it should: {error}")
    _print(pushed, arrival, as_json=arguments.json)
    return 0


def _print(pushed: Pushed, arrival: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(pushed)))
        return
    if pushed.created_repository:
        scanned = "no scan on push" if arrival in _WITHOUT_SCAN else "scan on push"
        print(f"created the repository {pushed.repository} ({scanned})", file=sys.stderr)
    extra = f" and {len(pushed.referrers)} referrer(s)" if pushed.referrers else ""
    done = _DONE.get(arrival, f"arrived by {arrival}:")
    print(f"{done} {pushed.repository}:{pushed.tag}{extra}", file=sys.stderr)
    print(pushed.digest)


def _fail(command: str, message: str) -> int:
    print(f"{command}: {message}", file=sys.stderr)
    return 2
