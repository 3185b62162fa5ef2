"""Moving in: an image from a registry by other people comes into a first stage, and is released as any push is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.gate import Gate
from tests.e2e.test_waivers import imagegate
from tests.integration.docker_registry import client_of, docker_registry, evidence, index_of, pushed


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("elsewhere") / "registry") as address:
        yield address


def repository(gate: Gate, name: str) -> None:
    gate.cloud.client("ecr").create_repository(repositoryName=name)


def test_an_index_comes_in_with_its_platforms_and_evidence_and_is_released(
    gate: Gate, elsewhere: str
) -> None:
    there = client_of(elsewhere)
    children = [pushed(there, "team/app", text.encode()) for text in ("amd64", "arm64")]
    index = index_of(there, "team/app", children)
    there.push_manifest("team/app", index, "1.0")
    attached = evidence(there, "team/app", index, "says something")
    repository(gate, "imported-dev")

    source = f"{elsewhere}/team/app:1.0"
    said = imagegate(gate, "release", "--import", source, "imported-dev:1.0", "--wait", "--json")
    assert (said.code, said.json["outcome"], said.json["digest"]) == (0, "released", str(index.digest)), (
        said.err
    )
    assert gate.manifest("imported-dev", "1.0") == index.content
    assert gate.manifest("imported-staging", "1.0") == index.content
    for child in children:
        assert gate.manifest("imported-dev", str(child.digest)) == child.content
    assert str(attached.digest) in {
        one["digest"] for one in gate.referrers("imported-dev", str(index.digest))
    }

    again = imagegate(gate, "release", "--import", source, "imported-dev:1.0")
    assert (again.code, "already" in again.out + again.err) == (0, True), again
    assert len(gate.releases("imported-dev", str(index.digest))) == 1


@pytest.mark.parametrize(
    ("source", "target", "code", "says"),
    [
        ("team/none:1.0", "imported-dev:1.0", 2, "there is no"),
        ("team/app:1.0", "imported-staging:1.0", 1, "import into imported-dev"),
        ("team/app:1.0", "unmanaged:1.0", 2, "no stage of the deployed policy"),
        ("team/app:1.0", "never-made-dev:1.0", 2, "there is no repository never-made-dev"),
    ],
)
def test_a_refused_import_is_one_line_and_copies_nothing(
    gate: Gate, elsewhere: str, source: str, target: str, code: int, says: str
) -> None:
    pushed(client_of(elsewhere), "team/app", b"amd64")
    said = imagegate(gate, "release", "--import", f"{elsewhere}/{source}", target)
    assert (said.code, said.out, says in said.err) == (code, "", True), said
    assert len(said.err.splitlines()) == 1
