"""Settings of repositories and of the registry, read for the audit: a part that cannot be read does not hide others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from imagegate.audit.registry_settings import RegistryPart
    from imagegate.audit.settings import RepositoryPart
    from imagegate.baseline.plan import FoundRepository
    from imagegate.baseline.registry import FoundRegistry


@dataclass(frozen=True, slots=True)
class ReadRepository:
    """A repository, how ECR scans it in effect (SCAN_ON_PUSH, CONTINUOUS_SCAN, MANUAL), and the parts that lack."""

    found: FoundRepository
    frequency: str
    unread: Mapping[RepositoryPart, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadRegistry:
    """The documents of the registry, and the parts that lack."""

    found: FoundRegistry
    unread: Mapping[RegistryPart, str] = field(default_factory=dict)


class AuditedSettings(Protocol):
    """The settings of this account's registry in this Region. All calls raise `RetryableError`."""

    def names(self) -> Iterator[str]:
        """Yield the name of every repository, page by page."""

    def read_repository(self, name: str) -> ReadRepository | None:
        """Return a repository, or None if it is gone. Raises any error by which nothing is known about it."""

    def read_registry(
        self,
        *,
        has_cache: bool,
        has_templates: bool,
        has_signing: bool = False,
        account_settings: Iterable[str] = (),
    ) -> ReadRegistry:
        """Return the documents of the registry; of the last four only those that are needed."""
