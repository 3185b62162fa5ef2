"""The result of each failing check at each level; which stores, identities and times count under each scheme."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from imagegate.errors import (
    AuthenticityError,
    AuthenticTimestampError,
    ExpiryError,
    IntegrityError,
    RevocationError,
    RevokedError,
    TrustPolicyError,
    UnsupportedEnvelopeError,
    VerificationError,
)
from imagegate.notation.attributes import Scheme
from imagegate.notation.identities import SigningProfile
from imagegate.notation.revocation import RevocationQuery, Revoked
from imagegate.notation.trust_policy import (
    Check,
    FailureAction,
    Level,
    SignatureVerification,
    StoreName,
    StoreType,
    TrustPolicy,
)
from imagegate.notation.trust_store import TrustStore
from imagegate.notation.verifier import Verified, verify
from tests.component.envelopes import (
    IDENTITY,
    LEAF,
    LOWER,
    NOW,
    ROOT,
    SIGNED,
    SUBJECT,
    UPPER,
    Certificate,
    Draft,
    chain_of,
    good_chain,
    good_envelope,
    good_root,
    plain_header,
    protected_header,
    root_thumbprint,
)
from tests.component.verifying import AUTHORITY, CA, TSA, nothing_revoked, policy_of, verify_by

ACME = (
    (NameOID.COUNTRY_NAME, "US"),
    (NameOID.STATE_OR_PROVINCE_NAME, "WA"),
    (NameOID.ORGANIZATION_NAME, "acme"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "builds"),
)
NAMED = replace(LEAF, subject=ACME)
LATER = datetime.fromisoformat("2038-02-21T07:52:38Z")


def somebody_revoked(_: RevocationQuery) -> Sequence[str]:
    return ["arn:aws:signer:eu-central-1:123456789012:/signing-jobs/x"]


@dataclass(frozen=True)
class Failing:
    """A signature of AWS Signer with which one check fails and every other one holds."""

    error: type[VerificationError]
    at: datetime = NOW
    identities: tuple[str, ...] = (IDENTITY,)
    revoked: Revoked | None = nothing_revoked
    chain: Callable[[], Sequence[x509.Certificate]] = good_chain
    header: tuple[tuple[str, str], ...] = ()

    def verify(self, level: Level, override: dict[Check, FailureAction] | None = None) -> Verified:
        chain = self.chain()
        envelope = Draft(chain=chain, protected=protected_header() | dict(self.header)).envelope()
        policy = policy_of(level, identities=self.identities, override=override)
        trusted = [root_thumbprint(chain)]
        return verify_by(policy, envelope, trusted=trusted, at=self.at, revoked=self.revoked)


def _expired_leaf() -> Sequence[x509.Certificate]:
    return chain_of(replace(LEAF, not_after=NOW - timedelta(days=1)), LOWER, UPPER, ROOT)


FAILING = {
    Check.INTEGRITY: Failing(IntegrityError, header=(("cty", "text/plain"),)),
    Check.AUTHENTICITY: Failing(AuthenticityError, identities=(f"{IDENTITY}2",)),
    Check.AUTHENTIC_TIMESTAMP: Failing(AuthenticTimestampError, chain=_expired_leaf),
    Check.EXPIRY: Failing(ExpiryError, at=LATER),
    Check.REVOCATION: Failing(RevokedError, revoked=somebody_revoked),
}
# Signature specification, "Signature Verification details".
ENFORCED = {
    Level.STRICT: set(Check),
    Level.PERMISSIVE: {Check.INTEGRITY, Check.AUTHENTICITY},
    Level.AUDIT: {Check.INTEGRITY},
}


@pytest.mark.parametrize("level", ENFORCED)
@pytest.mark.parametrize("check", Check)
def test_a_check_that_fails_is_enforced_or_logged(level: Level, check: Check) -> None:
    failing = FAILING[check]
    if check in ENFORCED[level]:
        with pytest.raises(failing.error, match=f"^{check}: ") as caught:
            failing.verify(level)
        assert caught.value.check == check
        return
    verified = failing.verify(level)
    assert [(one, type(error)) for one, error in verified.logged] == [(check, failing.error)]
    assert verified.annotations == SIGNED
    assert verified.level is level


@pytest.mark.parametrize("level", ENFORCED)
@pytest.mark.parametrize("check", list(Check)[1:])
@pytest.mark.parametrize("action", FailureAction)
def test_an_override_decides(level: Level, check: Check, action: FailureAction) -> None:
    failing, override = FAILING[check], {check: action}
    if action is FailureAction.ENFORCE:
        with pytest.raises(failing.error):
            failing.verify(level, override)
        return
    verified = failing.verify(level, override)
    assert len(verified.logged) == (1 if action is FailureAction.LOG else 0)
    assert verified.skipped == ((check,) if action is FailureAction.SKIP else ())


@pytest.mark.parametrize("level", ENFORCED)
def test_a_signature_that_holds_holds_at_every_level(level: Level) -> None:
    verified = verify_by(policy_of(level), good_envelope())
    assert verified == Verified(
        level=level,
        annotations=SIGNED,
        signing_time=datetime.fromisoformat("2026-11-21T07:52:38Z"),
        expiry=LATER,
        scheme=Scheme.SIGNING_AUTHORITY,
        chain=tuple(one.fingerprint(hashes.SHA256()).hex() for one in good_chain()),
        identity=f"{IDENTITY}/0a1B2c3D4e",
        job_arn=protected_header()["com.amazonaws.signer.signingJob"],
    )


def test_all_that_fails_is_logged() -> None:
    failing = Failing(VerificationError, LATER, ("*",), somebody_revoked, _expired_leaf)
    verified = failing.verify(Level.AUDIT)
    assert [check for check, _ in verified.logged] == [
        Check.AUTHENTICITY,
        Check.EXPIRY,
        Check.AUTHENTIC_TIMESTAMP,
        Check.REVOCATION,
    ]


def test_skip_looks_at_nothing_and_says_nothing() -> None:
    policy = TrustPolicy("none", ("registry.example/x",), SignatureVerification(Level.SKIP))
    verified = verify(b"", SUBJECT, policy, {}, at=NOW, media_type="application/cose")
    assert verified == Verified(Level.SKIP, skipped=tuple(Check))


def test_cose_is_not_supported() -> None:
    stores = {AUTHORITY: TrustStore(frozenset({good_root()}))}
    with pytest.raises(UnsupportedEnvelopeError, match=r"^COSE envelopes \(application/cose\) are not supp"):
        verify(good_envelope(), SUBJECT, policy_of(), stores, at=NOW, media_type="application/cose")


# Revocation


@pytest.mark.parametrize("problem", [RevocationError("x"), TrustPolicyError("x"), ConnectionError("x")])
def test_an_unreachable_service_is_no_refusal(problem: Exception) -> None:
    def unreachable(_: RevocationQuery) -> Sequence[str]:
        raise problem

    failing = Failing(RevocationError, revoked=unreachable)
    with pytest.raises(RevocationError):
        failing.verify(Level.STRICT)
    assert failing.verify(Level.PERMISSIVE).logged[0][0] is Check.REVOCATION


def test_an_unreachable_service_is_a_failed_check() -> None:
    with pytest.raises(RevocationError, match="nobody was asked"):
        Failing(RevocationError, revoked=None).verify(Level.STRICT)


def test_revocation_is_not_queried_for_a_refused_signature() -> None:
    def asked(_: RevocationQuery) -> Sequence[str]:
        raise AssertionError

    with pytest.raises(AuthenticityError):
        replace(FAILING[Check.AUTHENTICITY], revoked=asked).verify(Level.STRICT)
    assert FAILING[Check.AUTHENTICITY].verify(Level.STRICT, {Check.AUTHENTICITY: FailureAction.LOG}).logged


CRL = x509.CRLDistributionPoints(
    [x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example")], None, None, None)]
)
OCSP = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ocsp.example")
        )
    ]
)
ISSUER = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.example")
        )
    ]
)


@dataclass
class Plain:
    """A signature that needs no plugin, by `NAMED` under one root."""

    certificates: tuple[Certificate, ...] = (NAMED, ROOT)
    scheme: str = "notary.x509"
    identities: tuple[str, ...] = ("*",)
    stores: tuple[StoreName, ...] = (CA,)
    trusted: int = -1  # which certificate of the chain is in the store
    at: datetime = NOW
    header: tuple[tuple[str, Any], ...] = ()
    after_expiry: bool = False

    def verify(self) -> Verified:
        chain = chain_of(*self.certificates)
        envelope = Draft(chain=chain, protected=plain_header(self.scheme) | dict(self.header)).envelope()
        policy = policy_of(
            identities=self.identities, stores=self.stores, only_after_certificate_expiry=self.after_expiry
        )
        trusted = [chain[self.trusted].fingerprint(hashes.SHA256()).hex()]
        return verify_by(policy, envelope, trusted=trusted, at=self.at, revoked=None)


@pytest.mark.parametrize("hints", [(CRL,), (OCSP,)])
def test_crls_and_ocsp_responders_are_not_queried_and_so_cannot_clear(hints: Any) -> None:
    with pytest.raises(RevocationError, match="CRLs or OCSP"):
        Plain((replace(NAMED, hints=hints), ROOT)).verify()
    with pytest.raises(RevocationError):
        Plain((NAMED, replace(LOWER, hints=hints), ROOT)).verify()


def test_certificates_that_name_no_revocation_source_are_not_revoked() -> None:
    assert Plain((replace(NAMED, hints=(ISSUER,)), replace(ROOT, hints=(CRL,)))).verify()


# Both schemes


def test_an_end_users_signature_says_who_signed() -> None:
    verified = Plain().verify()
    assert verified.scheme is Scheme.X509
    assert verified.identity == "CN=leaf,OU=builds,O=acme,ST=WA,C=US"
    assert (verified.job_arn, verified.logged) == ("", ())


def test_an_end_users_certificates_are_valid_now() -> None:
    assert Plain(at=NOW + timedelta(days=3)).verify()
    with pytest.raises(AuthenticTimestampError, match="not valid now"):
        Plain(at=NOW + timedelta(days=3, seconds=1)).verify()


def test_an_end_users_signing_time_is_not_believed() -> None:
    future = (("io.cncf.notary.signingTime", "2027-11-21T07:52:38Z"),)
    assert Plain(header=future).verify()


def test_a_signing_authoritys_certificates_were_valid_when_it_signed() -> None:
    scheme = "notary.x509.signingAuthority"
    assert Plain(scheme=scheme, stores=(AUTHORITY,), at=NOW + timedelta(days=300)).verify()


@pytest.mark.parametrize(
    ("scheme", "stores"),
    [
        ("notary.x509", (AUTHORITY,)),
        ("notary.x509.signingAuthority", (CA,)),
        ("notary.x509.signingAuthority", (TSA, CA)),
    ],
)
def test_the_scheme_fixes_the_type_of_the_store(scheme: str, stores: tuple[StoreName, ...]) -> None:
    with pytest.raises(AuthenticityError, match="no trust store of type"):
        Plain(scheme=scheme, stores=stores).verify()


@pytest.mark.parametrize("position", [0, 1, 2])
def test_any_certificate_of_the_chain_may_be_the_trusted_one(position: int) -> None:
    assert Plain((NAMED, LOWER, ROOT), trusted=position).verify()


def test_a_store_that_is_missing_trusts_nobody() -> None:
    policy = policy_of(stores=[AUTHORITY, StoreName(StoreType.SIGNING_AUTHORITY, "gone")])
    stores = {AUTHORITY: TrustStore(frozenset({good_root()}))}
    with pytest.raises(AuthenticityError, match="signingAuthority:gone does not exist"):
        verify(good_envelope(), SUBJECT, policy, stores, at=NOW)


def test_an_empty_store_trusts_nobody() -> None:
    with pytest.raises(AuthenticityError, match="not trusted"):
        verify(
            good_envelope(),
            SUBJECT,
            policy_of(),
            dict.fromkeys((CA, AUTHORITY), TrustStore(frozenset())),
            at=NOW,
        )


SAME = "x509.subject: C=US, ST=WA, O=acme"


@pytest.mark.parametrize("identity", [SAME, f"{SAME}, OU=builds", f"{SAME}, CN=leaf, OU=builds", "*"])
def test_an_identity_is_part_of_the_leafs_subject(identity: str) -> None:
    assert Plain(identities=(identity,)).verify()


@pytest.mark.parametrize(
    "identity", ["x509.subject: C=US, ST=WA, O=Acme", f"{SAME}, OU=others", f"{SAME}, L=Seattle", IDENTITY]
)
def test_another_subject_is_not_trusted(identity: str) -> None:
    with pytest.raises(AuthenticityError, match="signed by"):
        Plain(identities=(identity,)).verify()


@pytest.mark.parametrize("double", [NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME])
def test_a_subject_with_a_repeated_name_matches_nobody(double: x509.ObjectIdentifier) -> None:
    leaf = replace(NAMED, subject=(*ACME, (double, "other")))
    with pytest.raises(AuthenticityError, match="signed by"):
        Plain((leaf, ROOT), identities=(SAME,)).verify()
    assert Plain((leaf, ROOT)).verify()


@pytest.mark.parametrize("identity", ["*", "x509.subject: C=US, ST=WA, O=AWS"])
def test_a_signing_service_signs_for_anybody_so_only_the_profile_counts(identity: str) -> None:
    with pytest.raises(AuthenticityError, match="not by a trusted identity"):
        verify_by(policy_of(identities=[identity]), good_envelope())


def test_one_version_of_a_profile_is_an_identity() -> None:
    assert verify_by(policy_of(identities=[f"{IDENTITY}2", f"{IDENTITY}/0a1B2c3D4e"]), good_envelope())
    with pytest.raises(AuthenticityError):
        verify_by(policy_of(identities=[f"{IDENTITY}/9999999999"]), good_envelope())
    assert SigningProfile(IDENTITY).version is None


PLAIN: dict[str, dict[str, Any]] = {
    "unknown critical": {"com.example": 1, "crit": [*plain_header()["crit"], "com.example"]},
    "signing time critical": {"crit": [*plain_header()["crit"], "io.cncf.notary.signingTime"]},
    "time of the other scheme": {"io.cncf.notary.authenticSigningTime": "2026-11-21T07:52:38Z"},
    "job without plugin": {"com.amazonaws.signer.signingJob": "x"},
    "profile without plugin": {"com.amazonaws.signer.signingProfileVersion": f"{IDENTITY}/0a1B2c3D4e"},
    "plugin version without plugin": {"io.cncf.notary.verificationPluginMinVersion": "1.0.0"},
    "reserved name": {"io.cncf.notary.newer": "x"},
    "unencoded payload": {"b64": False},
    "plugin of AWS": {
        "io.cncf.notary.verificationPlugin": "com.amazonaws.signer.notation.plugin",
        "crit": [*plain_header()["crit"], "io.cncf.notary.verificationPlugin"],
    },
    "crit without expiry": {"crit": ["io.cncf.notary.signingScheme"]},
}


@pytest.mark.parametrize("changes", PLAIN.values(), ids=PLAIN.keys())
def test_a_plain_header_is_understood_or_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        Plain(header=tuple(changes.items())).verify()


def test_headers_of_ones_own_need_not_be_understood() -> None:
    assert Plain(header=(("com.example.build", {"number": [1]}), ("com.example.other", None))).verify()


def test_a_plain_signature_need_not_expire() -> None:
    header = {key: value for key, value in plain_header().items() if not key.endswith(".expiry")}
    header["crit"] = ["io.cncf.notary.signingScheme"]
    envelope = Draft(chain=chain_of(NAMED, ROOT), protected=header)
    trusted = [root_thumbprint(envelope.chain)]
    verified = verify_by(policy_of(identities=["*"]), envelope.envelope(), trusted=trusted)
    assert verified.expiry is None


# Countersignatures


def test_a_required_countersignature_cannot_be_verified_and_so_fails() -> None:
    with pytest.raises(AuthenticTimestampError, match="RFC 3161"):
        Plain(stores=(CA, TSA)).verify()


def test_no_countersignature_is_required_while_the_certificates_are_valid() -> None:
    assert Plain(stores=(CA, TSA), after_expiry=True).verify()
    with pytest.raises(AuthenticTimestampError):
        Plain(stores=(CA, TSA), after_expiry=True, at=NOW + timedelta(days=4)).verify()


def test_a_signing_authority_needs_no_countersignature() -> None:
    scheme = "notary.x509.signingAuthority"
    assert Plain(scheme=scheme, stores=(AUTHORITY, TSA)).verify()
