"""The repositories that a team works with, by the stages of the policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imagegate_cli.faults import NotFoundError

if TYPE_CHECKING:
    from imagegate.baseline.section import RegistryBaseline
    from imagegate.baseline.teams import Origin, TeamScope
    from imagegate.policy.policy import Policy


def team_scope(
    policy: Policy,
    baseline: RegistryBaseline,
    stages: Sequence[str],
    *,
    environment: str | None,
    origin: Origin,
) -> TeamScope:
    """Return the repositories of these stages. Raises `NotFoundError` if the policy does not have one of them."""
    from imagegate.baseline.teams import TeamScope
    from imagegate.baseline.terms import RepositoryTerms

    unknown = [name for name in stages if name not in policy.stages]
    if unknown:
        raise NotFoundError(f"there is no stage {unknown[0]}; there are {', '.join(policy.stages)}")
    names = {name: policy.stages[name].repositories.repository_of("*") for name in stages}
    terms = {name: baseline.stages.get(name, RepositoryTerms()) for name in stages}
    is_open = {name: not (one.access and one.access.only_promotion) for name, one in terms.items()}
    return TeamScope(
        tuple(names.values()),
        tuple(names[name] for name in stages if is_open[name]),
        tuple(names[name] for name in stages if is_open[name] and terms[name].create_on_push),
        environment,
        origin,
    )


def later_names(policy: Policy) -> list[str]:
    """Return the names with `*` of the repositories into which the gate promotes."""
    stages = policy.stages.values()
    entered = {stage.promotes_to for stage in stages}
    return [
        stage.repositories.repository_of("*")
        for stage in stages
        if stage.name in entered and stage.remote is None
    ]
