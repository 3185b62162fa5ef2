"""Creation templates: the settings with which a first push makes a repository.

Source: Amazon ECR user guide, "Repository creation templates". A template goes by the beginning of the name, up to a
`/`. An update sends all fields, because one that is left out may get its default.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from imagegate.baseline.lifecycle_rules import lifecycle_document
from imagegate.baseline.plan import Change, Remark, encryption_request, mutability_request, tag_list
from imagegate.baseline.repository_policy import GateRegistry, own_statements
from imagegate.baseline.statements import with_own

if TYPE_CHECKING:
    from imagegate.baseline.terms import RepositoryTerms

_ON_PUSH = "CREATE_ON_PUSH"
_ROOT = "ROOT"  # for the repositories that no other template covers
_REGISTRY = "(registry)"


def plan_templates(
    role: str | None,
    patterns: Mapping[str, RepositoryTerms],
    found: Mapping[str, Mapping[str, Any]],
    registry: GateRegistry,
    *,
    is_whole: bool = False,
) -> Iterator[Change | Remark]:
    """Yield a change for each template that is missing or different, or for each one if `is_whole`.

    `found`: by prefix.
    """
    for glob, terms in patterns.items():
        if not terms.create_on_push:
            continue
        prefix, setting = _prefix_of(glob), f"template {glob}"
        fault = _fault(prefix, terms, role)
        if prefix is None or fault:
            yield Remark(_REGISTRY, setting, fault, is_unmet=True)
            continue
        present = found.get(prefix)
        template = _template(prefix, terms, role, registry, present)
        operation = f"{'update' if present else 'create'}_repository_creation_template"
        if is_whole or present is None or _comparable(present) != _comparable({**present, **template}):
            before = {key: present.get(key) for key in template} if present else None
            yield Change(_REGISTRY, setting, before, template, operation, template)


def _prefix_of(glob: str) -> str | None:
    """Return the prefix of the template that covers these names and no others, or None if there is none."""
    if glob == "*":
        return _ROOT
    prefix, slash, rest = glob.rpartition("/")
    return prefix if slash and rest == "*" and "*" not in prefix else None


def _fault(prefix: str | None, terms: RepositoryTerms, role: str | None) -> str:
    if prefix is None:
        return (
            "a template goes by the beginning of a name, up to a slash: no template covers these names alone"
        )
    is_plain = terms.encryption is None or terms.encryption.type == "AES256"
    if role is None and (terms.tags or not is_plain):
        return "ECR needs a role for tags and for KMS: say registry: {template_role: …}"
    return ""


def _template(
    prefix: str,
    terms: RepositoryTerms,
    role: str | None,
    registry: GateRegistry,
    present: Mapping[str, Any] | None,
) -> dict[str, Any]:
    policy = with_own(None, own_statements(terms.access, registry)) if terms.access else None
    lifecycle = lifecycle_document(terms.lifecycle) if terms.lifecycle else None
    fields = {
        "prefix": prefix,
        "appliedFor": sorted({_ON_PUSH, *(present or {}).get("appliedFor", ())}),
        "encryptionConfiguration": encryption_request(terms.encryption) if terms.encryption else None,
        "resourceTags": tag_list(terms.tags) if terms.tags else None,
        "repositoryPolicy": json.dumps(policy) if policy else None,
        "lifecyclePolicy": json.dumps(lifecycle) if lifecycle else None,
        "customRoleArn": role,
        **(mutability_request(terms.tag_mutability) if terms.tag_mutability else {}),
    }
    kept = {key: value for key, value in (present or {}).items() if key in _FIELDS}
    return kept | {key: value for key, value in fields.items() if value is not None}


_FIELDS = (
    *("description", "encryptionConfiguration", "resourceTags", "imageTagMutability"),
    *("imageTagMutabilityExclusionFilters", "repositoryPolicy", "lifecyclePolicy", "customRoleArn"),
)


def _comparable(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a template: documents parsed, lists without an order."""
    documents = {
        key: json.loads(template[key]) for key in ("repositoryPolicy", "lifecyclePolicy") if template.get(key)
    }
    lists = {
        key: sorted(map(str, template.get(key) or ()))
        for key in ("appliedFor", "resourceTags", "imageTagMutabilityExclusionFilters")
    }
    plain = {
        key: template.get(key) for key in ("imageTagMutability", "encryptionConfiguration", "customRoleArn")
    }
    return plain | lists | documents
