"""The shapes of the section `baseline`: the settings of repositories in Amazon ECR."""

import re
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from imagegate.baseline.section import DriftReaction, RegistryBaseline
from imagegate.baseline.terms import (
    PRESETS,
    Access,
    Encryption,
    ExpiryRule,
    Frequency,
    Lifecycle,
    RepositoryTerms,
    TagMutability,
    merge,
)
from imagegate.policy.file.schema.registry import Account, RegistryShape
from imagegate.policy.file.schema.shape import Shape
from imagegate.policy.file.values import Text, matching, pattern_schema

_ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")
_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(?:role|user)/[A-Za-z0-9+=,.@_/-]{1,512}")
_KEY = re.compile(
    r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,128}|alias/[A-Za-z0-9/_-]{1,250}"
)
_KEY_OF_AWS = "alias/aws/ecr"
# ImageTagMutabilityExclusionFilterValue of ECR's API.
_TAG_WILDCARD = re.compile(r"[0-9a-zA-Z._*-]{1,128}")
_REPOSITORY_GLOB = re.compile(r"[a-z0-9*](?:[a-z0-9._/*-]{0,254}[a-z0-9*])?")
_FREQUENCIES = {
    "continuous": Frequency.CONTINUOUS,
    "on_push": Frequency.ON_PUSH,
    "manual": Frequency.MANUAL,
}

Principal = Annotated[
    str,
    BeforeValidator(matching(_PRINCIPAL, "a role or user such as arn:aws:iam::ACCOUNT:role/NAME")),
    pattern_schema(_PRINCIPAL),
]
TagWildcard = Annotated[
    str,
    BeforeValidator(matching(_TAG_WILDCARD, "a tag, or a pattern with *")),
    pattern_schema(_TAG_WILDCARD, "dev-*", "latest"),
]
RepositoryGlob = Annotated[
    str,
    BeforeValidator(matching(_REPOSITORY_GLOB, "a repository, or a pattern with *")),
    pattern_schema(_REPOSITORY_GLOB, "shop/*"),
]
Days = Annotated[int, Field(ge=1, le=3650)]
Count = Annotated[int, Field(ge=1, le=100_000)]


def _word_to(key: str, accepted: Any) -> Any:
    """Return a validator that makes `{key: word}` from a word alone. `accepted`: words and shape, for editors."""
    return BeforeValidator(
        lambda value: {key: value} if isinstance(value, str) else value, json_schema_input_type=accepted
    )


class TagMutabilityShape(Shape):
    """The tags of a repository that may be moved."""

    mode: Literal["mutable", "immutable"] = Field(description="immutable: a tag always names the same image.")
    except_: Annotated[list[TagWildcard], Field(max_length=5)] = Field(
        default=[],
        alias="except",
        description="Tags of the other kind, as patterns with *: at most five.",
        examples=[["latest", "dev-*"]],
    )

    def mutability(self) -> TagMutability:
        return TagMutability(self.mode == "immutable", tuple(self.except_))


class EncryptionShape(Shape):
    """The encryption of the images. It is fixed when a repository is created."""

    type: Literal["AES256", "KMS", "KMS_DSSE"] = Field(
        description="AES256: by keys of Amazon S3. KMS, KMS_DSSE (AWS GovCloud only): by a key of AWS KMS."
    )
    key: (
        Annotated[
            str,
            BeforeValidator(matching(_KEY, "a key such as arn:aws:kms:REGION:ACCOUNT:key/ID, or alias/NAME")),
            pattern_schema(_KEY),
        ]
        | None
    ) = Field(
        default=None,
        description="ARN or alias/NAME of your own key in AWS KMS. Default: the key of AWS for ECR.",
    )

    @model_validator(mode="after")
    def _has_a_use(self) -> Self:
        if self.type == "AES256" and self.key:
            raise ValueError("a key goes with type: KMS")
        return self

    def encryption(self) -> Encryption:
        return Encryption(self.type, self.key if self.key != _KEY_OF_AWS else None)


class ExpiryShape(Shape):
    """One rule for images by their tags."""

    tags: TagWildcard = Field(description="A pattern of tags: one for each rule.", examples=["dev-*"])
    count: Count | None = Field(default=None, description="Keep the newest so many.")
    days: Days | None = Field(default=None, description="Keep those that were pushed in so many days.")

    @model_validator(mode="after")
    def _has_one_limit(self) -> Self:
        if (self.count is None) == (self.days is None):
            raise ValueError("must have a count or days, and not both")
        return self


class LifecycleShape(Shape):
    """The lifecycle policy, by counts and ages, or as a document."""

    max_images: Count | None = Field(default=None, description="Keep at most so many images.")
    untagged_days: Days | None = Field(default=None, description="Expire untagged images after so many days.")
    rules: list[ExpiryShape] | None = Field(
        default=None,
        description="Rules by tags. An image follows the first rule that matches one of its tags.",
    )
    not_pulled_days: Days | None = Field(
        default=None,
        description="Archive images that nobody has pulled for so many days; max_images has no effect then.",
    )
    archive: bool | None = Field(
        default=None,
        description="Archive images, and expire them 90 days later, instead of expiring them at once.",
    )
    document: Annotated[dict[str, Any], WithJsonSchema({"type": "object"})] | None = Field(
        default=None,
        description="A lifecycle policy of your own, as Amazon ECR has it, instead of the keys above.",
    )

    def lifecycle(self) -> Lifecycle:
        rules = [ExpiryRule(one.tags, one.count, one.days) for one in self.rules or ()]
        return Lifecycle(
            self.max_images,
            self.untagged_days,
            None if self.rules is None else tuple(rules),
            self.not_pulled_days,
            self.archive,
            self.document,
        )


