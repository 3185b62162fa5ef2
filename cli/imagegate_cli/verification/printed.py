"""Verification policies for other programs: who signs for which repositories, in their words.

Notation: Notary Project, "Trust Store and Trust Policy"; scopes are whole repositories, so those that exist are named.
Kyverno: the resources of notation-aws-verifier (the maintained continuation of kyverno-notation-aws), v1alpha1.
Ratify: v1beta1, as its guide "Ratify with AWS Signer" has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_STORE_TYPE = "signingAuthority"
_NOTATION_API, _RATIFY_API = "notation.nirmata.io/v1alpha1", "config.ratify.deislabs.io/v1beta1"
_SERVICE = (
    "notation-aws-verifier"  # Kyverno's extension: its namespace, and the beginning of its service's name
)
_UNCHECKED = ("kube-system", "kyverno", _SERVICE)  # what must start before anything can be checked
_PLUGIN = "notation-com.amazonaws.signer.notation.plugin"
_PLUGIN_IMAGE = "public.ecr.aws/aws-signer/notation-plugin:linux-amd64-latest"


@dataclass(frozen=True, slots=True)
class Gate:
    """One stage. `repositories`: those that exist, with their registry; `globs`: those that belong to it, likewise."""

    stage: str
    profile: str  # ARN, without version
    repositories: tuple[str, ...]
    glob: str


@dataclass(frozen=True, slots=True)
class Gates:
    """`name`: of the stack. `store`: the trust store's name; `root`: its certificates in PEM."""

    name: str
    gates: tuple[Gate, ...]
    store: str
    root: str


def notation(gates: Gates) -> str:
    """trustpolicy.json: one policy per stage; scopes never overlap, for a repository has one stage."""
    return json.dumps(_trust_policy(gates), indent=2) + "\n"


def kyverno(gates: Gates) -> str:
    name = _kubernetes_name(gates.name)
    store = {"trustStoreName": gates.store, "type": _STORE_TYPE, "caBundle": gates.root}
    return _yaml(
        _resource(_NOTATION_API, "TrustStore", gates.store, store),
        _resource(_NOTATION_API, "TrustPolicy", name, {**_trust_policy(gates), "trustPolicyName": name}),
        _resource("kyverno.io/v1", "ClusterPolicy", name, _cluster_policy(gates, name)),
    )


def _cluster_policy(gates: Gates, name: str) -> dict[str, Any]:
    """Images of other repositories are left alone; those of the gates are pinned to the digest that was verified."""
    secret = f"/api/v1/namespaces/{_SERVICE}/secrets/{_SERVICE}-svc.{_SERVICE}.svc.tls-pair"
    asked = {
        "images": "{{images}}",
        "imageReferences": [f"{gate.glob}{end}" for gate in gates.gates for end in (":*", "@*")],
        "trustPolicy": name,
    }
    patch = [{key: f"{{{{ element.{key} }}}}" for key in ("path", "op", "value")}]
    rule = {
        "name": "ask-the-gates-signatures",
        "match": {"any": [{"resources": {"kinds": ["Pod"], "operations": ["CREATE", "UPDATE"]}}]},
        "exclude": {"any": [{"resources": {"namespaces": list(_UNCHECKED)}}]},
        "context": [
            {
                "name": "tlscerts",
                "apiCall": {"urlPath": secret, "jmesPath": 'base64_decode( data."tls.crt" )'},
            },
            {
                "name": "response",
                "apiCall": {
                    "method": "POST",
                    "data": [{"key": key, "value": value} for key, value in asked.items()],
                    "service": {
                        "url": f"https://{_SERVICE}-svc.{_SERVICE}.svc/checkimages",
                        "caBundle": "{{ tlscerts }}",
                    },
                },
            },
        ],
        "mutate": {"foreach": [{"list": "response.results", "patchesJson6902": _yaml(patch)}]},
    }
    return {
        "validationFailureAction": "Enforce",
        "failurePolicy": "Fail",
        "webhookTimeoutSeconds": 30,
        "schemaValidation": False,  # Kyverno does not know what the service answers
        "rules": [rule],
    }


def ratify(gates: Gates) -> str:
    """The root, AWS Signer's plugin (Ratify's dynamic plugins bring it), and the verifier."""
    root = f"{_kubernetes_name(gates.name)}-root"
    parameters = {
        "verificationCertStores": {_STORE_TYPE: {gates.store: [root]}},
        "trustPolicyDoc": _trust_policy(gates),
    }
    plugin = {
        "name": _PLUGIN,
        "artifactTypes": "application/vnd.oci.image.manifest.v1+json",
        "source": {"artifact": _PLUGIN_IMAGE},
    }
    verifier = {
        "name": "notation",
        "artifactTypes": "application/vnd.cncf.notary.signature",
        "parameters": parameters,
    }
    inline = {"type": "inline", "parameters": {"contentType": "certificate", "value": gates.root}}
    return _yaml(
        _resource(_RATIFY_API, "KeyManagementProvider", root, inline),
        _resource(_RATIFY_API, "Verifier", "aws-signer-plugin", plugin),
        _resource(_RATIFY_API, "Verifier", "verifier-notation", verifier),
    )


FORMATS: dict[str, Callable[[Gates], str]] = {"notation": notation, "kyverno": kyverno, "ratify": ratify}


def _trust_policy(gates: Gates) -> dict[str, Any]:
    return {
        "version": "1.0",
        "trustPolicies": [
            {
                "name": f"{gates.name}-{gate.stage}",
                "registryScopes": list(gate.repositories),
                "signatureVerification": {"level": "strict"},
                "trustStores": [f"{_STORE_TYPE}:{gates.store}"],
                "trustedIdentities": [gate.profile],
            }
            for gate in gates.gates
        ],
    }


def _resource(api: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _kubernetes_name(text: str) -> str:
    """RFC 1123, as Kubernetes wants names."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _yaml(*documents: Any) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Texts of several lines are written as such; nothing is written as a reference to another place."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)

    Dumper.add_representer(str, text)
    dumped: str = yaml.dump_all(documents, Dumper=Dumper, sort_keys=False, width=1000)
    return dumped
