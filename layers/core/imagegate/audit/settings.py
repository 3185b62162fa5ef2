"""Checks of the settings of one repository, against the policy's baseline and without one.

A setting that could not be read is not assessed. A check that the baseline leaves open, and that is no fault by itself,
is not counted at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from imagegate.audit.checks import CATALOGUE
from imagegate.audit.finding import AdvisedRemedy, AuditedResource, AuditFinding
from imagegate.audit.report import CheckOutcome, CheckPassed, NotAssessed
from imagegate.baseline.plan import FoundRepository, SettingsPlan, plan_repository
from imagegate.baseline.terms import Frequency, RepositoryTerms
from imagegate.errors import ImageGateError
from imagegate.lifecycle.rules import InvalidLifecycleError, LifecycleRule, parse_lifecycle

if TYPE_CHECKING:
    from imagegate.baseline.repository_policy import GateRegistry
    from imagegate.policy.policy import Stage


class RepositoryPart(StrEnum):
    """The parts of a repository's settings. Each is read by a call of its own, which can fail by itself."""

    LIFECYCLE = "lifecycle policy"
    POLICY = "repository policy"
    TAGS = "tags"
    SCANNING = "scanning configuration"
    IMAGES = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySettings:
    """The settings of a repository as they are. `unread`: the parts that could not be read, and why.

    `frequency`: how ECR scans it in effect, by rules of the registry and its own setting. `image_tags`: the tags of
    each of its images, empty for an untagged one.
    """

    resource: AuditedResource
    found: FoundRepository
    frequency: str = Frequency.MANUAL
    image_tags: Collection[frozenset[str]] = ()
    unread: Mapping[RepositoryPart, str] = field(default_factory=dict)
    owner: str | None = None

    @property
    def name(self) -> str:
        return self.found.name


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryExpectations:
    """The settings that a repository should have. `terms` is None if the baseline says nothing about it."""

    registry: GateRegistry
    stage: Stage | None = None
    terms: RepositoryTerms | None = None

    @property
    def known(self) -> RepositoryTerms:
        return self.terms or RepositoryTerms()


@dataclass(frozen=True, slots=True)
class SettingFault:
    """A fault of a setting, as a sentence, and the way out."""

    detail: str
    remedy: AdvisedRemedy


class NotToldError(ImageGateError):
    """Nothing tells whether a check passes; the message says why."""


# A check looks at the settings and returns its fault, or True if it passes, or None if it is not counted.
Answer = SettingFault | bool | None
Look = Callable[[RepositorySettings, RepositoryExpectations], Answer]
Looks = Mapping[
    str, tuple[Look, Collection[RepositoryPart]]
]  # by the check's id, with the parts that it needs


def check_settings(
    settings: RepositorySettings,
    expected: RepositoryExpectations,
    looks: Mapping[str, tuple[Look, Collection[RepositoryPart]]],
) -> Iterator[CheckOutcome]:
    """Yield the outcome of each look."""
    for name, (look, parts) in looks.items():
        check = CATALOGUE[name]
        unread = [settings.unread[part] for part in parts if part in settings.unread]
        if unread:
            yield NotAssessed(check, settings.resource, unread[0])
            continue
        try:
            answer = look(settings, expected)
        except NotToldError as reason:
            yield NotAssessed(check, settings.resource, str(reason))
            continue
        if isinstance(answer, SettingFault):
            yield AuditFinding(
                check=check,
                resource=settings.resource,
                detail=answer.detail,
                remedy=answer.remedy,
                owner=settings.owner,
            )
        elif answer:
            yield CheckPassed(check)


def apply_baseline(settings: RepositorySettings, text: str = "bring it to the baseline") -> AdvisedRemedy:
    """Return the remedy that applies the baseline to the repository."""
    return AdvisedRemedy(text, f"imagegate baseline apply {settings.name}")


def _plan(settings: RepositorySettings, expected: RepositoryExpectations) -> SettingsPlan:
    return plan_repository(settings.name, expected.known, settings.found, expected.registry)


def _scan_off(settings: RepositorySettings, expected: RepositoryExpectations) -> Answer:
    terms = expected.known
    is_wanted_off = terms.scanning is Frequency.MANUAL or (
        terms.scanning is None and terms.scan_on_push is False
    )
    if settings.frequency != Frequency.MANUAL:
        return True
    if is_wanted_off:
        return None
    command = (
        f"aws ecr put-image-scanning-configuration --repository-name {settings.name}"
        " --image-scanning-configuration scanOnPush=true"
    )
    remedy = (
        apply_baseline(settings)
        if terms.scan_on_push or terms.scanning
        else AdvisedRemedy(
            "scan on push; under enhanced scanning, by a rule of the registry instead", command
        )
    )
    return SettingFault("neither its own setting nor a rule of the registry has its images scanned", remedy)