class AccessShape(Shape):
    """The statements of the repository policy. Statements of others stay."""

    read_accounts: list[Account] | None = Field(default=None, description="Accounts that may pull.")
    write_accounts: list[Account] | None = Field(default=None, description="Accounts that may pull and push.")
    roles: list[Principal] | None = Field(default=None, description="Roles and users that may pull.")
    organization: (
        Annotated[
            str,
            BeforeValidator(matching(_ORGANIZATION, "an organization such as o-a1b2c3d4e5")),
            pattern_schema(_ORGANIZATION),
        ]
        | None
    ) = Field(default=None, description="Every account of this organization may pull.")
    lambda_pull: bool | None = Field(
        default=None, description="AWS Lambda may pull, for functions of this account and of read_accounts."
    )
    push: Literal["anybody", "promotion"] | None = Field(
        default=None,
        description="promotion: nobody pushes but the gate itself and push_exceptions. anybody: whom IAM permits.",
    )
    push_exceptions: list[Principal] | None = Field(
        default=None, description="Roles and users that may push beside the gate."
    )

    def access(self) -> Access:
        listed = {
            key: None if value is None else tuple(value)
            for key in ("read_accounts", "write_accounts", "roles", "push_exceptions")
            for value in [getattr(self, key)]
        }
        only_promotion = None if self.push is None else self.push == "promotion"
        return Access(
            **listed,
            organization=self.organization,
            lambda_pull=self.lambda_pull,
            only_promotion=only_promotion,
        )


class RepositoryTermsShape(Shape):
    """The settings of repositories. A setting that is not named is left as it is."""

    preset: Literal["development", "staging", "production"] | None = Field(
        default=None, description="Settings to start from; the keys beside it replace them."
    )
    tag_mutability: (
        Annotated[TagMutabilityShape, _word_to("mode", Literal["mutable", "immutable"] | TagMutabilityShape)]
        | None
    ) = Field(default=None, description="mutable, immutable, or {mode: immutable, except: [dev-*]}.")
    scan_on_push: bool | None = Field(default=None, description="Basic scanning looks at each pushed image.")
    scanning: Literal["continuous", "on_push", "manual"] | None = Field(
        default=None,
        description="Enhanced scanning, by a rule of the registry. manual: these repositories have no rule.",
    )
    encryption: (
        Annotated[EncryptionShape, _word_to("type", Literal["AES256", "KMS", "KMS_DSSE"] | EncryptionShape)]
        | None
    ) = Field(default=None, description="AES256, KMS, or {type: KMS, key: …}.")
    lifecycle: LifecycleShape | None = Field(
        default=None, description="When images expire or go to the archive."
    )
    access: AccessShape | None = Field(
        default=None, description="Who may pull and push by repository policy."
    )
    tags: dict[Text, str] = Field(
        default_factory=dict,
        description="Tags of the repository; other tags stay.",
        examples=[{"Owner": "team-shop", "CostCenter": "4711"}],
    )
    create_on_push: bool | None = Field(
        default=None,
        description="A first push creates a repository with these settings, by a template of the registry.",
    )

    def terms(self, *, is_entered: bool = True) -> RepositoryTerms:
        """Return the terms. Where no stage promotes into this one, a preset keeps nobody from pushing."""
        own = RepositoryTerms(
            tag_mutability=self.tag_mutability.mutability() if self.tag_mutability else None,
            scan_on_push=self.scan_on_push,
            scanning=_FREQUENCIES[self.scanning] if self.scanning else None,
            encryption=self.encryption.encryption() if self.encryption else None,
            lifecycle=self.lifecycle.lifecycle() if self.lifecycle else None,
            access=self.access.access() if self.access else None,
            tags=self.tags,
            create_on_push=self.create_on_push,
        )
        if self.preset is None:
            return own
        preset = PRESETS[self.preset]
        return merge(preset if is_entered else replace(preset, access=None), own)


class BaselineShape(Shape):
    """The settings that repositories and the registry should have: `imagegate baseline plan` compares them."""

    stages: dict[str, RepositoryTermsShape] = Field(
        default_factory=dict, description="Settings of the repositories of a stage, by the stage's name."
    )
    repositories: dict[RepositoryGlob, RepositoryTermsShape] = Field(
        default_factory=dict,
        description="Settings by patterns of names; a later pattern replaces an earlier one, and each the stage.",
    )

    registry: RegistryShape = Field(
        default_factory=RegistryShape.model_construct, description="Settings of the registry as a whole."
    )

    drift: Literal["report", "restore"] = Field(
        default="report",
        description="Settings that somebody changes: report sends a message; restore puts those of repositories back, "
        "too, if the stack's parameter RestoreBaseline is on. Default: report.",
    )

    def baseline(self, entered: AbstractSet[str]) -> RegistryBaseline:
        """Return the section. `entered`: the stages into which another one promotes."""
        return RegistryBaseline(
            {name: terms.terms(is_entered=name in entered) for name, terms in self.stages.items()},
            {glob: terms.terms() for glob, terms in self.repositories.items()},
            self.registry.terms(),
            DriftReaction(self.drift),
        )
