"""The plan for managed signing and for the settings of the account in a registry.

Managed signing is one document, as replication is: rules of others stay. Settings of the account have names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imagegate.baseline.plan import Change, Remark

if TYPE_CHECKING:
    from imagegate.baseline.terms import SigningRule

_REGISTRY = "(registry)"
_POLICY_SCOPE = "REGISTRY_POLICY_SCOPE"


def plan_signing(
    wanted: Sequence[SigningRule], found: Sequence[Mapping[str, Any]], *, is_whole: bool = False
) -> Iterator[Change]:
    """Yield the change that adds the missing rules, if there are any or `is_whole`. `found`: the rules that ECR has."""
    present = [_key(rule) for rule in found]
    missing = [rule for rule in map(_rule, wanted) if _key(rule) not in present]
    if missing or (is_whole and wanted):
        configuration = {"rules": [*found, *missing]}
        request = {"signingConfiguration": configuration}
        before = {"rules": list(found)}
        yield Change(_REGISTRY, "signing", before, configuration, "put_signing_configuration", request)


def _rule(rule: SigningRule) -> dict[str, Any]:
    filters = [{"filter": name, "filterType": "WILDCARD_MATCH"} for name in rule.repositories]
    return {"signingProfileArn": rule.profile} | ({"repositoryFilters": filters} if filters else {})


def _key(rule: Mapping[str, Any]) -> tuple[str, frozenset[str]]:
    return rule["signingProfileArn"], frozenset(one["filter"] for one in rule.get("repositoryFilters") or ())


def plan_account(
    wanted: Mapping[str, str], found: Mapping[str, str], *, is_whole: bool = False
) -> Iterator[Change | Remark]:
    """Yield a change for each setting of the account with another value, or for each one if `is_whole`.

    Both are by the name of the setting.
    """
    for name, value in wanted.items():
        if found.get(name) == value and not is_whole:
            continue
        request = {"name": name, "value": value}
        yield Change(
            _REGISTRY, name.lower().replace("_", " "), found.get(name), value, "put_account_setting", request
        )
        if name == _POLICY_SCOPE and value == "V2":
            text = "the registry policy then counts for every action of ECR: read its statements before apply"
            yield Remark(_REGISTRY, "policy scope", text)
