"""The whole baseline, whether or not ECR has these settings already: for the templates of other tools.

Settings that the baseline does not name are those that a repository has now: another tool would set them to its own
defaults. Encryption stays as it is, because another tool would replace the repository, and its images with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imagegate.baseline.lifecycle_rules import lifecycle_document
from imagegate.baseline.plan import Change, FoundRepository, creation_request
from imagegate.baseline.repository_policy import GateRegistry, own_statements
from imagegate.baseline.statements import with_own
from imagegate.baseline.terms import Lifecycle, RepositoryTerms, merge

if TYPE_CHECKING:
    from imagegate.baseline.registry import FoundRegistry

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WholeRepository:
    """A repository as it should be. `found` is None if it does not exist."""

    creation: Document  # the request of CreateRepository
    lifecycle: Document | None
    policy: Document | None
    found: FoundRepository | None = None

    @property
    def name(self) -> str:
        return str(self.creation["repositoryName"])


@dataclass(frozen=True, slots=True)
class WholeBaseline:
    """All repositories, and the changes of the registry: those of settings that are there already, too.

    `found` is None if the registry is left out.
    """

    registry: GateRegistry
    repositories: Sequence[WholeRepository] = ()
    changes: Sequence[Change] = ()
    found: FoundRegistry | None = None


def whole_repository(
    name: str, terms: RepositoryTerms, found: FoundRepository | None, registry: GateRegistry
) -> WholeRepository:
    """Return the repository as the baseline wants it, with the settings and statements of others."""
    complete = terms if found is None else _with_present(terms, found)
    policy = found.policy if found else None
    if terms.access is not None:
        policy = with_own(policy, own_statements(terms.access, registry))
    lifecycle = lifecycle_document(complete.lifecycle) if complete.lifecycle else None
    return WholeRepository(creation_request(name, complete), lifecycle, policy, found)


def _with_present(terms: RepositoryTerms, found: FoundRepository) -> RepositoryTerms:
    tags = {key: value for key, value in found.tags.items() if not key.startswith("aws:")}
    present = RepositoryTerms(
        found.tag_mutability, found.scan_on_push, encryption=found.encryption, tags=tags
    )
    lifecycle = terms.lifecycle or (Lifecycle(document=found.lifecycle) if found.lifecycle else None)
    return replace(merge(present, terms), encryption=found.encryption, lifecycle=lifecycle)
