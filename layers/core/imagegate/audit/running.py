"""Checks of what runs: images from outside the registry, and from repositories that no gate guards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import AdvisedRemedy, AuditedResource, AuditFinding, ResourceKind
from imagegate.audit.registry_settings import registry_resource
from imagegate.audit.report import CheckOutcome, CheckPassed, NotAssessed
from imagegate.deployment.check import DeploymentRule, Guarded, find_gate
from imagegate.oci.reference import Container
from imagegate.text import list_some

if TYPE_CHECKING:
    from imagegate.baseline.repository_policy import GateRegistry
    from imagegate.policy.policy import Policy

_FOREIGN = CATALOGUE["image-runs-foreign"]
RUNNING_CHECKS = (_FOREIGN,)
_MOST_NAMED = 3


def check_running(
    named: Iterable[tuple[str, str]],
    clusters: Sequence[str],
    registry: GateRegistry,
    policy: Policy,
    allowed: Sequence[str],
) -> Iterator[CheckOutcome]:
    """Check each image by its name. `named`: pairs of an image's name and who runs it; `clusters`: of Amazon EKS.

    Images that a gate guards are checked with their repository.
    """
    users: dict[str, list[str]] = {}
    for name, user in named:
        users.setdefault(name.partition("@")[0], []).append(user)
    domain = "amazonaws.com.cn" if registry.partition == "aws-cn" else "amazonaws.com"
    host = f"{registry.account}.dkr.ecr.{registry.region}.{domain}"
    for name in sorted(users):
        ruling = find_gate(Container("", name), host, policy, allowed)
        if isinstance(ruling, Guarded) or ruling.rule is DeploymentRule.ALLOWED:
            yield CheckPassed(_FOREIGN)
            continue
        who = list(dict.fromkeys(users[name]))
        yield AuditFinding(
            check=_FOREIGN,
            resource=AuditedResource(ResourceKind.IMAGE, name),
            detail=f"{ruling.why}; it is used by {list_some(who[:_MOST_NAMED], len(who))}",
            remedy=AdvisedRemedy(" ".join(ruling.todo), f"imagegate release --import {name}"),
        )
    for cluster in clusters:
        why = f"nothing tells which other images the cluster {cluster} of Amazon EKS runs"
        yield NotAssessed(_FOREIGN, registry_resource(registry), why)
