"""Checks of policies of repositories and of the registry: who gets in who should not.

Rule: a statement that cannot be understood lets in. An Allow with NotPrincipal is for everybody, and one with NotAction
for every action. A condition narrows a statement only if it compares who calls, or from where, with given values.
Sources: IAM user guide, "IAM JSON policy elements"; Amazon ECR user guide, "Repository policies".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagegate.audit.finding import AdvisedRemedy
from imagegate.audit.settings import Answer, Looks, NotToldError, RepositoryPart, SettingFault
from imagegate.baseline.repository_policy import PULL, PUSH
from imagegate.baseline.statements import (
    ACCOUNT_OF,
    actions_of,
    as_list,
    grants,
    narrowing,
    principals_of,
    statements_of,
)
from imagegate.baseline.terms import Access
from imagegate.policy.policy import Entry

if TYPE_CHECKING:
    from imagegate.audit.settings import RepositoryExpectations, RepositorySettings
    from imagegate.baseline.statements import Statement

# With these, images or the policy itself change.
WRITE = (
    *PUSH,
    *("ecr:BatchDeleteImage", "ecr:DeleteRepository", "ecr:SetRepositoryPolicy"),
    *("ecr:DeleteRepositoryPolicy", "ecr:PutLifecyclePolicy", "ecr:PutImageTagMutability"),
)
_EXCLUDING = re.compile(r"(?:Arn|String)Not(?:Equals|Like)", re.IGNORECASE)
_ACCOUNT = re.compile(ACCOUNT_OF)
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Grant:
    """One principal that a statement lets in. `conditions`: what narrows the statement."""

    statement: str  # its Sid, or its number
    principal: str
    actions: tuple[str, ...]
    conditions: Mapping[str, tuple[str, ...]]  # by key in lower case

    @property
    def account(self) -> str | None:
        """The account of the principal, or None if there is none in its name."""
        match = _ACCOUNT.fullmatch(self.principal)
        return match[1] if match else None

    @property
    def accounts(self) -> frozenset[str]:
        """The accounts that the conditions name."""
        keys = ("aws:principalaccount", "aws:sourceaccount", "aws:principalarn", "aws:sourcearn")
        values = (value for key in keys for value in self.conditions.get(key, ()))
        return frozenset(match[1] for value in values if (match := _ACCOUNT.fullmatch(value)))

    @property
    def is_public(self) -> bool:
        return self.principal == EVERYBODY and not self.conditions

    def __str__(self) -> str:
        who = "everybody with an AWS account" if self.is_public else self.principal
        where = f" with {', '.join(self.conditions)}" if self.conditions else ""
        names = ", ".join(one.removeprefix("ecr:") for one in self.actions)
        return f"statement {self.statement} lets {who}{where} {names}"


def grants_of(document: Mapping[str, Any] | None, actions: Collection[str]) -> Iterator[Grant]:
    """Yield who may do any of the actions, by a policy of a repository or of the registry."""
    for number, statement in enumerate(statements_of(document), 1):
        allowed = tuple(grants(statement, actions))
        if allowed:
            name = str(statement.get("Sid") or f"number {number}")
            principals = [EVERYBODY] if "NotPrincipal" in statement else principals_of(statement)
            conditions = narrowing(statement)
            yield from (Grant(name, one, allowed, conditions) for one in principals)


def explain_grants(faults: Iterable[Grant], remedy: AdvisedRemedy) -> Answer:
    sentences = list(dict.fromkeys(map(str, faults)))
    return SettingFault("; ".join(sentences), remedy) if sentences else True


def _public(settings: RepositorySettings, _: RepositoryExpectations) -> Answer:
    grants = (one for one in grants_of(settings.found.policy, (*PULL, *WRITE)) if one.is_public)
    return explain_grants(
        grants, _edit(settings, "name the accounts, the organization or the roles instead of *")
    )


def _edit(settings: RepositorySettings, text: str) -> AdvisedRemedy:
    return AdvisedRemedy(
        f"{text}, by aws ecr set-repository-policy",
        f"aws ecr get-repository-policy --repository-name {settings.name}",
    )


def _wildcard(settings: RepositorySettings, _: RepositoryExpectations) -> Answer:
    names = [
        str(one.get("Sid") or f"number {number}")
        for number, one in enumerate(statements_of(settings.found.policy), 1)
        if one.get("Effect") == "Allow" and {"*", "ecr:*"} & {action.lower() for action in actions_of(one)}
    ]
    detail = f"statement {', '.join(names)}: deleting images and changing this policy are among them"
    return SettingFault(detail, _edit(settings, "name the actions that are needed")) if names else True


def _foreign_account(settings: RepositorySettings, expected: RepositoryExpectations) -> Answer:
    """Find accounts and organizations outside the baseline that have access."""
    access, home = expected.known.access or Access(), expected.registry.account
    accounts = {home, *(access.read_accounts or ()), *(access.write_accounts or ())}
    principals = {*(access.roles or ()), *(access.push_exceptions or ()), *expected.registry.gate_roles}
    grants = (
        one
        for one in grants_of(settings.found.policy, (*PULL, *WRITE))
        if not one.is_public
        and one.principal not in principals
        and not is_known(one, accounts, access.organization)
    )
    text = "name it in access of the baseline if it should have access; otherwise take the statement out"
    return explain_grants(grants, _edit(settings, text))


def is_known(grant: Grant, accounts: Collection[str], organization: str | None = None) -> bool:
    """Return True if only these accounts, this organization, or services of AWS for them get in."""
    if grant.account is not None:
        return grant.account in accounts
    if grant.accounts:
        return grant.accounts <= set(accounts)
    organizations = grant.conditions.get("aws:principalorgid", ())
    if organizations:
        return set(organizations) <= {organization}
    return grant.principal.endswith(".amazonaws.com")


def _writers(settings: RepositorySettings, expected: RepositoryExpectations) -> Answer:
    """Find those who may write but should only read. Unknown accounts have a check of their own."""
    access, home = expected.known.access or Access(), expected.registry.account
    named = {*expected.registry.gate_roles, *(access.push_exceptions or ())}
    readers = set(access.read_accounts or ()) - set(access.write_accounts or ())
    is_filled_by_the_gate = is_later(expected) and _push_exceptions(settings.found.policy) is None
    wide = []
    for one in grants_of(settings.found.policy, WRITE):
        if one.is_public or one.principal in named:
            continue
        beyond_pushes = one.account in (access.write_accounts or ()) and not set(one.actions) <= set(PUSH)
        pushes = one.account == home and is_filled_by_the_gate and set(one.actions) & set(PUSH)
        if one.principal == EVERYBODY or one.account in readers or beyond_pushes or pushes:
            wide.append(one)
    return explain_grants(wide, _edit(settings, "let them pull only, or name them in access of the baseline"))


def is_later(expected: RepositoryExpectations) -> bool:
    """Return True for a repository that only promotions should fill."""
    is_promoted = expected.stage is not None and expected.stage.entry is Entry.PROMOTION
    return is_promoted or bool(expected.known.access and expected.known.access.only_promotion)


def _push_open(settings: RepositorySettings, expected: RepositoryExpectations) -> Answer:
    """Find a stage into which others than the gate can push: an Allow in some IAM policy cannot be seen from here."""
    if not is_later(expected):
        return None
    roles = expected.registry.gate_roles
    if not roles:
        raise NotToldError("without the gate's stack, nothing tells which roles push for it")
    exceptions = _push_exceptions(settings.found.policy)
    remedy = AdvisedRemedy(
        "say access: {only_promotion: true} in the baseline, and apply it",
        f"imagegate baseline apply {settings.name}",
    )
    if exceptions is None:
        detail = "the repository policy denies no push, so whoever has ecr:PutImage by IAM may push here"
        return SettingFault(detail, remedy)
    access = expected.known.access or Access()
    others = sorted(exceptions - {*roles, *(access.push_exceptions or ())})
    return SettingFault(f"the denial of pushes leaves out {', '.join(others)}", remedy) if others else True


def _push_exceptions(document: Mapping[str, Any] | None) -> frozenset[str] | None:
    """Return the principals that may push in spite of a denial for everybody else, or None without one."""
    denials = [found for one in statements_of(document) if (found := _denied_to_others(one)) is not None]
    # Each denial counts by itself: who is an exception of all of them may push.
    return frozenset.intersection(*denials) if denials else None


def _denied_to_others(statement: Statement) -> frozenset[str] | None:
    is_denial = statement.get("Effect") == "Deny" and "NotPrincipal" not in statement
    covers = set(grants({**statement, "Effect": "Allow"}, ("ecr:PutImage",)))
    if not (is_denial and covers and EVERYBODY in principals_of(statement)):
        return None
    conditions = statement.get("Condition") or {}
    if not conditions:
        return frozenset()
    [(operator, tests), *more] = conditions.items()
    [(key, value), *others] = tests.items()
    if more or others or key.lower() != "aws:principalarn" or not _EXCLUDING.fullmatch(operator):
        return None  # it denies only some pushes of others
    return frozenset(as_list(value))


_POLICY = (RepositoryPart.POLICY,)
ACCESS_LOOKS: Looks = {
    "repository-public": (_public, _POLICY),
    "repository-policy-wildcard": (_wildcard, _POLICY),
    "repository-foreign-account": (_foreign_account, _POLICY),
    "repository-writers": (_writers, _POLICY),
    "repository-push-open": (_push_open, _POLICY),
}
