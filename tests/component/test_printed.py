"""The policies that `imagegate verify --print-policy` prints are what those programs read, and mean the gates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding
from jsonschema import Draft202012Validator

from imagegate.errors import AuthenticityError, TrustPolicyError
from imagegate.notation.identities import SigningProfile
from imagegate.notation.trust_policy import Level, StoreName, StoreType
from imagegate.notation.trust_policy_document import parse_trust_policy
from imagegate.notation.trust_store import TrustStore
from imagegate.notation.verifier import verify
from imagegate_cli.faults import CannotTellError
from imagegate_cli.stack import Stack
from imagegate_cli.verification import gates, policies
from imagegate_cli.verification.policies import Gate, Gates
from imagegate_cli.verification.trust import AWS_ROOT
from tests.component.envelopes import IDENTITY, NOW, SUBJECT, good_chain, good_envelope, good_root
from tests.component.verifying import nothing_revoked
from tests.fakes import POLICY

HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
OTHER = IDENTITY.replace("imagegate_dev", "imagegate_staging")
ROOT = good_chain()[-1].public_bytes(Encoding.PEM).decode()
GATES = Gates(
    "imagegate",
    (
        Gate("dev", IDENTITY, (f"{HOST}/pay/api-dev", f"{HOST}/shop-dev"), f"{HOST}/*-dev"),
        Gate("staging", OTHER, (f"{HOST}/shop-staging",), f"{HOST}/*-staging"),
    ),
    "aws-signer-ts",
    ROOT,
)

# What the programs' resource definitions ask for, in our words: kyverno-notation-aws (v1alpha1), Ratify 1.4 (v1beta1).
TEXTS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
TRUST_POLICY = {
    "type": "object",
    "required": ["version", "trustPolicies"],
    "properties": {
        "version": {"const": "1.0"},
        "trustPolicyName": {"type": "string"},
        "trustPolicies": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": [
                    *("name", "registryScopes", "signatureVerification", "trustStores", "trustedIdentities"),
                ],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"},
                    "registryScopes": TEXTS,
                    "trustStores": TEXTS,
                    "trustedIdentities": TEXTS,
                    "signatureVerification": {"type": "object", "required": ["level"]},
                },
            },
        },
    },
    "additionalProperties": False,
}
SPECS: dict[tuple[str, str], dict[str, Any]] = {
    ("notation.nirmata.io/v1alpha1", "TrustPolicy"): {
        **TRUST_POLICY,
        "required": ["version", "trustPolicies", "trustPolicyName"],
    },
    ("notation.nirmata.io/v1alpha1", "TrustStore"): {
        "required": ["caBundle", "trustStoreName", "type"],
        "properties": {
            "caBundle": {"type": "string"},
            "trustStoreName": {"type": "string"},
            "type": {"enum": ["ca", "signingAuthority"]},
        },
        "additionalProperties": False,
    },
    ("config.ratify.deislabs.io/v1beta1", "Verifier"): {
        "required": ["artifactTypes", "name"],
        "properties": {
            "artifactTypes": {"type": "string"},
            "name": {"type": "string"},
            "parameters": {"type": "object", "properties": {"trustPolicyDoc": TRUST_POLICY}},
            "source": {"type": "object", "required": ["artifact"]},
        },
        "additionalProperties": False,
    },
    ("config.ratify.deislabs.io/v1beta1", "KeyManagementProvider"): {
        "required": ["type", "parameters"],
        "properties": {
            "type": {"const": "inline"},
            "parameters": {"properties": {"contentType": {"const": "certificate"}}, "required": ["value"]},
        },
        "additionalProperties": False,
    },
}


def resources(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def of_kind(text: str, kind: str) -> Any:
    return next(one["spec"] for one in resources(text) if one["kind"] == kind)


def trust_policies() -> Iterator[tuple[str, bytes]]:
    """Yield the same policy as each of the programs gets it."""
    yield "notation", policies.notation(GATES).encode()
    kyverno = of_kind(policies.kyverno(GATES), "TrustPolicy")
    yield "kyverno", json.dumps({key: kyverno[key] for key in ("version", "trustPolicies")}).encode()
    verifier = next(
        one["spec"]["parameters"]["trustPolicyDoc"]
        for one in resources(policies.ratify(GATES))
        if "parameters" in one["spec"] and "trustPolicyDoc" in one["spec"]["parameters"]
    )
    yield "ratify", json.dumps(verifier).encode()


DOCUMENTS = dict(trust_policies())


@pytest.mark.parametrize("program", DOCUMENTS)
def test_each_repository_trusts_its_own_gate_and_no_other(program: str) -> None:
    document = parse_trust_policy(DOCUMENTS[program])
    for gate in GATES.gates:
        for repository in gate.repositories:
            policy = document.select(repository)
            assert policy.identities == (SigningProfile(gate.profile),)
            assert policy.verification.level is Level.STRICT
            assert not policy.verification.override
    with pytest.raises(TrustPolicyError):
        document.select(f"{HOST}/shop-production")


@pytest.mark.parametrize("program", DOCUMENTS)
def test_our_verifier_has_the_right_answer(program: str) -> None:
    document = parse_trust_policy(DOCUMENTS[program])
    stores = {
        StoreName(StoreType.SIGNING_AUTHORITY, "aws-signer-ts"): TrustStore(frozenset({good_root()})),
        StoreName(StoreType.CA, "aws-signer-ts"): TrustStore(frozenset()),
    }
    dev, staging = (document.select(f"{HOST}/shop-{stage}") for stage in ("dev", "staging"))
    assert verify(good_envelope(), SUBJECT, dev, stores, at=NOW, revoked=nothing_revoked).identity
    with pytest.raises(AuthenticityError):
        verify(good_envelope(), SUBJECT, staging, stores, at=NOW, revoked=nothing_revoked)


@pytest.mark.parametrize("kind", ["kyverno", "ratify"])
def test_every_resource_is_one_that_the_program_knows(kind: str) -> None:
    for one in resources(policies.FORMATS[kind](GATES)):
        assert set(one) == {"apiVersion", "kind", "metadata", "spec"}
        assert one["metadata"]["name"] == one["metadata"]["name"].lower()
        if one["kind"] != "ClusterPolicy":
            Draft202012Validator(SPECS[one["apiVersion"], one["kind"]]).validate(one["spec"])


def test_the_root_certificate_comes_along() -> None:
    assert of_kind(policies.kyverno(GATES), "TrustStore")["caBundle"] == ROOT
    assert of_kind(policies.ratify(GATES), "KeyManagementProvider")["parameters"]["value"] == ROOT


def test_the_store_is_the_one_that_the_policy_names() -> None:
    assert of_kind(policies.kyverno(GATES), "TrustStore")["trustStoreName"] == GATES.store
    verifier = resources(policies.ratify(GATES))[-1]["spec"]["parameters"]
    stores = verifier["verificationCertStores"]["signingAuthority"]
    root = resources(policies.ratify(GATES))[0]["metadata"]["name"]
    assert stores == {GATES.store: [root]}


def test_kyverno_asks_about_the_gates_images_and_refuses_when_it_gets_no_answer() -> None:
    policy = of_kind(policies.kyverno(GATES), "ClusterPolicy")
    assert (policy["failurePolicy"], policy["validationFailureAction"]) == ("Fail", "Enforce")
    call = policy["rules"][0]["context"][1]["apiCall"]
    asked = {entry["key"]: entry["value"] for entry in call["data"]}
    assert asked["imageReferences"] == [
        *(f"{HOST}/*-dev:*", f"{HOST}/*-dev@*", f"{HOST}/*-staging:*", f"{HOST}/*-staging@*")
    ]
    assert asked["trustPolicy"] == of_kind(policies.kyverno(GATES), "TrustPolicy")["trustPolicyName"]
    assert call["service"]["url"].endswith("/checkimages")
    # Images run under the digest that was verified.
    patches = yaml.safe_load(policy["rules"][0]["mutate"]["foreach"][0]["patchesJson6902"])
    assert patches == [{key: f"{{{{ element.{key} }}}}" for key in ("path", "op", "value")}]


# Requests to a stack


@pytest.fixture
def stack() -> Stack:
    outputs = {"TrustedRoots": AWS_ROOT, "SigningProfilePrefix": "imagegate"}
    made = Stack("imagegate", "arn:aws:cloudformation:eu-central-1:123456789012:stack/imagegate/1", outputs)
    vars(made).update(
        policy=POLICY,
        repository_uris={name: f"{HOST}/{name}" for name in ("shop-dev", "else")},
        signing_profiles={stage: IDENTITY.replace("_dev", f"__{stage}") for stage in POLICY.stages},
    )
    return made


def test_the_stacks_repositories_are_found_and_what_has_none_is_said(stack: Stack) -> None:
    content, hints = gates.printed(stack, "notation", None, None)
    document = parse_trust_policy(content.encode())
    assert [policy.scopes for policy in document.policies] == [(f"{HOST}/shop-dev",)]
    assert [str(store) for store in document.policies[0].stores] == ["signingAuthority:aws-signer-ts"]
    assert any("staging" in hint for hint in hints)


def test_one_gate_can_be_requested(stack: Stack) -> None:
    content, _ = gates.printed(stack, "notation", "dev", None)
    assert [one["name"] for one in json.loads(content)["trustPolicies"]] == ["imagegate-dev"]


@pytest.mark.parametrize("stage", ["qa", "staging"])
def test_a_stage_that_is_not_there_or_empty_is_said(stack: Stack, stage: str) -> None:
    with pytest.raises(CannotTellError, match=stage):
        gates.printed(stack, "notation", stage, None)


@pytest.mark.parametrize("kind", ["kyverno", "ratify"])
def test_the_root_must_be_named_and_be_the_stacks(stack: Stack, kind: str, tmp_path: Path) -> None:
    with pytest.raises(CannotTellError, match="--trust-root"):
        gates.printed(stack, kind, None, None)
    file = tmp_path / "root.pem"
    file.write_text(ROOT)
    with pytest.raises(CannotTellError, match="none of the roots"):
        gates.printed(stack, kind, None, file)
