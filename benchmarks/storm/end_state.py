"""The end of a storm, read from the registry, the tables and the messages without the product's code."""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from benchmarks.storm.pushes import Push
from sandbox.session import Session

_NOTATION = "application/vnd.cncf.notary.signature"
_PROFILE = "com.amazonaws.signer.signingProfileVersion"
Image = tuple[str, str]  # repository, digest


@dataclass(frozen=True)
class Observed:
    """The services, seen by their APIs."""

    session: Session
    registry: str
    outputs: Mapping[str, str]
    root: x509.Certificate
    messages_file: Path

    # The ledger

    def items(self) -> Iterator[dict[str, str]]:
        pages = self.session.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=self.outputs["LedgerTable"], ConsistentRead=True):
            for item in page["Items"]:
                yield {name: next(iter(value.values())) for name, value in item.items()}

    def running(self) -> int:
        pages = self.session.client("stepfunctions").get_paginator("list_executions")
        machine = self.outputs["ReleaseStateMachine"]
        listed = pages.paginate(stateMachineArn=machine, statusFilter="RUNNING")
        return sum(len(page["executions"]) for page in listed)

    def announced(self) -> dict[str, set[str]]:
        """Return the announced outcomes of each attempt."""
        found = defaultdict[str, set[str]](set)
        lines = self.messages_file.read_text().splitlines() if self.messages_file.exists() else []
        for line in lines:
            detail = json.loads(json.loads(json.loads(line)["message"])["https"])
            if "outcome" in detail:
                key = f"{detail['repository']}@{detail['digest']}#{detail['attempt']}"
                found[key].add(detail["outcome"])
        return found

    # The registry

    @cached_property
    def _http(self) -> urllib3.PoolManager:
        keys = self.session.credentials
        login = f"{keys['aws_access_key_id']}:{keys['aws_secret_access_key']}"
        headers = urllib3.make_headers(basic_auth=login) | {"Accept": "*/*"}
        return urllib3.PoolManager(headers=headers, timeout=60, retries=3)

    def get(self, path: str) -> urllib3.BaseHTTPResponse:
        return self._http.request("GET", f"http://{self.registry}/v2/{path}")

    def tag(self, repository: str, tag: str) -> str:
        """Return the digest that has the tag, or ""."""
        response = self.get(f"{repository}/manifests/{tag}")
        return str(response.headers["Docker-Content-Digest"]) if response.status == 200 else ""

    def signed_by(self, image: Image) -> set[str]:
        """Return the stages whose gate signed the image, by the signatures in its repository that are valid."""
        repository, digest = image
        response = self.get(f"{repository}/referrers/{digest}")
        entries = response.json()["manifests"] if response.status == 200 else []
        return {
            self._stage_of(repository, entry["digest"], digest)
            for entry in entries
            if entry.get("artifactType") == _NOTATION
        }

    def _stage_of(self, repository: str, signature: str, digest: str) -> str:
        manifest = self.get(f"{repository}/manifests/{signature}").json()
        envelope = self.get(f"{repository}/blobs/{manifest['layers'][0]['digest']}").json()
        return verified_stage(envelope, digest, self.root)