def _scan_frequency(settings: RepositorySettings, expected: RepositoryExpectations) -> Answer:
    wanted = expected.known.scanning
    if wanted is None or settings.frequency == Frequency.MANUAL:
        return None
    if settings.frequency in (wanted, Frequency.CONTINUOUS):
        return True
    remedy = AdvisedRemedy("set the rules of the registry by the baseline", "imagegate baseline apply")
    return SettingFault(f"{settings.frequency}, and should be {wanted}", remedy)


def _tags_mutable(settings: RepositorySettings, expected: RepositoryExpectations) -> Answer:
    mutability, wanted = settings.found.tag_mutability, expected.known.tag_mutability
    if wanted is None:
        if mutability.is_immutable and not mutability.exceptions:
            return True
        command = f"aws ecr put-image-tag-mutability --repository-name {settings.name} --image-tag-mutability IMMUTABLE"
        text = "make tags immutable, or say in the baseline which may move"
        return SettingFault(f"{mutability}, and the baseline does not say so", AdvisedRemedy(text, command))
    change = next((one for one in _plan(settings, expected).changes if one.setting == "tag mutability"), None)
    if change is not None:
        return SettingFault(f"{change.before}, and should be {change.after}", apply_baseline(settings))
    return True if mutability.is_immutable else None


def _encryption(settings: RepositorySettings, expected: RepositoryExpectations) -> Answer:
    if expected.known.encryption is None:
        return None
    remark = next((one for one in _plan(settings, expected).remarks if one.setting == "encryption"), None)
    if remark is None:
        return True
    detail = f"{settings.found.encryption}, and should be {expected.known.encryption}"
    return SettingFault(detail, AdvisedRemedy(remark.text))


def _lifecycle_missing(settings: RepositorySettings, expected: RepositoryExpectations) -> Answer:
    if (settings.found.lifecycle or {}).get("rules"):
        return True
    remedy = (
        apply_baseline(settings)
        if expected.known.lifecycle
        else AdvisedRemedy(
            "say in the baseline of the policy which images are kept, see what that would take "
            "(imagegate cleanup simulate), and apply it"
        )
    )
    return SettingFault("images that nobody needs are never removed", remedy)


def _lifecycle_idle(settings: RepositorySettings, _: RepositoryExpectations) -> Answer:
    if not settings.found.lifecycle or not settings.image_tags:
        return None
    idle = [
        _describe(rule)
        for rule in _rules(settings)
        if rule.patterns and not any(rule.selects(tags) for tags in settings.image_tags)
    ]
    text = "write a rule for each pattern: a list means that an image has a tag for each of them"
    return SettingFault("; ".join(idle), AdvisedRemedy(text)) if idle else True


def _rules(settings: RepositorySettings) -> tuple[LifecycleRule, ...]:
    # Laid out wide: ECR's own answer has blanks, and a policy may not be shorter than its lower limit.
    document = json.dumps(settings.found.lifecycle, indent=8)
    try:
        return parse_lifecycle(document.encode())
    except InvalidLifecycleError as error:
        raise NotToldError(str(error)) from error


def _describe(rule: LifecycleRule) -> str:
    every = "a tag for each of " if len(rule.patterns) > 1 else ""
    return f"rule {rule.priority}: no image has {every}{', '.join(rule.patterns)}"


def _lifecycle_different(settings: RepositorySettings, expected: RepositoryExpectations) -> Answer:
    if expected.known.lifecycle is None or not settings.found.lifecycle:
        return None
    if any(one.setting == "lifecycle" for one in _plan(settings, expected).changes):
        return SettingFault("somebody has changed it, or it was never applied", apply_baseline(settings))
    return True


def _tags_missing(settings: RepositorySettings, expected: RepositoryExpectations) -> Answer:
    if not expected.known.tags:
        return None
    tags = settings.found.tags
    wrong = [f"{key}={value}" for key, value in expected.known.tags.items() if tags.get(key) != value]
    return SettingFault(f"should have {', '.join(wrong)}", apply_baseline(settings)) if wrong else True


def _ungated(settings: RepositorySettings, expected: RepositoryExpectations) -> Answer:
    if expected.stage is not None:
        return True
    text = "add its name to a stage of the policy, or delete the repository if nobody needs it"
    return SettingFault("what is pushed there is neither judged nor signed", AdvisedRemedy(text))


_LIFECYCLE, _SCANNING, _TAGS = RepositoryPart.LIFECYCLE, RepositoryPart.SCANNING, RepositoryPart.TAGS
SETTINGS_LOOKS: Looks = {
    "repository-scan-off": (_scan_off, (_SCANNING,)),
    "repository-scan-frequency": (_scan_frequency, (_SCANNING,)),
    "repository-tags-mutable": (_tags_mutable, ()),
    "repository-encryption": (_encryption, ()),
    "repository-lifecycle-missing": (_lifecycle_missing, (_LIFECYCLE,)),
    "repository-lifecycle-idle": (_lifecycle_idle, (_LIFECYCLE, RepositoryPart.IMAGES)),
    "repository-lifecycle-different": (_lifecycle_different, (_LIFECYCLE,)),
    "repository-tags-missing": (_tags_missing, (_TAGS,)),
    "repository-ungated": (_ungated, ()),
}
