"""Forgeries by whoever can make certificates: chains that are not in order, not for this, not valid, or not trusted.

A flawed chain ends in a root that is trusted, so that nothing but its flaw can refuse it. Chains are made once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import permutations
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from imagegate.notation.certificates import thumbprint
from imagegate.notation.trust_policy import TrustPolicy
from tests.component.envelopes import LEAF, LOWER, NOW, ROOT, UPPER, Certificate, chain_of, sha1_signed
from tests.component.flawed_certificates import AUTHORITIES, LEAVES
from tests.component.forging import ACME, GATE, USER, Evidence, Forge, Genuine, gates, some_payload, users

Chain = Sequence[x509.Certificate]
# The leaf, whose key signs, and the chain.
Made = Sequence[tuple[Certificate, Chain]]
SHA256 = hashes.SHA256()


def _signed(chain: Chain, leaf: Certificate, random: Random, policy: TrustPolicy = GATE) -> Evidence:
    """Sign with the leaf's key, whatever the chain is; its last certificate is trusted."""
    model = gates()[0] if policy is GATE else users()[0]
    header = dict(model.header) | {"alg": "ES384"}
    genuine = Genuine(chain, leaf.key, header, policy, frozenset({thumbprint(chain[-1])}))
    return genuine.signed(payload=some_payload(random))


def _any_of(make: Callable[..., Made], *changes: dict[str, Any], policy: TrustPolicy = GATE) -> Forge:
    made = cache(lambda: make(*changes))

    def forge(random: Random) -> Evidence:
        leaf, chain = random.choice(made())
        return _signed(chain, leaf, random, policy)

    return forge


def _leaves(*changes: dict[str, Any]) -> Made:
    leaves = [replace(LEAF, **change) for change in changes]
    return [
        (leaf, chain_of(leaf, *above)) for leaf in leaves for above in ((ROOT,), (LOWER, UPPER, ROOT), ())
    ]


def _authorities(*changes: dict[str, Any]) -> Made:
    chains: list[tuple[Certificate, Chain]] = []
    for change in changes:
        for position in range(3):
            above = [LOWER, UPPER, ROOT]
            above[position] = replace(above[position], **change)
            chains.append((LEAF, chain_of(LEAF, *above)))
    return chains


def _weak_leaves() -> Made:
    kinds = ("P-224", "RSA-1024", "RSA-2056")
    return [(LEAF, chain_of(replace(LEAF, kind=kind, hash_=SHA256), ROOT)) for kind in kinds]


def _sha1() -> Made:
    root = replace(ROOT, kind="RSA-2048", hash_=SHA256)
    return [(LEAF, [LEAF.signed_by(root), sha1_signed(root)])]


def _paths() -> Made:
    """Add one authority more than the one above allows."""
    between = replace(LOWER, name="between", path_length=None)
    return [
        (LEAF, chain_of(LEAF, between, LOWER, UPPER, ROOT)),
        (LEAF, chain_of(LEAF, LOWER, replace(UPPER, path_length=0), ROOT)),
        (LEAF, chain_of(LEAF, LOWER, UPPER, replace(ROOT, path_length=1))),
        (LEAF, chain_of(LEAF, replace(LOWER, path_length=None), replace(ROOT, path_length=0))),
    ]


def _leaf_as_authority() -> Made:
    """Let a genuine leaf issue another one."""
    chain = chain_of(LEAF, LOWER, UPPER, ROOT)
    names = ("leaf of a leaf", "lower", "leaf")
    evils = [replace(LEAF, name=name, kind="P-384") for name in names]
    made = [(evil, [evil.signed_by(LEAF), *chain]) for evil in evils]
    return [*made, (evils[0], [evils[0].signed_by(LEAF), *chain_of(LEAF)])]


def _wrong_issuers() -> Made:
    """Sign under the right names with another key."""
    chain = chain_of(LEAF, LOWER, UPPER, ROOT)
    strangers = [replace(one, kind="P-256") for one in (LOWER, UPPER, ROOT)]
    return [
        (LEAF, [LEAF.signed_by(strangers[0]), *chain[1:]]),
        (LEAF, [chain[0], LOWER.signed_by(strangers[1]), *chain[2:]]),
        (LEAF, [*chain[:2], UPPER.signed_by(strangers[2]), chain[3]]),
        (LEAF, [*chain[:3], ROOT.signed_by(strangers[2])]),
        (LEAF, [*chain[:3], strangers[2].signed_by(strangers[2])]),
    ]


def _not_self_signed() -> Made:
    chain = chain_of(LEAF, LOWER, UPPER, ROOT)
    above = replace(ROOT, name="above")
    return [(LEAF, part) for part in (chain[:1], chain[:2], chain[:3], [*chain[:3], ROOT.signed_by(above)])]


