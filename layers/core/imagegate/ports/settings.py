"""The settings of repositories and of the registry in Amazon ECR."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from imagegate.baseline.plan import Change, FoundRepository
    from imagegate.baseline.registry import FoundRegistry
    from imagegate.baseline.terms import SettingsDocument


class NewRepositories(Protocol):
    """Makes repositories at the baseline."""

    def create(self, name: str, like: str) -> None:
        """Create a repository, with what the baseline does not name from `like`; one that is there is no fault."""


class ChangeableSettings(Protocol):
    """Reads and changes settings. Each call raises `ThrottledError` if ECR gets too many requests."""

    def names(self) -> Iterator[str]:
        """Yield the name of every repository."""

    def described(self, names: Sequence[str]) -> dict[str, FoundRepository]:
        """Return those of at most 100 repositories that are there, without their documents and tags."""

    def completed(self, found: FoundRepository, documents: Collection[SettingsDocument]) -> FoundRepository:
        """Return the repository with these documents, each by a call of its own."""

    def registry(
        self,
        *,
        has_cache: bool,
        has_templates: bool,
        has_signing: bool = False,
        account_settings: Iterable[str] = (),
    ) -> FoundRegistry:
        """Return the documents of the registry; caches, templates and signing only if they are needed.

        `account_settings`: the names of those that are needed.
        """

    def send(self, change: Change) -> None:
        """Carry out a change. Raises `AccessRefusedError`; other errors of ECR propagate."""
