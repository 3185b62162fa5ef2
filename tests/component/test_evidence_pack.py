"""The evidence pack: which samples it has, that it verifies offline, and that nothing in it can be changed."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from imagegate.aws.ecr import registry as ecr_registry
from imagegate.canonical_json import canonical_json
from imagegate.errors import ImageNotFoundError
from imagegate.evidence import attestation
from imagegate.gate.decision_record import Decision
from imagegate.grants.approval import Approval, Choice
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.file.load import parse_policy
from imagegate.release.release import Outcome, Release, ReleaseId
from imagegate_cli.evidence_pack import collect, make
from imagegate_cli.evidence_pack.archive import MANIFEST, MANIFEST_DIGEST, write_pack
from imagegate_cli.evidence_pack.collect import CollectPack
from imagegate_cli.evidence_pack.period import AuditPeriod
from imagegate_cli.evidence_pack.sample import PopulationEntry, SampleGroup, choose
from imagegate_cli.verification.evidence import ImageEvidence, Piece
from tests.component.approvals import finding
from tests.component.boards import ZLIB, change
from tests.component.cli_gate import CALLER, CliGate, MemoryStack, Result, gate
from tests.component.envelopes import NOW as SIGNED_AT
from tests.component.envelopes import Draft, good_chain, protected_header
from tests.fakes import NOW

__all__ = ["gate"]

TEXT = b"""
version: 1
stages:
  dev:
    repositories: "{app}-dev"
    findings:
      max: {critical: 0}
