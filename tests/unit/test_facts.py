"""Facts: which user an image runs as, what its layers are called, and records that read back as they were written."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.canonical_json import canonical_json
from imagegate.errors import RejectedInputError
from imagegate.gate.facts import BaseImage, Evidence, ImageFacts, PlatformFacts
from imagegate.oci.image_config import ImageConfig, RunsAs
from tests.unit.samples import NOON, digest, image, json_values, tags

# Dockerfile reference, USER: `USER <user>[:<group>]` or `USER UID[:GID]`.
ROOT = [
    *("", "0", "0:0", "root", "root:root", "root:app", "0:1000", ":", ":app", "00", "000:0", " root ", "0 "),
    *("+0", "-0", "-1", "+10", "01", "1000:0", "1000:root", "app:root", "1000:", "1:2:3", "1000 ", "\n1000"),
    *(
        "2147483648",
        "4294967295",
        "4294967296",
        "1000:4294967296",
        "1" * 5000,
        "\u00b2",
        "\u0661",
        "a b",
        "1000\0",
    ),
]
NAMED = ["app", "rootless", "toor", "nonroot", "app:1000", "1000:app", "Root", "_apt", "www-data", "svc$"]
USERS = ["1", "1000", "10", "65532:65532", "2147483647", "1000:2147483647"]


@pytest.mark.parametrize(
    ("user", "runs_as"),
    [
        *((user, RunsAs.ROOT) for user in ROOT),
        *((user, RunsAs.NAMED) for user in NAMED),
        *((user, RunsAs.USER) for user in USERS),
    ],
)
def test_numbers_are_users_names_are_unknown_and_all_else_is_root(user: str, runs_as: RunsAs) -> None:
    assert ImageConfig(user).runs_as is runs_as
    assert ImageConfig.of({"config": {"User": user}}).runs_as is runs_as


@pytest.mark.parametrize("raw", [{}, {"config": None}, {"config": {}}, {"config": {"User": None}}])
def test_an_image_without_a_user_runs_as_root(raw: dict[str, Any]) -> None:
    assert ImageConfig.of(raw).runs_as is RunsAs.ROOT


@pytest.mark.parametrize(
    "raw", [{"os": "linux"}, {"architecture": "arm"}, {"os": "linux", "architecture": None}]
)
def test_half_a_platform_is_refused_for_runtimes_fill_in_their_own(raw: dict[str, Any]) -> None:
    """An os that is missing made the architecture one: `arm/v7` was an arm that runs on v7."""
    with pytest.raises(RejectedInputError, match="needs both"):
        ImageConfig.of({"variant": "v7", **raw})
    empty = dict.fromkeys(("os", "architecture"), "")
    assert ImageConfig.of(empty | {"variant": "v7"}).platform == ""


# image-spec, config.md, "Layer ChainID": `printf 'sha256:a… sha256:b…' | sha256sum`, and once more for the third.
LAYERS = tuple(f"sha256:{letter * 64}" for letter in "abc")
CHAIN = (
    LAYERS[0],
    "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c",
    "sha256:c1377126441fb2f5ec2c21ae2a60255331d639e830f0ee1b40a36e52d4c40588",
)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_layer_is_named_with_all_below_it(layers: int) -> None:
    assert ImageConfig(diff_ids=LAYERS[:layers]).chain_ids == CHAIN[:layers]


def test_an_image_without_layers_has_no_chain() -> None:
    assert ImageConfig().chain_ids == ()


layer_lists = st.lists(st.sampled_from(LAYERS), max_size=5).map(tuple)


@given(layer_lists, layer_lists)
def test_an_image_is_built_on_another_when_it_has_the_name_of_its_last_layer(
    lower: tuple[str, ...], upper: tuple[str, ...]
) -> None:
    base, built = ImageConfig(diff_ids=lower).chain_ids, ImageConfig(diff_ids=lower + upper).chain_ids
    assert built[: len(base)] == base
    assert len(built) == len(lower) + len(upper)


@given(layer_lists, layer_lists)
def test_other_layers_have_another_name(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    names, others = ImageConfig(diff_ids=one).chain_ids, ImageConfig(diff_ids=other).chain_ids
    assert (names[-1:] == others[-1:]) is (one == other)


# image-spec, config.md, "Example"; shortened.
EXAMPLE = {
    "created": "2015-10-31T22:22:56.015925234Z",
    "architecture": "arm64",
    "os": "linux",
    "variant": "v8",
    "config": {"User": "alice", "Labels": {"com.example.project.git.url": "https://example.com/project.git"}},
    "rootfs": {"diff_ids": ["sha256:c6f988f4", "sha256:5f70bf18"], "type": "layers"},
}


def test_a_config_is_read_as_the_specification_writes_it() -> None:
    assert ImageConfig.parse(json.dumps(EXAMPLE).encode()) == ImageConfig(
        user="alice",
        labels={"com.example.project.git.url": "https://example.com/project.git"},
        platform="linux/arm64/v8",
        diff_ids=("sha256:c6f988f4", "sha256:5f70bf18"),
    )


def test_missing_members_of_a_config_are_empty() -> None:
    assert ImageConfig.parse(b'{"rootfs": {"type": "layers"}}') == ImageConfig()
    nothing = {"config": {"Labels": None}, "rootfs": None, "os": "linux", "architecture": "amd64"}
    assert ImageConfig.of(nothing) == ImageConfig(platform="linux/amd64")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"config": "x"}',
        b'{"config": [1]}',
        b'{"config": {"Labels": ["a"]}}',
        b'{"config": {"Labels": "a=b"}}',
        b'{"rootfs": {"diff_ids": "sha256:a"}}',
        b'{"rootfs": {"diff_ids": {"a": 1}}}',
    ],
    ids=range(13),
)
def test_anything_but_a_config_is_refused(content: bytes) -> None:
    with pytest.raises(RejectedInputError):
        ImageConfig.parse(content)


@given(
    json_values
    | st.fixed_dictionaries({}, optional={"config": json_values, "rootfs": json_values})
    | st.fixed_dictionaries({"config": st.fixed_dictionaries({"User": json_values, "Labels": json_values})})
)
def test_any_config_is_read_or_refused(raw: Any) -> None:
    try:
        config = ImageConfig.parse(json.dumps(raw).encode())
    except RejectedInputError:
        return
    assert all(isinstance(value, str) for value in (config.user, *config.labels, *config.labels.values()))


@given(st.binary(max_size=30))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        ImageConfig.parse(content)
    except RejectedInputError:
        return


# records

texts = st.text(max_size=9)
times = st.integers(0, 10**8).map(lambda seconds: NOON + timedelta(seconds=seconds))
configs = st.builds(ImageConfig, texts, st.dictionaries(texts, texts, max_size=2), texts, layer_lists)
bases = st.builds(
    BaseImage,
    st.just(image()),
    texts,
    texts,
    st.integers(0, 99),
    times,
    st.just(digest()),
    st.lists(tags).map(tuple),
)
evidence = st.builds(Evidence, st.lists(texts, max_size=2).map(tuple), texts)
platforms = st.builds(
    PlatformFacts,
    digest=texts.map(digest),
    platform=st.none() | texts,
    size=st.none() | st.integers(0, 10**12),
    config=st.none() | configs,
    base=st.none() | bases,
    base_is_known=st.booleans(),
    claimed_base=texts,
    base_layers=st.frozensets(texts, max_size=2),
)
facts = st.builds(
    ImageFacts,
    image=st.just(image()),
    tags=st.frozensets(texts, max_size=2),
    first_pushed_at=st.none() | times,
    platforms=st.lists(platforms, max_size=2).map(tuple),
    signature=st.none() | evidence,
    provenance=st.none() | evidence,
)


@given(facts)
def test_facts_read_back_from_a_record_as_they_were_written(known: ImageFacts) -> None:
    assert ImageFacts.from_json(json.loads(canonical_json(known.as_json()))) == known


@given(bases)
def test_a_base_reads_back_as_it_was_written(base: BaseImage) -> None:
    assert BaseImage.from_json(json.loads(canonical_json(base.as_json()))) == base


@given(json_values, st.sampled_from(sorted(ImageFacts(image()).as_json())))
def test_damaged_facts_raise_the_documented_error(garbage: Any, field: str) -> None:
    for raw in (garbage, {**ImageFacts(image()).as_json(), field: garbage}):
        try:
            ImageFacts.from_json(raw)
        except (KeyError, TypeError, ValueError, RejectedInputError):
            continue


def test_a_platform_is_found_by_its_digest() -> None:
    one, other = PlatformFacts(digest("one")), PlatformFacts(digest("other"))
    known = ImageFacts(image(), platforms=(one, other))
    assert known.of(digest("other")) is other
    assert known.of(digest()) is None


def test_a_base_reads_as_its_repository_and_tag() -> None:
    base = BaseImage(image("base/debian"), "golden", "sha256:0", 1, NOON, digest())
    assert str(base) == f"base/debian@{digest().short}"
    tagged = BaseImage(base.image, base.stage, base.chain_id, 1, NOON, digest(), ("12", "bookworm"))
    assert str(tagged) == "base/debian:12"


@pytest.mark.parametrize("part", ["amd64/x", "a b", "amd64\n", "\u0430md64", "x" * 65])
@pytest.mark.parametrize("key", ["os", "architecture", "variant"])
def test_no_part_of_a_platform_hides_another(key: str, part: str) -> None:
    with pytest.raises(RejectedInputError, match="platform"):
        ImageConfig.of({"os": "linux", "architecture": "amd64", key: part})
