"""The shapes of the rules about the image itself and its evidence, and of alerts."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from imagegate.findings.finding import Severity
from imagegate.policy.file.schema.shape import RuleShape, Shape, rule, switch
from imagegate.policy.file.values import OFF, LongDuration, Platform, Size, TagGlob, Text
from imagegate.policy.file.yaml import describe
from imagegate.policy.rules import DEFAULT_ALERTS, Attention, EvidenceRules, ImageRules, Rule, SbomFormat


def _label_patterns(value: object) -> object:
    """Read a mapping, or a list of labels that must be there with any value."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, list):
        raise ValueError(
            f"must be a list of labels, or a mapping of labels to patterns, not {describe(value)}"
        )
    for name in value:
        if not isinstance(name, str):
            raise ValueError(f"a label is text (in quotes), not {describe(name)}")
    return dict.fromkeys(value, "*")


def _labels(shape: RuleShape[dict[str, str]] | None) -> Rule[Mapping[str, str]] | None:
    """Return the rule without the labels that are off, or None if no label is left."""
    labels = rule(shape, _without_off)
    return labels if labels and labels.value else None


def _without_off(labels: Mapping[str, str]) -> Mapping[str, str]:
    return {name: glob for name, glob in labels.items() if glob != OFF}


_TEXT = {"type": "string", "minLength": 1}
_Labels = Annotated[
    dict[Text, Text],
    BeforeValidator(_label_patterns),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": _TEXT, "minItems": 1},
                {"type": "object", "additionalProperties": _TEXT},
            ]
        }
    ),
]


class NonRootShape(RuleShape[bool]):
    """The rule non_root. A named user can be root: only the image's own files say which number the name has."""

    names: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="allow: a named user that is not called root is accepted.",
    )


class ImageShape(Shape):
    """The rules about the image itself, apart from its findings."""

    max_age: RuleShape[LongDuration] | None = Field(
        default=None,
        description="The longest time since the image was first pushed into the first stage.",
        examples=["90d"],
    )
    max_size: RuleShape[Size] | None = Field(
        default=None, description="The largest compressed size of each platform.", examples=["500MB"]
    )
    labels: RuleShape[_Labels] | None = Field(
        default=None,
        description="Labels that must be there: a list, or a mapping of names to patterns of their values.",
        examples=[["org.opencontainers.image.source"]],
    )
    base_images: RuleShape[Annotated[list[Text], Field(min_length=1)]] | None = Field(
        default=None,
        description="Stages whose released images may be built on: the layers of an image begin with those of one.",
        examples=[["base"]],
    )
    platforms: RuleShape[Annotated[list[Platform], Field(min_length=1)]] | None = Field(
        default=None, description="Platforms that must be there.", examples=[["linux/amd64", "linux/arm64"]]
    )
    non_root: NonRootShape | None = Field(
        default=None,
        description="true: the image's user must be a number other than root's.",
        examples=[True, {"value": True, "names": "allow"}],
    )
    tags: RuleShape[Annotated[list[TagGlob], Field(min_length=1)]] | None = Field(
        default=None, description="Each tag must match one of these patterns.", examples=[["v*"]]
    )
    forbidden_tags: RuleShape[Annotated[list[TagGlob], Field(min_length=1)]] | None = Field(
        default=None, description="No tag may match one of these patterns.", examples=[["latest"]]
    )

    def image_rules(self) -> ImageRules:
        return ImageRules(
            max_age=rule(self.max_age, lambda age: age),
            max_size=rule(self.max_size, int),
            labels=_labels(self.labels),
            base_images=rule(self.base_images, tuple),
            platforms=rule(self.platforms, frozenset),
            non_root=switch(self.non_root),
            user_names=True if self.non_root and self.non_root.names == "allow" else None,
            tags=rule(self.tags, tuple),
            forbidden_tags=rule(self.forbidden_tags, tuple),
        )


class EvidenceShape(Shape):
    """The evidence that an image must carry, and the SBOM that is attached to it when it passes."""

    require_signature: RuleShape[bool] | None = Field(
        default=None, description="true: the gate of the stage before must have signed it.", examples=[True]
    )
    require_provenance: RuleShape[Annotated[list[Text], Field(min_length=1)]] | None = Field(
        default=None,
        description="It must have an SLSA provenance by one of these builders: patterns of builder ids.",
        examples=[["https://github.com/actions/runner/*"]],
    )
    sbom: Literal["cyclonedx", "spdx", "off"] = Field(
        default="off",
        description="An image that passes gets an SBOM by Amazon Inspector in this format, unless it carries one in "
        "any format. No image is blocked for the lack of one.",
    )

    def evidence_rules(self) -> EvidenceRules:
        return EvidenceRules(
            switch(self.require_signature),
            rule(self.require_provenance, tuple),
            None if self.sbom == OFF else SbomFormat(self.sbom),
        )


_Attention = Literal["log", "alert"]


class AlertsShape(Shape):
    """The ways to announce a release, by the severity of its worst finding. A refusal is always an alert."""

    none: _Attention | None = Field(default=None, description="No finding at all.")
    informational: _Attention | None = Field(default=None, description="INFORMATIONAL is the worst finding.")
    low: _Attention | None = Field(default=None, description="LOW is the worst finding.")
    medium: _Attention | None = Field(default=None, description="MEDIUM is the worst finding.")
    high: _Attention | None = Field(default=None, description="HIGH is the worst finding.")
    critical: _Attention | None = Field(default=None, description="CRITICAL is the worst finding.")
    undefined: _Attention | None = Field(
        default=None, description="A finding that is not rated yet is the worst."
    )

    def attention(self) -> dict[Severity | None, Attention]:
        given = {name: getattr(self, name) for name in type(self).model_fields}
        alerts = {_severity(name): Attention(word) for name, word in given.items() if word}
        return {**DEFAULT_ALERTS, **alerts}


def _severity(name: str) -> Severity | None:
    return None if name == "none" else Severity.parse(name)
