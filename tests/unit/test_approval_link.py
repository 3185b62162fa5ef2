"""Links of approvals: one way to write each, and everything else refused before its code is looked at."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.grants.approval import Choice
from imagegate.grants.approval_link import (
    LONGEST_TOKEN,
    ApprovalLink,
    LinkEndedError,
    LinkRefusedError,
    Purpose,
    parse_link,
)
from imagegate.oci.image import ImageRef
from imagegate.release.release import ReleaseId
from tests.unit.samples import NOON, digest, image, repositories

ANN = "mailto:ann@example.com"
LATER = NOON + timedelta(days=7)
MAC = bytes(range(32))


def link(**changes: Any) -> ApprovalLink:
    plain = ApprovalLink(Purpose.APPROVE, ReleaseId(image(), 1), "production", LATER, ANN)
    return replace(plain, **changes)


def written(fields: Any, mac: bytes = MAC) -> str:
    """Return a token as somebody else would write it."""
    content = fields if isinstance(fields, bytes) else json.dumps(fields, separators=(",", ":")).encode()
    parts = [urlsafe_b64encode(part).decode().rstrip("=") for part in (content, mac)]
    return f"1.{parts[0]}.{parts[1]}"


def fields(**changes: Any) -> list[Any]:
    plain = {
        "purpose": "approve",
        "repository": image().repository,
        "digest": str(digest()),
        "attempt": 1,
        "stage": "production",
        "approver": ANN,
        "ends": int(LATER.timestamp()),
    }
    return list((plain | changes).values())


shows = st.builds(
    lambda repository, seed, attempt, stage, ends: ApprovalLink(
        Purpose.VIEW,
        ReleaseId(ImageRef(repository, digest(seed)), attempt),
        stage,
        NOON + timedelta(seconds=ends),
    ),
    repositories,
    st.text(),
    st.integers(1, 99_999),
    st.from_regex(r"[^\s]{1,64}", fullmatch=True).filter(lambda text: text.isprintable()),
    st.integers(1, 10**8),
)
decides = st.builds(
    lambda plain, purpose, name: replace(plain, purpose=purpose, approver=f"mailto:{name}@example.com"),
    shows,
    st.sampled_from([Purpose.APPROVE, Purpose.REJECT]),
    st.from_regex(r"[a-zA-Zäöü0-9.+_-]{1,64}", fullmatch=True),
)
links = shows | decides


@given(links, st.binary(min_size=32, max_size=32))
def test_a_link_is_read_as_it_was_written(one: ApprovalLink, mac: bytes) -> None:
    assert parse_link(one.token(mac), NOON) == (one, mac)


@given(links, st.binary(min_size=32, max_size=32))
def test_a_mail_has_the_token_unchanged(one: ApprovalLink, mac: bytes) -> None:
    token = one.token(mac)
    assert token.isascii()
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert token[-1].isalnum()  # whatever makes a link of it takes all of it
    assert len(token) <= LONGEST_TOKEN


@given(links, st.data())
def test_a_token_in_which_one_character_is_another_is_refused_or_says_something_else(
    one: ApprovalLink, data: st.DataObject
) -> None:
    token = one.token(MAC)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("AZaz09-_.=+/ \n").filter(lambda c: c != token[at]))
    changed = token[:at] + other + token[at + 1 :]
    try:
        claimed, mac = parse_link(changed, NOON)
    except LinkRefusedError:
        return
    # Well-formed: then the code does not fit what is authenticated.
    assert (claimed.signed, mac) != (one.signed, MAC)


@given(st.text(max_size=2000) | st.from_regex(r"1\.[A-Za-z0-9_-]{1,200}\.[A-Za-z0-9_-]{43}", fullmatch=True))
def test_any_input_is_read_or_refused(text: str) -> None:
    try:
        claimed, mac = parse_link(text, NOON)
    except LinkRefusedError:
        return
    assert claimed.token(mac) == text


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.just("approve")


@given(st.lists(values, max_size=9) | st.dictionaries(st.text(max_size=5), values, max_size=9))
def test_any_other_json_is_refused(content: Any) -> None:
    with pytest.raises(LinkRefusedError):
        parse_link(written(content), NOON)


@pytest.mark.parametrize(
    "content",
    [
        fields(purpose="waive"),
        fields(repository="Shop"),
        fields(repository=["shop"]),
        fields(digest="sha256:" + "A" * 64),
        fields(attempt=0),
        fields(attempt=True),
        fields(attempt=1.0),
        fields(attempt="1"),
        fields(stage=""),
        fields(stage="production staging"),
        fields(stage=None),
        fields(approver=""),
        fields(approver="arn:aws:iam::123456789012:user/ann"),
        fields(approver="mailto:ann"),
        fields(approver="mailto:ann@example.com,ben@example.com"),
        fields(purpose="view"),
        fields(ends=1e12),
        fields(ends=10**30),
        fields(ends=-(10**30)),
        fields()[:-1],
        [*fields(), 1],
        json.dumps(fields()).encode(),  # with spaces
        json.dumps(
            fields(stage="ü"), separators=(",", ":")
        ).encode(),  # escaped: another way to write the same
        json.dumps(fields(stage="\ud800"), separators=(",", ":")).encode(),
        b"\xff\xfe",
        b"[" * 900,
        b"1" * 900,
        b"",
    ],
)
def test_links_with_other_content_are_refused(content: Any) -> None:
    with pytest.raises(LinkRefusedError):
        parse_link(written(content), NOON)


def test_our_token_equals_one_written_by_hand() -> None:
    assert written(fields()) == link().token(MAC)


@pytest.mark.parametrize("mac", [MAC[:-1], MAC + b"x", b""])
def test_a_code_of_another_length_is_refused(mac: bytes) -> None:
    with pytest.raises(LinkRefusedError):
        parse_link(written(fields(), mac), NOON)


def test_an_ending_that_is_another_spelling_of_the_same_bits_is_refused() -> None:
    token = link().token(MAC)
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = digits[digits.index(token[-1]) + 1]  # the two last bits say nothing
    with pytest.raises(LinkRefusedError):
        parse_link(token[:-1] + other, NOON)


def test_a_link_ends_at_its_end_and_says_when() -> None:
    token = link().token(MAC)
    assert parse_link(token, LATER - timedelta(seconds=1))
    with pytest.raises(LinkEndedError, match="ended on 2026-11-28 12:00 UTC"):
        parse_link(token, LATER)


def test_a_link_that_is_too_long_is_never_made() -> None:
    release = ReleaseId(ImageRef("a" * 256, digest()), 99_999)
    longest = link(release=release, stage="s" * 64, approver=f"mailto:{'a' * 64}@{'b' * 255}")
    assert parse_link(longest.token(MAC), NOON)[0] == longest
    with pytest.raises(LinkRefusedError, match="too long"):
        link(release=release, stage="界" * 64, approver=f"mailto:{'界' * 64}@{'界' * 200}").token(MAC)


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": Purpose.VIEW},
        {"approver": ""},
        {"approver": "ann@example.com"},
        {"stage": ""},
        {"expires": LATER.replace(microsecond=1)},
        {"release": ReleaseId(image(), 0)},
        {"release": ReleaseId(image(), 100_000)},
    ],
)
def test_no_link_is_about_what_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(LinkRefusedError):
        link(**changes)


def test_every_field_of_a_link_is_authenticated() -> None:
    others = [
        link(purpose=Purpose.REJECT),
        link(release=ReleaseId(image(), 2)),
        link(release=ReleaseId(image(seed="other"), 1)),
        link(release=ReleaseId(image("shop/web-dev"), 1)),
        link(stage="staging"),
        link(expires=LATER + timedelta(seconds=1)),
        link(approver="mailto:ben@example.com"),
    ]
    assert len({one.signed for one in [link(), *others]}) == len(others) + 1


def test_a_purpose_is_a_choice_or_none() -> None:
    assert [purpose.choice for purpose in Purpose] == [None, Choice.APPROVE, Choice.REJECT]