def _orders() -> Made:
    """Put genuine certificates in every other order, doubled, left out, and beside foreign ones."""
    chain = chain_of(LEAF, LOWER, UPPER, ROOT)
    stranger = chain_of(replace(ROOT, name="stranger"))
    orders = [list(order) for order in permutations(chain)][1:]
    doubled = [[*chain[: place + 1], *chain[place:]] for place in range(4)]
    left_out = [[*chain[:place], *chain[place + 1 :]] for place in range(3)]
    extra = [[*chain[:place], *stranger, *chain[place:]] for place in range(1, 5)]
    signers = dict(zip(chain, (LEAF, LOWER, UPPER, ROOT), strict=True))
    mixed = [*orders, *doubled, *left_out, *extra]
    # By the key of whichever certificate comes first.
    return [(signers[order[0]], order) for order in mixed]


def foreign_chain(random: Random) -> Evidence:
    """Make a perfect chain, under the same names and even the same keys, of somebody who is not trusted."""
    genuine = random.choice(gates())
    return replace(_signed(*random.choice(_foreign()), random), trusted=genuine.trusted)


@cache
def _foreign() -> list[tuple[Chain, Certificate]]:
    others = [replace(one, kind="P-256") for one in (LOWER, UPPER, ROOT)]
    return [
        (chain_of(LEAF, LOWER, UPPER, ROOT), LEAF),
        (chain_of(LEAF, *others), LEAF),
        (chain_of(LEAF, ROOT), LEAF),
        (chain_of(LEAF), LEAF),
    ]


def wrong_thumbprint(random: Random) -> Evidence:
    """Trust only roots that look like the signature's own, or nobody."""
    genuine = random.choice([*gates(), *users()])
    (own,) = genuine.trusted
    position, other = random.randrange(64), random.choice("0123456789abcdef")
    near = own[:position] + (other if other != own[position] else "g") + own[position + 1 :]
    roots = [
        frozenset({near}),
        frozenset({own.upper()}),
        frozenset({own[:32]}),
        frozenset({""}),
        frozenset[str](),
    ]
    if not own.upper().islower() and own.upper() == own:
        roots.pop(1)
    return replace(genuine.signed(payload=some_payload(random)), trusted=random.choice(roots))


def _other_subjects() -> Made:
    """Issue certificates under the trusted CA for another subject than the required one."""
    C, ST, O = ACME  # noqa: E741, N806
    more = (NameOID.ORGANIZATION_NAME, "other")
    subjects: list[tuple[tuple[x509.ObjectIdentifier, str], ...]] = [
        (),
        (C, ST),
        (C, ST, more),
        (*ACME, more),
        (more, *ACME),
        (*ACME, O),
        (C, ST, (NameOID.ORGANIZATION_NAME, "Acme")),
        (C, ST, (NameOID.ORGANIZATION_NAME, "acme ")),
        (C, ST, (NameOID.ORGANIZATIONAL_UNIT_NAME, "acme")),
        (C, ST, (NameOID.COMMON_NAME, "O=acme")),
        ((NameOID.COUNTRY_NAME, "DE"), ST, O),
    ]
    leaves = [replace(LEAF, subject=subject) for subject in subjects]
    return [(leaf, chain_of(leaf, ROOT)) for leaf in leaves]


def user_certificates_expired(random: Random) -> Evidence:
    """Let an end user's certificates expire: they must be valid now."""
    at = NOW + timedelta(days=3, seconds=1 + random.randrange(10**7))
    return replace(random.choice(users()).signed(payload=some_payload(random)), at=at)


def user_for_authority(random: Random) -> Evidence:
    """Let an end user act as signing authority and choose the time: the CA is trusted for users only."""
    user = random.choice(users())
    header = {key: value for key, value in user.header.items() if not key.endswith("signingTime")}
    scheme, time = "io.cncf.notary.signingScheme", "io.cncf.notary.authenticSigningTime"
    header |= {scheme: "notary.x509.signingAuthority", time: "2026-11-21T07:52:38Z"}
    header["crit"] = [*user.header["crit"], time]
    return user.signed(protected=header, payload=some_payload(random))


FORGED_CHAINS: dict[str, Forge] = {
    **{name: _any_of(_leaves, *changes) for name, changes in LEAVES.items()},
    **{name: _any_of(_authorities, *changes) for name, changes in AUTHORITIES.items()},
    "leaf with a weak key": _any_of(_weak_leaves),
    "certificate over SHA-1": _any_of(_sha1),
    "path length": _any_of(_paths),
    "leaf as authority": _any_of(_leaf_as_authority),
    "wrong issuer": _any_of(_wrong_issuers),
    "no root": _any_of(_not_self_signed),
    "other order": _any_of(_orders),
    "foreign chain": foreign_chain,
    "wrong thumbprint": wrong_thumbprint,
    "other subject of the leaf": _any_of(_other_subjects, policy=USER),
    "user's certificates expired": user_certificates_expired,
    "user for authority": user_for_authority,
}
