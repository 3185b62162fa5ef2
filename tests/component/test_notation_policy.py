"""Trust policy documents: each rule of the specification, broken alone; which policy holds for an image."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.errors import TrustPolicyError
from imagegate.notation.identities import (
    Anyone,
    CertificateSubject,
    SigningProfile,
    parse_identities,
    parse_identity,
)
from imagegate.notation.trust_policy import Check, FailureAction, Level, StoreName, StoreType, TrustPolicy
from imagegate.notation.trust_policy_document import parse_trust_policy
from tests.component.envelopes import IDENTITY

SUBJECT = "x509.subject: C=US, ST=WA, O=acme"
SHOP = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop-dev"


def policy(**changes: Any) -> dict[str, Any]:
    usual = {
        "name": "gate",
        "registryScopes": [SHOP],
        "signatureVerification": {"level": "strict"},
        "trustStores": ["signingAuthority:aws-signer-ts"],
        "trustedIdentities": [IDENTITY],
    }
    return {key: value for key, value in (usual | changes).items() if value is not None}


def document(*policies: Any, **changes: Any) -> bytes:
    return json.dumps({"version": "1.0", "trustPolicies": list(policies or [policy()])} | changes).encode()


def only(**changes: Any) -> TrustPolicy:
    (found,) = parse_trust_policy(document(policy(**changes))).policies
    return found


def verification(level: str = "strict", **more: Any) -> dict[str, Any]:
    return {"signatureVerification": {"level": level, **more}}


def test_a_policy_is_read() -> None:
    found = only()
    assert (found.name, found.scopes) == ("gate", (SHOP,))
    assert found.stores == (StoreName(StoreType.SIGNING_AUTHORITY, "aws-signer-ts"),)
    assert found.identities == (SigningProfile(IDENTITY),)


SKIPPED = verification("skip") | {"trustStores": None, "trustedIdentities": None}
BROKEN: dict[str, dict[str, Any]] = {
    "no name": {"name": None},
    "empty name": {"name": ""},
    "name a number": {"name": 1},
    "unknown property": {"registryScope": [SHOP]},
    "no scopes": {"registryScopes": []},
    "scopes a text": {"registryScopes": SHOP},
    "scope with scheme": {"registryScopes": [f"https://{SHOP}"]},
    "scope with tag": {"registryScopes": [f"{SHOP}:1.0"]},
    "scope with digest": {"registryScopes": [f"{SHOP}@sha256:{'0' * 64}"]},
    "scope of a registry": {"registryScopes": ["registry.example"]},
    "scope in capitals": {"registryScopes": ["registry.example/Shop"]},
    "scope with wildcard": {"registryScopes": ["registry.example/*"]},
    "everywhere beside others": {"registryScopes": ["*", SHOP]},
    "scope twice": {"registryScopes": [SHOP, SHOP]},
    "endless scope": {"registryScopes": ["registry.example/" + "a" * 5000]},
    "no verification": {"signatureVerification": None},
    "verification a text": {"signatureVerification": "strict"},
    "no level": {"signatureVerification": {}},
    "unknown level": verification("STRICT"),
    "level a list": {"signatureVerification": {"level": ["strict"]}},
    "unknown verification property": verification(overrides={}),
    "override a list": verification(override=[]),
    "integrity overridden": verification(override={"integrity": "log"}),
    "unknown check": verification(override={"authentictimestamp": "log"}),
    "unknown action": verification(override={"expiry": "ignore"}),
    "authenticity skipped": verification(override={"authenticity": "skip"}),
    "timestamp skipped": verification(override={"authenticTimestamp": "skip"}),
    "expiry skipped": verification(override={"expiry": "skip"}),
    "skip overridden": SKIPPED | verification("skip", override={"expiry": "log"}),
    "skip with stores": SKIPPED | {"trustStores": ["ca:acme"]},
    "skip with identities": SKIPPED | {"trustedIdentities": ["*"]},
    "skip everywhere": SKIPPED | {"registryScopes": ["*"]},
    "unknown timestamp option": verification(verifyTimestamp="never"),
    "no stores": {"trustStores": []},
    "stores missing": {"trustStores": None},
    "unknown store type": {"trustStores": ["root:acme"]},
    "store without type": {"trustStores": ["acme"]},
    "store that is a path": {"trustStores": ["ca:../acme"]},
    "store without name": {"trustStores": ["ca:"]},
    "no identities": {"trustedIdentities": []},
    "identities missing": {"trustedIdentities": None},
    "identity a number": {"trustedIdentities": [1]},
    "anyone beside others": {"trustedIdentities": ["*", IDENTITY]},
}


@pytest.mark.parametrize("changes", BROKEN.values(), ids=BROKEN.keys())
def test_a_policy_that_breaks_a_rule_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TrustPolicyError):
        only(**changes)


DOCUMENTS: dict[str, bytes] = {
    "not JSON": b"{",
    "a list": b"[]",
    "other version": document(version="1.1"),
    "version a number": document(version=1.0),
    "no policies": document(trustPolicies=[]),
    "policies an object": document(trustPolicies={}),
    "policy a text": document(trustPolicies=["gate"]),
    "unknown property": document(comment=""),
    "duplicate key": document()[:-1] + b', "version": "1.0"}',
    "same name": document(policy(), policy(registryScopes=["*"])),
    "same scope": document(policy(), policy(name="other")),
    "everywhere twice": document(policy(registryScopes=["*"]), policy(name="b", registryScopes=["*"])),
    "too large": document() + b" " * 2**20,
}


@pytest.mark.parametrize("content", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_document_that_breaks_a_rule_is_refused(content: bytes) -> None:
    with pytest.raises(TrustPolicyError):
        parse_trust_policy(content)


def test_a_fault_names_its_policy() -> None:
    with pytest.raises(TrustPolicyError, match=r"trust policy 'gate'.*registry\.example/team/app in full"):
        only(registryScopes=["shop"])


@pytest.mark.parametrize(
    "scope", ["localhost:5000/x", "local/x", "registry.example/a/b/c", "REGISTRY.example/a__b-c.d"]
)
def test_these_are_scopes(scope: str) -> None:
    assert only(registryScopes=[scope]).scopes == (scope,)


def test_the_policy_that_names_the_repository_wins() -> None:
    both = parse_trust_policy(document(policy(name="all", registryScopes=["*"]), policy()))
    assert both.select(SHOP).name == "gate"
    assert both.select(f"{SHOP}/part").name == "all"
    with pytest.raises(TrustPolicyError, match="no trust policy applies"):
        parse_trust_policy(document()).select("registry.example/other")


@pytest.mark.parametrize("repository", ["", "*", "shop", f"{SHOP}:1.0", f"{SHOP}@sha256:0", f"{SHOP}\n"])
def test_a_repository_is_named_in_full(repository: str) -> None:
    everywhere = parse_trust_policy(document(policy(registryScopes=["*"])))
    with pytest.raises(TrustPolicyError, match="fully qualified"):
        everywhere.select(repository)


# Signature specification, "Signature Verification details": e(nforced), l(ogged), s(kipped).
LEVELS = {"strict": "eeeee", "permissive": "eelll", "audit": "ellll"}
ACTIONS = {"e": FailureAction.ENFORCE, "l": FailureAction.LOG, "s": FailureAction.SKIP}


@pytest.mark.parametrize(("level", "actions"), LEVELS.items())
def test_the_level_decides_which_checks_are_enforced(level: str, actions: str) -> None:
    found = only(**verification(level)).verification
    assert [found.action(check) for check in Check] == [ACTIONS[action] for action in actions]


def test_skip_makes_no_check() -> None:
    found = only(**SKIPPED).verification
    assert {found.action(check) for check in Check} == {FailureAction.SKIP}


@pytest.mark.parametrize("level", ["strict", "permissive", "audit"])
@pytest.mark.parametrize("check", list(Check)[1:])
@pytest.mark.parametrize("action", list(FailureAction))
def test_an_override_changes_one_check(level: str, check: Check, action: FailureAction) -> None:
    if action is FailureAction.SKIP and check is not Check.REVOCATION:
        return
    found = only(**verification(level, override={check: action})).verification
    usual = only(**verification(level)).verification
    assert found.level is Level(level)
    assert found.action(check) is action
    assert all(found.action(other) is usual.action(other) for other in Check if other is not check)


# Identities


def subject(text: str) -> dict[str, str]:
    found = parse_identity(f"x509.subject:{text}")
    assert isinstance(found, CertificateSubject)
    return dict(found.attributes)


C, ST, O, CN = "2.5.4.6", "2.5.4.8", "2.5.4.10", "2.5.4.3"  # noqa: E741


def test_an_x509_subject_is_a_set_of_attributes() -> None:
    expected = {C: "US", ST: "WA", O: "acme"}
    assert subject(" C=US, ST=WA, O=acme") == expected
    assert subject("O=acme,S=WA,C=US") == expected
    assert subject("C = US ,  ST=WA  ,O=acme ") == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"a\, b", "a, b"),
        (r"a\; b", "a; b"),
        (r"a\\b", r"a\b"),
        (r"\ a\ ", " a "),
        (r"a\\ ", "a\\"),
        (r"\#a", "#a"),
        ("a=b", "a=b"),
        (r"M\C3\BCller", "Müller"),
        ("Müller", "Müller"),
    ],
)
def test_values_are_escaped_as_in_rfc_4514(text: str, value: str) -> None:
    assert subject(f"C=US, ST=WA, O=acme, CN={text}")[CN] == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "C=US, ST=WA",
        "C=US, O=acme",
        "ST=WA, O=acme",
        "C=US, ST=WA, O=",
        "C=US, ST=WA, O=acme,",
        "C=US, ST=WA, O=acme, O=other",
        "C=US, ST=WA, S=WA, O=acme",
        "C=US, ST=WA, O=acme+CN=x",
        "C=US; ST=WA; O=acme",
        "C=US, ST=WA, O=#0401",
        "C=US, ST=WA, O=acme, X=y",
        "C=US, ST=WA, O=acme, 2.5.4.3=y",
        "c=US, st=WA, o=acme",
        r"C=US, ST=WA, O=acme\x",
        "C=US, ST=WA, O=acme\\",
        r"C=US, ST=WA, O=\FF",
        'C=US, ST=WA, O="acme"',
        "C=US, ST=WA, O=" + "a" * 5000,
    ],
)
def test_anything_but_a_subject_is_refused(text: str) -> None:
    with pytest.raises(TrustPolicyError):
        subject(text)


@pytest.mark.parametrize(
    "others",
    [
        [SUBJECT],
        [f"{SUBJECT}, OU=one"],
        ["x509.subject: S=WA, O=acme, C=US"],
    ],
)
def test_subjects_do_not_overlap(others: list[str]) -> None:
    with pytest.raises(TrustPolicyError, match="overlap"):
        parse_identities([SUBJECT, *others])


def test_subjects_overlap_where_one_certificate_can_match_both() -> None:
    """The official client sees an overlap only where one contains the other."""
    with pytest.raises(TrustPolicyError, match="overlap"):
        parse_identities([f"{SUBJECT}, OU=one", f"{SUBJECT}, CN=two"])
    assert len(parse_identities([f"{SUBJECT}, OU=one", f"{SUBJECT}, OU=two"])) == 2


def test_a_star_alone_means_anyone() -> None:
    assert parse_identities(["*"]) == (Anyone(),)


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:signer:eu-central-1:123456789012:/signing-profiles",
        "arn:aws:signer:eu-central-1:123456789012:/signing-profiles/",
        "arn:aws:signer:eu-central-1:123456789012:/signing-profiles/*",
        "arn:aws:signer:eu-central-1:123456789012:signing-profiles/gate",
        "arn:aws:signer:eu-central-1:*:/signing-profiles/gate",
        "arn:aws:iam::123456789012:role/gate",
        f"{IDENTITY}/",
        f"{IDENTITY}/short",
        f"{IDENTITY}/0a1B2c3D4e/more",
        f"{IDENTITY}\n",
        IDENTITY.upper(),
        "x509.subject",
        "x509.subjects: C=US, ST=WA, O=acme",
        "",
        "**",
    ],
)
def test_anything_but_an_identity_is_refused(text: str) -> None:
    with pytest.raises(TrustPolicyError):
        parse_identity(text)


def test_a_profile_stands_for_its_versions_and_a_version_for_itself() -> None:
    profile, version = parse_identity(IDENTITY), parse_identity(f"{IDENTITY}/0a1B2c3D4e")
    assert isinstance(profile, SigningProfile)
    assert isinstance(version, SigningProfile)
    for identity, text, matches in [
        (profile, f"{IDENTITY}/0a1B2c3D4e", True),
        (profile, f"{IDENTITY}/9999999999", True),
        (version, f"{IDENTITY}/0a1B2c3D4e", True),
        (version, f"{IDENTITY}/9999999999", False),
        (version, f"{IDENTITY}/0A1b2C3d4E", False),
        (profile, IDENTITY, False),
        (profile, f"{IDENTITY.upper()}/0a1B2c3D4e", False),
    ]:
        assert identity.matches(text) is matches, text
    assert (str(profile), str(version)) == (IDENTITY, f"{IDENTITY}/0a1B2c3D4e")


@given(st.text(max_size=60), st.sampled_from(["", "x509.subject:", "x509.subject: C=US,ST=WA,O=", "arn:"]))
def test_any_text_is_an_identity_or_refused(text: str, before: str) -> None:
    with contextlib.suppress(TrustPolicyError):
        parse_identity(before + text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([*policy(), "override"]), JSON)
def test_any_value_in_a_policy_is_read_or_refused(name: str, value: Any) -> None:
    changes = verification(override=value) if name == "override" else {name: value}
    with contextlib.suppress(TrustPolicyError):
        only(**changes)
