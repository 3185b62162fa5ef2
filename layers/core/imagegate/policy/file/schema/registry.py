"""The shapes of the part `registry` of the section `baseline`: the settings of a registry as a whole."""

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from imagegate.baseline.terms import CacheRule, RegistryTerms, ReplicationRule, SigningRule
from imagegate.policy.file.schema.shape import Shape
from imagegate.policy.file.values import Region, RoleArn, matching, pattern_schema

_ACCOUNT = re.compile(r"[0-9]{12}")
_PREFIX = re.compile(r"[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*/?")
# The filter of a replication rule: the beginning of a name, wherever it ends.
_REPLICATED = re.compile(r"[a-z0-9][a-z0-9._/-]{1,255}")
_SECRET = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:ecr-pullthroughcache/[A-Za-z0-9/_+=.@-]{1,512}"
)
_PROFILE = re.compile(r"arn:aws[a-z-]*:signer:[a-z0-9-]+:[0-9]{12}:/signing-profiles/[a-zA-Z0-9_]{2,64}")
# The filters of PutSigningConfiguration.
_SIGNED = re.compile(r"(?:[a-z0-9*]+(?:[._-][a-z0-9*]+)*/)*[a-z0-9*]+(?:[._-][a-z0-9*]+)*")
_HOST = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
# Amazon ECR user guide, "Creating a pull through cache rule".
_UPSTREAMS = {
    "docker-hub": "registry-1.docker.io",
    "ghcr": "ghcr.io",
    "quay": "quay.io",
    "k8s": "registry.k8s.io",
    "ecr-public": "public.ecr.aws",
}

Account = Annotated[
    str,
    BeforeValidator(matching(_ACCOUNT, 'an account of 12 digits in quotes, such as "210987654321"')),
    # An editor may take the digits for a number, even in quotes.
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": "^[0-9]{12}$"}, {"type": "number"}]}),
]
Prefix = Annotated[
    str,
    BeforeValidator(matching(_PREFIX, "the beginning of a repository's name, such as shop/")),
    pattern_schema(_PREFIX, "shop/"),
]


class DestinationShape(Shape):
    """A destination of replication."""

    region: Region = Field(description="The Region.")
    account: Account | None = Field(default=None, description="Its account. Default: this account.")


class ReplicationRuleShape(Shape):
    """A rule of the registry that copies each pushed image."""

    to: Annotated[list[DestinationShape], Field(min_length=1)] = Field(description="The destinations.")
    prefixes: list[
        Annotated[
            str,
            BeforeValidator(
                matching(_REPLICATED, "the beginning of a repository's name, such as shop-prod-")
            ),
            pattern_schema(_REPLICATED, "shop-prod-"),
        ]
    ] = Field(
        default=[], description="Repositories whose names begin so. Default: all.", examples=[["prod/"]]
    )

    def rule(self) -> ReplicationRule:
        return ReplicationRule(tuple((one.region, one.account) for one in self.to), tuple(self.prefixes))


class CacheRuleShape(Shape):
    """A pull-through cache."""

    upstream: Annotated[
        str,
        BeforeValidator(
            matching(_HOST, "docker-hub, ghcr, quay, k8s, ecr-public, or the host of a registry")
        ),
        pattern_schema(_HOST, *_UPSTREAMS),
    ] = Field(description="docker-hub, ghcr, quay, k8s, ecr-public, or the host of a registry.")
    credentials: (
        Annotated[
            str,
            BeforeValidator(matching(_SECRET, "a secret whose name begins with ecr-pullthroughcache/")),
            pattern_schema(_SECRET),
        ]
        | None
    ) = Field(
        default=None, description="ARN of the secret with user and token: docker-hub and ghcr need one."
    )
    role: RoleArn | None = Field(default=None, description="Role for Amazon ECR in another account.")

    def rule(self) -> CacheRule:
        return CacheRule(_UPSTREAMS.get(self.upstream, self.upstream), self.credentials, self.role)


