"""The terms of a baseline: the settings that a registry, and repositories of a stage or of a pattern, should have.

A setting that no layer names is left as it is. Layers, the lower first: preset, stage, patterns in the order of the
file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")


class SettingsDocument(StrEnum):
    """The settings of a repository that need a call of their own to be read."""

    SCANNING_RULE = "scanning rule"  # of the registry, if the repository is not scanned by itself
    LIFECYCLE = "lifecycle"
    POLICY = "policy"
    TAGS = "tags"


class Frequency(StrEnum):
    """The times at which enhanced scanning looks at the images of a repository."""

    CONTINUOUS = "CONTINUOUS_SCAN"
    ON_PUSH = "SCAN_ON_PUSH"
    MANUAL = "MANUAL"  # under enhanced scanning: never


@dataclass(frozen=True, slots=True)
class TagMutability:
    """The tags that may be moved: all or none, except those that match a pattern with `*`."""

    is_immutable: bool
    exceptions: tuple[str, ...] = ()

    @property
    def mode(self) -> str:
        """The value of `imageTagMutability`."""
        name = "IMMUTABLE" if self.is_immutable else "MUTABLE"
        return f"{name}_WITH_EXCLUSION" if self.exceptions else name

    def __str__(self) -> str:
        names = f" except {', '.join(self.exceptions)}" if self.exceptions else ""
        return ("IMMUTABLE" if self.is_immutable else "MUTABLE") + names


@dataclass(frozen=True, slots=True)
class Encryption:
    """The encryption of a repository. Without a key, KMS uses the key of AWS for ECR."""

    type: str  # AES256, KMS, KMS_DSSE
    key: str | None = None  # ARN, or alias/NAME until somebody asked AWS KMS

    @property
    def names_an_alias(self) -> bool:
        return self.key is not None and self.key.startswith("alias/")

    def __str__(self) -> str:
        return f"{self.type} with {self.key}" if self.key else self.type


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """One rule for images whose tags match a pattern: keep the newest `count`, or those of the last `days`."""

    pattern: str
    count: int | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The lifecycle policy: a document, or the counts and ages that it is rendered from."""

    max_images: int | None = None
    untagged_days: int | None = None
    rules: tuple[ExpiryRule, ...] | None = None
    not_pulled_days: int | None = None  # archives images that nobody pulled for so long
    archives: bool | None = None  # archive, and expire after 90 days, instead of expire at once
    document: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """The statements of the repository policy. A value of None means no statement."""

    read_accounts: tuple[str, ...] | None = None
    write_accounts: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None  # ARNs that may pull
    organization: str | None = None
    lambda_pull: bool | None = None
    only_promotion: bool | None = None  # nobody pushes but the gate's roles and the exceptions
    push_exceptions: tuple[str, ...] | None = None  # ARNs


@dataclass(frozen=True, slots=True)
class RepositoryTerms:
    """The settings of a repository. A setting of None is left as it is."""

    tag_mutability: TagMutability | None = None
    scan_on_push: bool | None = None
    scanning: Frequency | None = None  # by a rule of the registry
    encryption: Encryption | None = None
    lifecycle: Lifecycle | None = None
    access: Access | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    create_on_push: bool | None = None  # by a template of the registry

    @property
    def documents(self) -> frozenset[SettingsDocument]:
        """The documents that have to be read to compare a repository with these terms."""
        named = {
            SettingsDocument.SCANNING_RULE: self.scan_on_push,
            SettingsDocument.LIFECYCLE: self.lifecycle,
            SettingsDocument.POLICY: self.access,
            SettingsDocument.TAGS: self.tags,
        }
        return frozenset(document for document, value in named.items() if value)


@dataclass(frozen=True, slots=True)
class ReplicationRule:
    """Copies to other Regions and accounts, of all repositories or of those with a prefix."""

    destinations: tuple[tuple[str, str | None], ...]  # Region, and account; None: this account
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CacheRule:
    """A pull-through cache: repositories with the prefix are copies of another registry's."""

    upstream: str  # host name
    credentials: str | None = None  # ARN of a secret
    role: str | None = None  # ARN, for Amazon ECR in another account


@dataclass(frozen=True, slots=True)
class SigningRule:
    """ECR signs what is pushed into these repositories, whether it passes a gate or not."""

    profile: str  # ARN of a signing profile
    repositories: tuple[str, ...] = ()  # names with *; none: all


@dataclass(frozen=True, slots=True)
class RegistryTerms:
    """The settings of the registry. A setting of None, or without rules, is left as it is."""

    scan_type: str | None = None  # BASIC or ENHANCED
    replication: tuple[ReplicationRule, ...] = ()
    allowed_regions: tuple[str, ...] | None = None  # of replication, for data residency
    replication_from: tuple[str, ...] | None = None  # accounts
    cache: Mapping[str, CacheRule] = field(default_factory=dict)  # by prefix
    template_role: str | None = None  # ARN; a template needs it for KMS and for tags
    signing: tuple[SigningRule, ...] = ()
    account: Mapping[str, str] = field(default_factory=dict)  # by the name of the setting


PRESETS: Mapping[str, RepositoryTerms] = {
    "development": RepositoryTerms(
        tag_mutability=TagMutability(is_immutable=False),
        scan_on_push=True,
        encryption=Encryption("AES256"),
        lifecycle=Lifecycle(max_images=50),
        tags={"Environment": "development"},
    ),
    "staging": RepositoryTerms(
        tag_mutability=TagMutability(is_immutable=False),
        scan_on_push=True,
        scanning=Frequency.ON_PUSH,
        encryption=Encryption("KMS"),
        lifecycle=Lifecycle(max_images=50),
        access=Access(only_promotion=True),
        tags={"Environment": "staging"},
    ),
    "production": RepositoryTerms(
        tag_mutability=TagMutability(is_immutable=True),
        scan_on_push=True,
        scanning=Frequency.CONTINUOUS,
        encryption=Encryption("KMS"),
        lifecycle=Lifecycle(max_images=100, archives=True),
        access=Access(only_promotion=True),
        tags={"Environment": "production", "SecurityLevel": "high"},
    ),
}


def merge_all(layers: Sequence[RepositoryTerms]) -> RepositoryTerms:
    """Return the terms of all layers, the lower first."""
    merged = RepositoryTerms()
    for layer in layers:
        merged = merge(merged, layer)
    return merged


def merge(below: T, above: T) -> T:
    """Return the upper layer, with the lower one's values where it has none.

    Mappings, lifecycle and access are merged by key; everything else is replaced as a whole.
    """
    values = {one.name: _merged(getattr(below, one.name), getattr(above, one.name)) for one in fields(below)}  # type: ignore[arg-type]
    return replace(below, **values)  # type: ignore[type-var]


def _merged(below: Any, above: Any) -> Any:
    if below is None or above is None:
        return below if above is None else above
    if isinstance(above, Lifecycle | Access) and is_dataclass(below):
        return merge(below, above)
    if isinstance(above, Mapping):
        return {**below, **above}
    return above
