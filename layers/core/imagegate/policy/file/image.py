"""The rules about the image itself and what is attached to it, and who hears of it, as the policy file has them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from imagegate.findings.finding import Severity
from imagegate.policy.file.rules import RuleShape, rule, switch
from imagegate.policy.file.shape import Shape
from imagegate.policy.file.values import OFF, Platform, Size, Span, TagGlob, Text
from imagegate.policy.file.yaml import describe
from imagegate.policy.rules import DEFAULT_ALERTS, Attention, EvidenceRules, ImageRules, Rule, SbomFormat


def _named(value: object) -> object:
    """A list: the labels must be there, whatever they say."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, list):
        raise ValueError(
            f"must be a list of labels, or a mapping of labels to patterns, not {describe(value)}"
        )
    odd = [name for name in value if not isinstance(name, str)]
    if odd:
        raise ValueError(f"a label is text (in quotes), not {describe(odd[0])}")
    return dict.fromkeys(value, "*")


def _labels(shape: RuleShape[dict[str, str]] | None) -> Rule[Mapping[str, str]] | None:
    """`off` beside a label takes it out of what a layer below asks for."""
    wanted = rule(shape, _asked)
    return wanted if wanted and wanted.value else None


def _asked(labels: Mapping[str, str]) -> Mapping[str, str]:
    return {name: glob for name, glob in labels.items() if glob != OFF}


def _span(value: timedelta) -> timedelta:
    return value


_TEXT = {"type": "string", "minLength": 1}
_Labels = Annotated[
    dict[Text, Text],
    BeforeValidator(_named),
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
    """A name can be root's: only the image's own files say which number it has."""

    names: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="allow: a user that is named, and not root, is taken not to be root.",
    )


class ImageShape(Shape):
    """What the image itself must be like, findings aside."""

    max_age: RuleShape[Span] | None = Field(
        default=None,
        description="At most so long since the image was first pushed into the first stage.",
        examples=["90d"],
    )
    max_size: RuleShape[Size] | None = Field(
        default=None, description="At most so large, compressed, on each platform.", examples=["500MB"]
    )
    labels: RuleShape[_Labels] | None = Field(
        default=None,
        description="Labels that must be there: a list, or a mapping of names to patterns of their values.",
        examples=[["org.opencontainers.image.source"]],
    )
    base_images: RuleShape[Annotated[list[Text], Field(min_length=1)]] | None = Field(
        default=None,
        description="Stages whose released images may be built upon; by its layers, an image must be built on one.",
        examples=[["base"]],
    )
    platforms: RuleShape[Annotated[list[Platform], Field(min_length=1)]] | None = Field(
        default=None, description="Platforms that must be there.", examples=[["linux/amd64", "linux/arm64"]]
    )
    non_root: NonRootShape | None = Field(
        default=None,
        description="true: the image's user must be a number, and not root's.",
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
            max_age=rule(self.max_age, _span),
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
    """What must have been attached to the image, and what is attached to it when it passes."""

    require_signature: RuleShape[bool] | None = Field(
        default=None, description="true: the gate of the stage before must have signed it.", examples=[True]
    )
    require_provenance: RuleShape[Annotated[list[Text], Field(min_length=1)]] | None = Field(
        default=None,
        description="It must say who built it: patterns of builder ids (SLSA provenance).",
        examples=[["https://github.com/actions/runner/*"]],
    )
    sbom: Literal["cyclonedx", "spdx", "off"] = Field(
        default="off",
        description="What passes gets an SBOM by Amazon Inspector in this format, unless it carries one in any format. "
        "Nothing is blocked for the lack of one.",
    )

    def evidence_rules(self) -> EvidenceRules:
        return EvidenceRules(
            switch(self.require_signature),
            rule(self.require_provenance, tuple),
            None if self.sbom == OFF else SbomFormat(self.sbom),
        )


_Attention = Literal["log", "alert"]


class AlertsShape(Shape):
    """Who hears of a release, by the severity of its worst finding. A refusal is always an alert."""

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
        said = {_severity(name): Attention(word) for name, word in given.items() if word}
        return {**DEFAULT_ALERTS, **said}


def _severity(name: str) -> Severity | None:
    return None if name == "none" else Severity.parse(name)