class SigningRuleShape(Shape):
    """A rule of managed signing."""

    profile: Annotated[
        str,
        BeforeValidator(matching(_PROFILE, "the ARN of a signing profile of AWS Signer")),
        pattern_schema(_PROFILE),
    ] = Field(description="ARN of the signing profile: not one of the gate's.")
    repositories: list[
        Annotated[
            str,
            BeforeValidator(matching(_SIGNED, "a repository, or a pattern with *")),
            pattern_schema(_SIGNED, "tools/*"),
        ]
    ] = Field(default=[], description="The repositories, as patterns with *. Default: all.")

    def rule(self) -> SigningRule:
        return SigningRule(self.profile, tuple(self.repositories))


class AccountShape(Shape):
    """Settings of the account in Amazon ECR."""

    basic_scanning: Literal["AWS_NATIVE"] | None = Field(
        default=None, description="The scanner of basic scanning (BASIC_SCAN_TYPE_VERSION)."
    )
    policy_scope: Literal["V1", "V2"] | None = Field(
        default=None,
        description="V2: the registry policy counts for every action, and not for three alone (REGISTRY_POLICY_SCOPE).",
    )
    blob_mounting: bool | None = Field(
        default=None, description="A push takes layers from another repository (BLOB_MOUNTING)."
    )

    def settings(self) -> dict[str, str]:
        mounting = {True: "ENABLED", False: "DISABLED", None: None}[self.blob_mounting]
        values = {
            "BASIC_SCAN_TYPE_VERSION": self.basic_scanning,
            "REGISTRY_POLICY_SCOPE": self.policy_scope,
            "BLOB_MOUNTING": mounting,
        }
        return {name: value for name, value in values.items() if value is not None}


class RegistryShape(Shape):
    """The settings of the registry: rules of others stay."""

    scanning: Literal["basic", "enhanced"] | None = Field(
        default=None, description="The scanning of the whole registry; which repositories, the terms say."
    )
    replication: list[ReplicationRuleShape] = Field(default=[], description="Rules that the registry has.")
    allowed_regions: list[Region] | None = Field(
        default=None, description="The Regions to which images may be copied, for data residency."
    )
    replication_from: list[Account] | None = Field(
        default=None, description="Accounts that may replicate into this registry, by the registry policy."
    )
    pull_through_cache: dict[Prefix, CacheRuleShape] = Field(
        default_factory=dict, description="Caches of other registries, by the prefix of their repositories."
    )
    template_role: RoleArn | None = Field(
        default=None, description="The role by which ECR makes repositories with KMS or tags on a first push."
    )

    managed_signing: Annotated[list[SigningRuleShape], Field(max_length=10)] = Field(
        default=[],
        description="ECR signs each push, whether it passes or not: for other programs that ask for a signature.",
    )
    account: AccountShape = Field(
        default_factory=AccountShape.model_construct, description="Settings of the account."
    )

    @model_validator(mode="after")
    def _stays_in_the_allowed_regions(self) -> Self:
        regions = {one.region for rule in self.replication for one in rule.to}
        outside = sorted(regions - set(self.allowed_regions or regions))
        if outside:
            raise ValueError(f"replication goes to {', '.join(outside)}, which allowed_regions does not have")
        return self

    def terms(self) -> RegistryTerms:
        return RegistryTerms(
            scan_type=self.scanning.upper() if self.scanning else None,
            replication=tuple(rule.rule() for rule in self.replication),
            allowed_regions=None if self.allowed_regions is None else tuple(self.allowed_regions),
            replication_from=None if self.replication_from is None else tuple(self.replication_from),
            cache={prefix: rule.rule() for prefix, rule in self.pull_through_cache.items()},
            template_role=self.template_role,
            signing=tuple(rule.rule() for rule in self.managed_signing),
            account=self.account.settings(),
        )