"""
POLICY = parse_policy(TEXT, name="policy")
PROFILE = "arn:aws:signer:eu-central-1:123456789012:/signing-profiles/imagegate__dev"
PERIOD = AuditPeriod(date(2026, 11, 1), date(2026, 11, 30))


class Auditor:
    """A gate whose images are signed by real envelopes, and the pack that is made of it."""

    def __init__(self, gate: CliGate, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.gate, self.folder, self.monkeypatch = gate, folder, monkeypatch
        self.evidence: dict[ImageRef, ImageEvidence] = {}
        gate.deploy(POLICY)
        monkeypatch.setattr(gate.world.records, "policy_content", lambda _digest: TEXT, raising=False)
        monkeypatch.setattr(collect, "read_evidence", self._read)
        self.root = folder / "root.pem"
        self.root.write_bytes(good_chain()[-1].public_bytes(Encoding.PEM))

    def _read(self, _registry: object, image: ImageRef) -> ImageEvidence:
        if image not in self.evidence:
            raise ImageNotFoundError(str(image))
        return self.evidence[image]

    def released(self, tag: str, **changes: Any) -> Release:
        """Release an image, and sign its decision."""
        image = self.gate.judged(tag, [finding(1, ZLIB.severity.LOW, "bash", "5")])
        change(self.gate, image, signature=Digest.of(tag.encode()), **changes)
        self.sign(image)
        return self.gate.world.ledger.releases[image, 1]

    def blocked(self, tag: str) -> Release:
        image = self.gate.judged(tag, [ZLIB])
        record = self.gate.world.ledger.releases[image, 1].decision
        assert record is not None
        subject = Decision.decode(self.gate.world.records.decision(record)).subject
        self.evidence[image] = ImageEvidence(subject)
        return self.gate.world.ledger.releases[image, 1]

    def sign(self, image: ImageRef, names: Digest | None = None) -> None:
        """Sign the decision of the image, or another one."""
        release = self.gate.world.ledger.releases[image, 1]
        decision = names or release.decision
        assert decision is not None
        assert release.decision is not None
        subject = Decision.decode(self.gate.world.records.decision(release.decision)).subject
        predicate = {
            "verifier": {"id": PROFILE},
            "policy": {"digest": {"sha256": release.policy.hex}},
            "inputAttestations": [{"digest": {"sha256": decision.hex}}],
            "verificationResult": "PASSED",
        }
        summary = json.dumps(
            {
                "_type": attestation.STATEMENT_TYPE,
                "subject": [{"digest": {"sha256": subject.digest.hex}}],
                "predicateType": attestation.VSA_TYPE,
                "predicate": predicate,
            }
        ).encode()
        said = {
            attestation.STAGE: "dev",
            attestation.POLICY: str(release.policy),
            attestation.DECISION: str(decision),
            attestation.VSA: str(Digest.of(summary)),
        }
        payload = {"targetArtifact": {**subject.as_json(), "annotations": said}}
        made_with = {"com.amazonaws.signer.signingProfileVersion": f"{PROFILE}/0a1B2c3D4e"}
        envelope = Draft(payload=payload, protected=protected_header() | made_with).envelope()
        self.evidence[image] = ImageEvidence(
            subject, (Piece(Digest.of(b"m"), envelope),), (Piece(Digest.of(b"s"), summary),)
        )

    def pack(self, size: int = 25, name: str = "pack.zip") -> Path:
        """Write a pack of the period."""
        stack = self.gate.stack
        vars(stack).update(signing_profiles={"dev": PROFILE})
        step = CollectPack(
            stack=stack,
            registry=self.gate.world.registry,
            access=lambda verb, repository: [{"who": f"the team of {repository}", "verb": verb}],
            activity=lambda since, until: [{"from": f"{since:%Y-%m-%d}", "until": f"{until:%Y-%m-%d}"}],
            step=lambda: None,
        )
        path = self.folder / name
        write_pack(path, *step.run(PERIOD, size, NOW))
        return path

    def verify(self, path: Path, *options: str) -> Result:
        self.gate.now = SIGNED_AT + timedelta(days=1)
        return self.gate.call("verify", str(path), "--trust-root", str(self.root), *options)


@pytest.fixture
def auditor(gate: CliGate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Auditor:
    made = Auditor(gate, monkeypatch, tmp_path)
    made.released("1.0")
    made.blocked("2.0")
    return made


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, members: dict[str, bytes]) -> Path:
    other = path.with_name("other.zip")
    with zipfile.ZipFile(other, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return other


def forged(path: Path, changes: Callable[[dict[str, bytes], dict[str, Any]], None]) -> Path:
    """Return the pack with changes and a manifest that fits them, as somebody makes it who knows how."""
    members = members_of(path)
    head = json.loads(members.pop(MANIFEST))
    members.pop(MANIFEST_DIGEST)
    changes(members, head)
    for key in ("schema", "members"):
        del head[key]
    other = path.with_name("forged.zip")
    write_pack(other, head, members)
    return other


def test_a_pack_holds_without_a_stack(auditor: Auditor) -> None:
    path = auditor.pack()
    auditor.gate.world.ledger.releases.clear()
    result = auditor.verify(path, "--profile", PROFILE.rpartition("__")[0])
    assert (result.code, result.err) == (0, "")
    assert "holds: 2 samples of 2 attempts, 2026-11-01..2026-11-30" in result.out
    assert "1 passed: judged again with the same result, and a signature of the gate names" in result.out
    assert "1 refused: judged again with the same result, and no signature" in result.out
    told = auditor.verify(path, "--json").json
    assert told["verified"] is True
    assert "was not checked: name the gates' profiles" in told["notes"][0]


def test_the_same_content_is_the_same_file(auditor: Auditor) -> None:
    assert auditor.pack(name="a.zip").read_bytes() == auditor.pack(name="b.zip").read_bytes()


def test_no_member_can_be_changed_taken_out_or_added(auditor: Auditor) -> None:
    path = auditor.pack()
    members = members_of(path)
    assert len(members) == 11
    for name, content in members.items():
        for changed in (content[:-1], content + b" ", bytes([content[0] ^ 1]) + content[1:], b""):
            result = auditor.verify(rewritten(path, {**members, name: changed}))
            assert result.code == 1, (name, changed[:20])
            assert "does not hold" in result.out
        rest = {other: kept for other, kept in members.items() if other != name}
        assert auditor.verify(rewritten(path, rest)).code == 1, name
    assert auditor.verify(rewritten(path, {**members, "more.txt": b""})).code == 1


def test_every_byte_of_the_manifest_counts(auditor: Auditor) -> None:
    path = auditor.pack()
    members = members_of(path)
    for changed in (
        members[MANIFEST].replace(b"imagegate/1", b"imagegate/2"),
        json.dumps(json.loads(members[MANIFEST])).encode(),
    ):
        assert auditor.verify(rewritten(path, {**members, MANIFEST: changed})).code == 1


def _swap_samples(members: dict[str, bytes], _head: dict[str, Any]) -> None:
    one, other = "bundles/0001.zip", "bundles/0002.zip"
    members[one], members[other] = members[other], members[one]


def _say_that_all_passed(members: dict[str, bytes], _head: dict[str, Any]) -> None:
    population = json.loads(members["population.json"])
    members["population.json"] = canonical_json([{**one, "group": "passed"} for one in population])


def _leave_out_a_sample(members: dict[str, bytes], head: dict[str, Any]) -> None:
    head["samples"].pop()


def _choose_others(members: dict[str, bytes], head: dict[str, Any]) -> None:
    head["sampling"]["size"] = 0


def _change_a_decision(members: dict[str, bytes], _head: dict[str, Any]) -> None:
    """Make the refused image pass, with digests that fit."""
    for name in ("bundles/0001.zip", "bundles/0002.zip"):
        with zipfile.ZipFile(io.BytesIO(members[name])) as archive:
            files = {one: archive.read(one) for one in archive.namelist()}
        head = json.loads(files["bundle.json"])
        blob = "blobs/sha256/" + Digest.parse(head["decision"]).hex
        decision = files.pop(blob).replace(b'"verdict":"BLOCK"', b'"verdict":"PASS"')
        head["decision"] = str(Digest.of(decision))
        files |= {
            "bundle.json": json.dumps(head).encode(),
            f"blobs/sha256/{Digest.of(decision).hex}": decision,
        }
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for one, content in files.items():
                archive.writestr(one, content)
        members[name] = packed.getvalue()


@pytest.mark.parametrize(
    "changes",
    [_swap_samples, _say_that_all_passed, _leave_out_a_sample, _choose_others, _change_a_decision],
)
def test_who_makes_the_manifest_anew_is_found_by_what_is_signed(
    auditor: Auditor, changes: Callable[[dict[str, bytes], dict[str, Any]], None]
) -> None:
    assert auditor.verify(forged(auditor.pack(), lambda *_: None)).code == 0
    result = auditor.verify(forged(auditor.pack(), changes))
    assert result.code == 1, result.out
    assert "does not hold" in result.out


def test_a_signature_must_name_the_decision_of_its_release(auditor: Auditor) -> None:
    release = auditor.released("3.0")
    auditor.sign(release.image, Digest.of(b"another decision"))
    result = auditor.verify(auditor.pack())
    assert result.code == 1
    assert "no valid signature of the dev gate under its policy names its decision" in result.out


def test_a_later_attempt_rests_on_the_signature_of_the_first_one(auditor: Auditor) -> None:
    first = auditor.released("3.0")
    assert first.decision is not None
    records, ledger = auditor.gate.world.records, auditor.gate.world.ledger
    again = replace(Decision.decode(records.decision(first.decision)), attempt=2)
    second = replace(first, attempt=2, decision=records.put_decision(again.encode()))
    ledger.releases[first.image, 2] = second
    held = auditor.verify(auditor.pack())
    assert (held.code, "1 of them rest on the signature of another attempt" in held.out) == (0, True), (
        held.out
    )
    auditor.sign(first.image, Digest.of(b"a decision of no attempt"))
    assert auditor.verify(auditor.pack()).code == 1


def test_a_signature_of_somebody_else_is_none(auditor: Auditor) -> None:
    path = auditor.pack()
    auditor.gate.now = SIGNED_AT + timedelta(days=1)
    assert auditor.gate.call("verify", str(path)).code == 1


def test_an_image_that_is_gone_is_not_known(auditor: Auditor) -> None:
    del auditor.evidence[auditor.released("3.0").image]
    result = auditor.verify(auditor.pack())
    assert (result.code, "its image was deleted" in result.out) == (2, True), result.out


def test_the_documents_say_who_decided_and_who_has_access(auditor: Auditor) -> None:
    release = auditor.released("3.0")
    approval = Approval(release.id, "production", POLICY.digest, Choice.APPROVE, CALLER, NOW, "tested")
    auditor.gate.world.grants.decide(approval)
    auditor.gate.world.ledger.note_pusher(release.image, "arn:aws:iam::1:role/ci")
    members = members_of(auditor.pack())
    documents = [json.loads(members[f"releases/{number:04}.json"]) for number in (1, 2, 3)]
    [document] = [one for one in documents if one["name"] == str(release.id)]
    assert [one["reason"] for one in document["approvals"]] == ["tested"]
    assert document["pushedBy"] == ["arn:aws:iam::1:role/ci"]
    access = json.loads(members["access.json"])
    assert [one["verb"] for one in access] == ["push", "pull", "delete", "sign", "approve"]
    assert access[0]["permissions"][0]["who"] == "the team of shop-dev"
    activity = json.loads(members["activity.json"])
    assert "newest 50 calls" in activity["rule"]
    assert activity["calls"] == [{"from": "2026-11-01", "until": f"{NOW:%Y-%m-%d}"}]


def test_access_that_cannot_be_read_says_why(auditor: Auditor) -> None:
    def refuse(*_: Any) -> Any:
        raise ImageNotFoundError("AWS says no")

    stack = auditor.gate.stack
    vars(stack).update(signing_profiles={})
    step = CollectPack(
        stack=stack,
        registry=auditor.gate.world.registry,
        access=refuse,
        activity=refuse,
        step=lambda: None,
    )
    _, members = step.run(PERIOD, 25, NOW)
    assert json.loads(members["access.json"])[0]["notRead"] == "AWS says no"
    assert json.loads(members["activity.json"])["notRead"] == "AWS says no"


# Samples


def entries(
    number: int, group: SampleGroup = SampleGroup.PASSED, stage: str = "dev"
) -> Iterator[PopulationEntry]:
    for one in range(number):
        yield PopulationEntry(f"shop-{stage}@sha256:{one} {group}", stage, "released", "", group)


def test_exceptions_are_all_chosen_and_the_rest_by_stage_and_group() -> None:
    population = [
        *entries(40),
        *entries(40, SampleGroup.REFUSED),
        *entries(40, stage="staging"),
        *entries(40, SampleGroup.EXCEPTION),
        *entries(40, SampleGroup.OTHER),
    ]
    chosen = choose(population, "seed", 5)
    numbers = {
        (stage, group): sum((one.stage, one.group) == (stage, group) for one in chosen)
        for stage in ("dev", "staging")
        for group in SampleGroup
    }
    assert {key: number for key, number in numbers.items() if number} == {
        ("dev", SampleGroup.PASSED): 5,
        ("dev", SampleGroup.REFUSED): 5,
        ("dev", SampleGroup.EXCEPTION): 40,
        ("staging", SampleGroup.PASSED): 5,
    }
    assert choose(reversed(population), "seed", 5) == chosen
    assert choose(population, "another seed", 5) != chosen


@pytest.mark.parametrize(
    ("changes", "group"),
    [
        ({}, SampleGroup.PASSED),
        ({"outcome": Outcome.HELD}, SampleGroup.PASSED),
        ({"verdict": "BLOCK"}, SampleGroup.EXCEPTION),
        ({"break_glass": "until noon", "verdict": "BLOCK"}, SampleGroup.EXCEPTION),
        ({"outcome": Outcome.BLOCKED, "verdict": "BLOCK"}, SampleGroup.REFUSED),
        ({"outcome": Outcome.FAILED}, SampleGroup.OTHER),
        ({"decision": None}, SampleGroup.OTHER),
    ],
)
def test_an_attempt_belongs_to_one_group(
    auditor: Auditor, changes: dict[str, Any], group: SampleGroup
) -> None:
    release = replace(auditor.released("5.0"), **changes)
    assert PopulationEntry.of(release).group is group


def test_only_what_ended_in_the_period_is_in_the_population(auditor: Auditor) -> None:
    for tag, ended in (("6.0", PERIOD.since - timedelta(seconds=1)), ("7.0", PERIOD.until)):
        auditor.released(tag, closed_at=ended)
    auditor.released("8.0", closed_at=PERIOD.until - timedelta(seconds=1))
    still_open = auditor.released("9.0", outcome=None, closed_at=None)
    population = json.loads(members_of(auditor.pack())["population.json"])
    assert len(population) == 3
    assert str(ReleaseId(still_open.image, 1)) not in {one["name"] for one in population}


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("2026-Q3", ("2026-07-01", "2026-09-30")),
        ("2026-Q4", ("2026-10-01", "2026-12-31")),
        ("2024-02", ("2024-02-01", "2024-02-29")),
        ("2026-12", ("2026-12-01", "2026-12-31")),
        ("2026-01-05..2026-01-05", ("2026-01-05", "2026-01-05")),
        *(
            (text, None)
            for text in (
                "",
                "2026",
                "2026-Q5",
                "2026-13",
                "2026-02-30..2026-03-01",
                "2026-02-02..2026-02-01",
                "x..y",
            )
        ),
    ],
)
def test_a_period_is_whole_days(text: str, period: tuple[str, str] | None) -> None:
    found = AuditPeriod.parse(text)
    assert (found and (str(found.first), str(found.last))) == period


def test_verifying_a_pack_loads_nothing_of_aws(auditor: Auditor) -> None:
    path = auditor.pack()
    for name in [name for name in sys.modules if name.startswith(("botocore", "boto3"))]:
        auditor.monkeypatch.delitem(sys.modules, name)
    assert auditor.verify(path).code == 0
    assert not [name for name in sys.modules if name.startswith(("botocore.", "boto3"))]


# The command


def test_the_command_writes_what_verifies_and_says_its_digest(auditor: Auditor, tmp_path: Path) -> None:
    patch = auditor.monkeypatch.setattr
    patch(MemoryStack, "signing_profiles", {"dev": PROFILE})
    patch(ecr_registry, "own_registry", lambda: auditor.gate.world.registry)
    patch(make, "_permissions", lambda _stack, _verb, _repository: [])
    path = tmp_path / "evidence.zip"
    result = auditor.gate.call("audit", "--evidence", str(path), "--period", "2026-Q4")
    assert (result.code, result.out) == (0, "")
    assert "2 samples of the releases of 2026-10-01..2026-12-31" in result.err
    verified = auditor.verify(path, "--json")
    assert verified.code == 0
    assert f"manifest {verified.json['manifest']}" in result.err


def test_the_command_wants_a_period(auditor: Auditor, tmp_path: Path) -> None:
    path = str(tmp_path / "x.zip")
    for options in ([], ["--period", "soon"]):
        assert auditor.gate.call("audit", "--evidence", path, *options).code == 2
    assert not Path(path).exists()
