"""Verification policies for other programs: the signing profile for each repository, in the program's format.

Notation: Notary Project, "Trust Store and Trust Policy"; a scope is a whole repository, so existing ones are listed.
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
_UNCHECKED = ("kube-system", "kyverno", _SERVICE)  # namespaces that must start before images can be checked
_PLUGIN = "notation-com.amazonaws.signer.notation.plugin"
_PLUGIN_IMAGE = "public.ecr.aws/aws-signer/notation-plugin:linux-amd64-latest"


@dataclass(frozen=True, slots=True)
class Gate:
    """A stage's gate. `repositories` are the existing ones and `glob` all that belong to it, with their registry."""

    stage: str
    profile: str  # ARN, without version
    repositories: tuple[str, ...]
    glob: str


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates of the stack `name`. `store` is the name of the trust store, `root` its certificates in PEM."""

    name: str
    gates: tuple[Gate, ...]
    store: str
    root: str


def notation(gates: Gates) -> str:
    """Return trustpolicy.json, with one policy per stage. Scopes never overlap: a repository has one stage."""
    return json.dumps(_trust_policy(gates), indent=2) + "\n"


def kyverno(gates: Gates) -> str:
    """Return the TrustStore, the TrustPolicy and the ClusterPolicy in YAML."""
    name = _kubernetes_name(gates.name)
    store = {"trustStoreName": gates.store, "type": _STORE_TYPE, "caBundle": gates.root}
    return _yaml(
        _resource(_NOTATION_API, "TrustStore", gates.store, store),
        _resource(_NOTATION_API, "TrustPolicy", name, {**_trust_policy(gates), "trustPolicyName": name}),
        _resource("kyverno.io/v1", "ClusterPolicy", name, _cluster_policy(gates, name)),
    )


def _cluster_policy(gates: Gates, name: str) -> dict[str, Any]:
    """Return the ClusterPolicy. It pins images of the gates to the verified digest, and ignores others."""
    secret = f"/api/v1/namespaces/{_SERVICE}/secrets/{_SERVICE}-svc.{_SERVICE}.svc.tls-pair"
    request = {
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
                    "data": [{"key": key, "value": value} for key, value in request.items()],
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
        "schemaValidation": False,  # Kyverno does not know the service's response
        "rules": [rule],
    }


def ratify(gates: Gates) -> str:
    """Return the root, AWS Signer's plugin (which Ratify downloads), and the verifier in YAML."""
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
    """Return the text as a name by RFC 1123, which Kubernetes requires."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _yaml(*documents: Any) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes texts of several lines as blocks, and no aliases."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)

    Dumper.add_representer(str, text)
    dumped: str = yaml.dump_all(documents, Dumper=Dumper, sort_keys=False, width=1000)
    return dumped
