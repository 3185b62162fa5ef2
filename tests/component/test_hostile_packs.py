"""Evidence packs and bundles that somebody made up: none holds, none hides anything, and each ends in one line."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from imagegate.canonical_json import canonical_json
from imagegate.gate.decision_record import Decision
from imagegate.oci.image import Digest
from imagegate_cli.evidence_pack.archive import MANIFEST
from imagegate_cli.verification.members import write_members
from imagegate_cli.verification.trust import of_profiles
from tests.component.cli_gate import Result, gate
from tests.component.test_evidence_pack import PROFILE, Auditor, auditor, forged, members_of

__all__ = ["auditor", "gate"]

Changes = Callable[[dict[str, bytes], dict[str, Any]], None]
STRANGE: tuple[Any, ...] = (None, True, -1, 10**400, "", "x\n\x1b[31m", [], {}, [{}], {"a": {}})


def assert_refused(result: Result) -> None:
    """Assert that there is no report of success, and no error that the program did not expect."""
    assert result.code in (1, 2), result.out
    assert "IMAGEGATE_DEBUG" not in result.out + result.err
    assert "holds:" not in result.out


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in a JSON document."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in pairs:
        yield from paths_of(child, (*path, key))


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_value(value[path[0]], path[1:], new)
    return copy


def strange_twins(value: Any) -> Iterator[Any]:
    """Yield the document with another value at each place, and then again with the next strange one."""
    for path in paths_of(value):
        for new in STRANGE:
            twin = with_value(value, path, new)
            if canonical_json(twin) != canonical_json(value):
                yield twin


def changed_population(change: Callable[[list[Any]], Any]) -> Changes:
    def run(members: dict[str, bytes], _head: dict[str, Any]) -> None:
        members["population.json"] = canonical_json(change(json.loads(members["population.json"])))

    return run


def with_population(new: Any) -> Changes:
    return changed_population(lambda _old: new)


def with_head(new: dict[str, Any]) -> Changes:
    return lambda _members, head: head.update(new)


def added(name: str, content: bytes = b"{}") -> Changes:
    return lambda members, _head: members.update({name: content})


def sampled(**changes: Any) -> Changes:
    return lambda _members, head: head["sampling"].update(changes)


def _sample_nothing(members: dict[str, bytes], head: dict[str, Any]) -> None:
    head["sampling"]["size"], head["samples"] = 0, []
    for name in [name for name in members if "/" in name]:
        del members[name]


def _empty(members: dict[str, bytes], head: dict[str, Any]) -> None:
    members["population.json"] = b"[]"
    head["samples"] = []
    for name in [name for name in members if "/" in name]:
        del members[name]


def _each(key: str, value: str) -> Changes:
    return changed_population(lambda population: [{**one, key: value} for one in population])


ATTACKS: dict[str, Changes] = {
    "the seed is one that chooses better": sampled(seed="a better one"),
    "the rule is another one": sampled(rule="the good ones"),
    "nothing is sampled": _sample_nothing,
    "nothing is in it": _empty,
    "the size is no number": sampled(size=True),
    "the stack is another one": lambda _members, head: head.update(
        stack="arn:aws:cloudformation:eu-central-1:999999999999:stack/imagegate/1",
        sampling={
            **head["sampling"],
            "seed": "arn:aws:cloudformation:eu-central-1:999999999999:stack/imagegate/1 2026-11-01..2026-11-30",
        },
    ),
    "the period is another one": lambda _members, head: head.update(
        period="2026-10-01..2026-10-31",
        sampling={**head["sampling"], "seed": head["sampling"]["seed"].replace("2026-11", "2026-10")},
    ),
    "the period is no period": lambda _members, head: head.update(period="always"),
    "an attempt ended at another time": _each("closedAt", "2026-10-31T23:59:59Z"),
    "an attempt ended before it was judged": _each("closedAt", "2026-11-01T00:00:00Z"),
    "a time without a zone": _each("closedAt", "2026-11-21T07:52:38"),
    "what was released is said to be something else": _each("group", "other"),
    "what was blocked is said to be something else": _each("outcome", "released"),
    "an attempt is there twice": changed_population(lambda population: [*population, population[0]]),
    "an attempt has a key that Go reads as another": _each("Group", "refused"),
    "a key is there twice": lambda members, _head: members.update(
        {"population.json": members["population.json"].replace(b'"group":', b'"group":"refused","group":')}
    ),
    "text that is no UTF-8": added("grants.json", b'{"waivers":"\xff"}'),
    "grants whose keys are there twice": added("grants.json", b'{"waivers":[],"waivers":[1]}'),
    "one more sample": added("releases/0003.json"),
    "a path that leads out": added("../../.ssh/authorized_keys"),
    "an absolute path": added("/etc/cron.d/evil"),
    "a path of Windows": added("C:\\evil.bat"),
    "a name in capitals": added("readme.TXT"),
    "a folder": added("releases/", b""),
}


@pytest.mark.parametrize("changes", ATTACKS.values(), ids=ATTACKS)
def test_a_pack_that_fits_its_own_manifest_must_fit_itself(auditor: Auditor, changes: Changes) -> None:
    assert_refused(auditor.verify(forged(auditor.pack(), changes)))


def test_no_value_that_a_pack_rests_on_may_be_another(auditor: Auditor) -> None:
    """Only texts that are for people may be anything: who made the pack, and when."""
    path = auditor.pack()
    head = json.loads(members_of(path)[MANIFEST])
    rests_on = {key: head[key] for key in ("stack", "period", "sampling", "samples")}
    for changed in strange_twins(rests_on):
        if changed and isinstance(changed, dict):
            assert_refused(auditor.verify(forged(path, with_head(changed))))
    for changed in strange_twins(json.loads(members_of(path)["population.json"])):
        assert_refused(auditor.verify(forged(path, with_population(changed))))


def bundle_with(bundle: bytes, new: Any) -> bytes:
    """Return the bundle with this decision, whose digest fits."""
    with zipfile.ZipFile(BytesIO(bundle)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    head = json.loads(files["bundle.json"])
    blob = "blobs/sha256/" + Digest.parse(head["decision"]).hex
    del files[blob]
    decision = json.dumps(new).encode()
    head["decision"] = str(Digest.of(decision))
    files |= {"bundle.json": json.dumps(head).encode(), f"blobs/sha256/{Digest.of(decision).hex}": decision}
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def test_no_decision_that_somebody_made_up_stops_the_program(auditor: Auditor, tmp_path: Path) -> None:
    passed = next(
        content
        for name, content in members_of(auditor.pack()).items()
        if name.startswith("bundles/") and b"PASSED" in unzipped(content)
    )
    with zipfile.ZipFile(BytesIO(passed)) as archive:
        digest = Digest.parse(json.loads(archive.read("bundle.json"))["decision"])
        decision = json.loads(archive.read(f"blobs/sha256/{digest.hex}"))
    path = tmp_path / "bundle.zip"
    for twin in islice(strange_twins(decision), 0, None, 7):  # each place, and each value, but not all pairs
        path.write_bytes(bundle_with(passed, twin))
        assert_refused(auditor.verify(path))


def unzipped(content: bytes) -> bytes:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def test_a_decision_of_another_time_or_registry_is_none_of_this_pack(auditor: Auditor) -> None:
    """A true signature over a true decision does not make it one of this period, or of this stack."""
    release = auditor.released("3.0")
    assert release.decision is not None
    records, ledger = auditor.gate.world.records, auditor.gate.world.ledger
    genuine = Decision.decode(records.decision(release.decision))
    for changes, says in (
        ({"judged_at": genuine.judged_at.replace(year=2025)}, "it was judged at 2025"),
        ({"judged_at": genuine.judged_at.replace(day=30)}, "it was judged at 2026-11-30"),
        ({"registry": "999999999999.dkr.ecr.eu-central-1.amazonaws.com"}, "which is not that of the stack"),
    ):
        digest = records.put_decision(replace(genuine, **changes).encode())
        ledger.releases[release.image, 1] = replace(release, decision=digest)
        auditor.sign(release.image)
        result = auditor.verify(auditor.pack())
        assert (result.code, says in result.out) == (1, True), result.out


# The archive


def raw_pack(path: Path, name: str, mode: int = 0, kind: int = zipfile.ZIP_STORED) -> Path:
    """Return the pack with one member written in another way."""
    other = path.with_name("raw.zip")
    with zipfile.ZipFile(other, "w") as archive:
        for member, content in members_of(path).items():
            info = zipfile.ZipInfo(member)
            info.external_attr = mode << 16 if member == name else 0
            archive.writestr(info, content, kind if member == name else zipfile.ZIP_STORED)
    return other


@pytest.mark.parametrize("mode", [0o120777, 0o040755, 0o020666, 0o060666, 0o010666, 0o140777])
def test_a_member_is_an_ordinary_file(auditor: Auditor, mode: int) -> None:
    """A program that unpacks the archive would make a link, a device or a folder of it."""
    path = auditor.pack()
    assert auditor.verify(raw_pack(path, "README.txt", 0o100644)).code == 0
    assert_refused(auditor.verify(raw_pack(path, "README.txt", mode)))
    assert_refused(auditor.verify(raw_pack(path, "README.txt", kind=zipfile.ZIP_LZMA)))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_no_name_is_there_twice_in_a_pack_or_a_bundle(auditor: Auditor, tmp_path: Path) -> None:
    pack = auditor.pack()
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(members_of(pack)["bundles/0001.zip"])
    for path in (pack, bundle):
        for name, content in members_of(path).items():
            other = path.with_name("twice.zip")
            other.write_bytes(path.read_bytes())
            with zipfile.ZipFile(other, "a") as archive:
                archive.writestr(name, content)
            assert_refused(auditor.verify(other))


def test_the_head_of_a_bundle_is_read_in_one_way(auditor: Auditor, tmp_path: Path) -> None:
    """A key that is there twice says one thing to the first reader, and another to the last."""
    path = tmp_path / "bundle.zip"
    path.write_bytes(members_of(auditor.pack())["bundles/0001.zip"])
    members = members_of(path)
    for before in (b'{"signatures": [],', b"\xef\xbb\xbf{"):
        write_members(path, {**members, "bundle.json": members["bundle.json"].replace(b"{", before, 1)})
        assert_refused(auditor.verify(path))


def test_a_bundle_has_nothing_that_no_digest_names(auditor: Auditor, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    for name in ("report.pdf", "../x", "bundle.JSON", "blobs/sha256/", "blobs/"):
        path.write_bytes(members_of(auditor.pack())["bundles/0001.zip"])
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, b"")
        assert_refused(auditor.verify(path))


def test_a_damaged_archive_is_one_line(auditor: Auditor, tmp_path: Path) -> None:
    """Each byte counts, or changes nothing; whatever the damage, the program says what it is."""
    content = auditor.pack().read_bytes()
    path = tmp_path / "damaged.zip"
    for start in range(0, len(content), 61):
        for damaged in (
            content[:start],
            content[:start] + b"\xff\xff\xff\xff" + content[start + 4 :],
            content[:start] + bytes(4) + content[start + 4 :],
        ):
            path.write_bytes(damaged)
            result = auditor.verify(path)
            assert "IMAGEGATE_DEBUG" not in result.out + result.err, (start, result)


def test_a_bomb_is_refused_before_it_is_unpacked(auditor: Auditor, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(MANIFEST, "w") as file:
        for _ in range(513):
            file.write(bytes(1 << 20))
    result = auditor.verify(path)
    assert_refused(result)
    assert "512 MiB" in result.out


@pytest.mark.parametrize(
    "gates", ["", "arn:", "arn:aws:signer:eu-central-1:123456789012", PROFILE[:-7], PROFILE + "/x", "*", ".*"]
)
def test_the_trusted_profiles_are_named_in_full(auditor: Auditor, gates: str) -> None:
    """A shorter ARN would trust the profiles of everybody whose ARN begins so."""
    result = auditor.verify(auditor.pack(), "--profile", gates)
    assert_refused(result)


@pytest.mark.parametrize("name", ["imagegate2", "imagegate_dev_", "ximagegate", "imagegate__x"])
def test_a_profile_whose_name_begins_alike_is_none_of_the_gates(name: str) -> None:
    gates = PROFILE.removesuffix("__dev")
    trust = of_profiles(gates, None)
    assert trust.stage_of(PROFILE) == "dev"
    other = f"{gates.removesuffix('imagegate')}{name}__dev"
    assert trust.stage_of(other) in (None, "x__dev")
    assert trust.stage_of(PROFILE.replace("123456789012", "999999999999")) is None
    assert trust.stage_of(PROFILE + "\n") is None