def verified_stage(envelope: Mapping[str, Any], digest: str, root: x509.Certificate) -> str:
    """Return the stage that the signed payload names. Raises if the signature does not fit or is of another profile."""
    chain = [x509.load_der_x509_certificate(base64.b64decode(one)) for one in envelope["header"]["x5c"]]
    for certificate, issuer in zip(chain, [*chain[1:], root], strict=True):
        certificate.verify_directly_issued_by(issuer)
    raw = _decoded(envelope["signature"])
    signature = encode_dss_signature(*(int.from_bytes(half, "big") for half in (raw[:48], raw[48:])))
    key = chain[0].public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(
        signature, f"{envelope['protected']}.{envelope['payload']}".encode(), ec.ECDSA(hashes.SHA384())
    )
    target = json.loads(_decoded(envelope["payload"]))["targetArtifact"]
    stage = str(target["annotations"]["imagegate.stage"])
    profile = str(json.loads(_decoded(envelope["protected"]))[_PROFILE]).split("/")[-2]
    if target["digest"] != digest or not profile.endswith(stage):
        raise ValueError(f"a signature of {target['digest']} by {profile} at {digest}")
    return stage


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Judgement:
    """The end, measured against what was pushed. Each list names what is wrong."""

    pushes: Sequence[Push]
    seen: Observed

    def __post_init__(self) -> None:
        self._items = list(self.seen.items())
        self._attempts = defaultdict[Image, list[dict[str, str]]](list)
        for item in self._items:
            if item["pk"].startswith("IMAGE#") and item["sk"].startswith("ATTEMPT#"):
                self._attempts[item["repository"], item["digest"]].append(item)

    @cached_property
    def _current(self) -> dict[tuple[str, str], str]:
        """The tags that people pushed, and the image that each has now."""
        return {key: self.seen.tag(*key) for key in {(one.repository, one.tag) for one in self.pushes}}

    @cached_property
    def _bad(self) -> set[str]:
        return {one.digest for one in self.pushes if one.is_bad}

    def outcomes(self) -> dict[str, int]:
        attempts = [attempt for attempts in self._attempts.values() for attempt in attempts]
        return dict(sorted(Counter(one.get("outcome", "none") for one in attempts).items()))

    def is_quiet(self) -> bool:
        """Return whether nothing is lost and nothing waits."""
        return not (self.stuck() or self.lost())

    def lost(self) -> list[str]:
        """Return the tags whose image was never judged, or did not arrive where it belongs."""
        return [
            f"{repository}:{tag} is {digest[:19]}: {self._told(repository, digest)}"
            for (repository, tag), digest in self._current.items()
            if not self._has_arrived(repository, tag, digest)
        ]

    def _has_arrived(self, repository: str, tag: str, digest: str) -> bool:
        ended = self._outcomes(repository, digest)
        if digest in self._bad:
            return "blocked" in ended
        target = repository.replace("-dev", "-production")
        copied = self._outcomes(target, digest)
        return "released" in ended and "released" in copied and self.seen.tag(target, tag) == digest

    def _told(self, repository: str, digest: str) -> str:
        target = repository.replace("-dev", "-production")
        items = self._attempts.get((repository, digest), []) + self._attempts.get((target, digest), [])
        told = [f"{one['repository']} {one.get('outcome')} {one.get('detail', '')}"[:200] for one in items]
        return ", ".join(told) or "no release"

    def _outcomes(self, repository: str, digest: str) -> set[str]:
        return {one.get("outcome", "") for one in self._attempts.get((repository, digest), ())}

    def double_outcomes(self) -> list[str]:
        """Return the images with more attempts than causes, and the attempts that were announced otherwise."""
        announced = self.seen.announced()
        wrong = [
            f"{image}: {len(all_)} attempts"
            for image, all_ in self._attempts.items()
            if self._most(image) < len(all_)
        ]
        for (repository, digest), attempts in self._attempts.items():
            for one in attempts:
                key = f"{repository}@{digest}#{int(one['attempt'])}"
                if announced[key] != {one.get("outcome")}:
                    wrong.append(f"{key}: {one.get('outcome')}, announced as {sorted(announced[key])}")
        return wrong

    def _most(self, image: Image) -> int:
        repository, digest = image
        same = {repository, repository.replace("-production", "-dev")}
        return sum(one.digest == digest and one.repository in same for one in self.pushes)

    def promoted_unsigned(self) -> list[str]:
        """Return the released or promoted images that lack a signature of their gate."""
        released = {
            image
            for image, all_ in self._attempts.items()
            if "released" in {one.get("outcome") for one in all_}
        }
        wrong = [
            f"{repository}@{digest}: not signed by {repository.rpartition('-')[2]}"
            for repository, digest in released
            if repository.rpartition("-")[2] not in self._signed(repository, digest)
        ]
        for repository, digest in self._promoted():
            if "dev" not in self._signed(repository, digest):
                wrong.append(f"{repository}@{digest}: not signed by dev")
        return wrong

    def _promoted(self) -> Iterable[Image]:
        past = {(one.repository, one.tag) for one in self.pushes if one.repository.endswith("-production")}
        targets = {(r.replace("-dev", "-production"), tag) for r, tag in self._current} - past
        return {
            (repository, digest) for repository, tag in targets if (digest := self.seen.tag(repository, tag))
        }

    def _signed(self, repository: str, digest: str) -> set[str]:
        return self.seen.signed_by((repository, digest))

    def blocked_signed(self) -> list[str]:
        """Return the images that should be blocked, or were, and have a signature or a copy."""
        blocked = {
            image for image, all_ in self._attempts.items() if all_[-1].get("outcome") == "blocked"
        } | {(one.repository, one.digest) for one in self.pushes if one.is_bad}
        wrong = [f"{image} is signed" for image in sorted(blocked) if self.seen.signed_by(image)]
        return wrong + [f"{image} was promoted" for image in self._promoted() if image[1] in self._bad]

    def stuck(self) -> list[str]:
        """Return the attempts that are open, tokens that wait, and how many executions run."""
        found = [f"{item['pk']} {item['sk']}: open" for item in self._items if self._is_open(item)]
        found += [f"{item['pk']} waits" for item in self._items if item["pk"].startswith("SCAN#")]
        return found + ([f"{running} executions run"] if (running := self.seen.running()) else [])

    @staticmethod
    def _is_open(item: Mapping[str, str]) -> bool:
        return (
            item["pk"].startswith("IMAGE#") and item["sk"].startswith("ATTEMPT#") and "messageId" not in item
        )

    def waits(self) -> list[float]:
        """Return the seconds from each push to the end of its image's first release."""
        pushed = {(one.repository, one.digest): one.at for one in self.pushes}
        return [
            datetime.fromisoformat(all_[0]["closedAt"]).timestamp() - pushed[image]
            for image, all_ in self._attempts.items()
            if image in pushed and "closedAt" in all_[0]
        ]
