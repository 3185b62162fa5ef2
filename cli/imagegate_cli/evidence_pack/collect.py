"""Collects an evidence pack from a stack: records, signatures, approvals, waivers, break-glass and who had access."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from imagegate.board import release_facts
from imagegate.canonical_json import canonical_json, timestamp
from imagegate.errors import ImageGateError, ImageNotFoundError
from imagegate.gate.decision_record import Decision
from imagegate_cli.access.trail import SAMPLED
from imagegate_cli.evidence_pack.sample import RULE, PopulationEntry, choose, seed_of
from imagegate_cli.verification import bundle as bundles
from imagegate_cli.verification.evidence import ImageEvidence
from imagegate_cli.verification.evidence import read as read_evidence

if TYPE_CHECKING:
    from imagegate.ports.registry import Registry
    from imagegate.release.release import Release
    from imagegate_cli.evidence_pack.period import AuditPeriod
    from imagegate_cli.stack import Stack

# The verbs of `imagegate access --who can`, asked for one repository of each stage.
ACCESS = ("push", "pull", "delete", "sign", "approve")
# An attempt is found by the time at which it began; it may end so much later.
LONGEST = timedelta(days=30)
_README = """\
Evidence of an imagegate installation: samples of the releases of a period.

Verify all of it, without AWS and without an account:

    imagegate verify PACK.zip --profile ARN_OF_THE_SIGNING_PROFILES

manifest.json     what the pack is about, how the samples were chosen, and the SHA-256 of every other file
manifest.sha256   the SHA-256 of manifest.json: compare it with the one that you were given in another way
population.json   every attempt that ended in the period, of which the samples were chosen
releases/         one file for each sample: all attempts of its image, approvals, waivers, break-glass, who pushed
bundles/          one bundle for each sample: policy, decision, findings and signatures; it can be verified alone
grants.json       waivers and break-glass that counted in the period, with who granted them
access.json       who may push, pull, delete, sign and approve, at the time when the pack was made
activity.json     who pushed, pulled, deleted and changed settings: a sample of the calls that CloudTrail has

The gate signs each decision. Approvals, grants, access and activity are as the installation's tables, IAM and
CloudTrail had them when the pack was made: their digests show that the pack was not changed since.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectPack:
    """Collects packs.

    `access` returns who may do a verb in a repository, and `activity` a sample of the calls in a time, for JSON.
    """

    stack: Stack
    registry: Registry
    access: Callable[[str, str], Any]
    activity: Callable[[datetime, datetime], Any]
    step: Callable[[], None]

    def run(self, period: AuditPeriod, size: int, now: datetime) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Return the head of the manifest, and the members by name."""
        releases = self._ended(period, now)
        population = [PopulationEntry.of(release) for release in releases]
        seed = seed_of(self.stack.arn, period)
        chosen = choose(population, seed, size)
        by_name = {str(release.id): release for release in releases}
        members = {
            "README.txt": _README.encode(),
            "population.json": canonical_json([entry.as_json() for entry in population]),
            "grants.json": canonical_json(self._grants(period)),
            "access.json": canonical_json(self._access(by_name[entry.name] for entry in chosen)),
            "activity.json": canonical_json(self._activity(period.since, min(period.until, now))),
        }
        for number, entry in enumerate(chosen, 1):
            members |= self._sample(f"{number:04}", by_name[entry.name])
            self.step()
        head = {
            "stack": self.stack.arn,
            "period": str(period),
            "madeAt": timestamp(now),
            "madeBy": self.stack.caller_arn,
            "signingProfiles": dict(self.stack.signing_profiles),
            "sampling": {"rule": RULE, "seed": seed, "size": size},
            "samples": [entry.name for entry in chosen],
        }
        return head, members

    def _ended(self, period: AuditPeriod, now: datetime) -> list[Release]:
        """Return the attempts that ended in the period, in the order of their names."""
        releases = self.stack.ledger.recent(period.since - LONGEST, min(period.until, now))
        ended = [one for one in releases if one.closed_at and period.since <= one.closed_at < period.until]
        return sorted(ended, key=lambda release: str(release.id))

    def _grants(self, period: AuditPeriod) -> dict[str, Any]:
        waivers = [*self.stack.policy.waivers, *self.stack.grants.waivers()]
        counted = [
            one
            for one in waivers
            if one.expires >= period.first and (one.granted_at is None or one.granted_at < period.until)
        ]
        glass = (
            one
            for one in self.stack.grants.broken_glass()
            if one.granted_at < period.until and one.ends_at >= period.since
        )
        return {
            "waivers": [{"id": one.id, **one.as_json()} for one in counted],
            "breakGlass": [{"id": one.id, **one.as_json()} for one in glass],
        }

    def _access(self, chosen: Iterable[Release]) -> list[dict[str, Any]]:
        """Return who may act in the first sampled repository of each stage, or why that cannot be read."""
        first: dict[str, str] = {}
        for release in sorted(chosen, key=lambda one: one.image.repository):
            first.setdefault(release.stage, release.image.repository)
        return [
            {
                "stage": stage,
                "repository": repository,
                "verb": verb,
                **_read("permissions", partial(self.access, verb, repository)),
            }
            for stage, repository in first.items()
            for verb in ACCESS
        ]

    def _activity(self, since: datetime, until: datetime) -> dict[str, Any]:
        return {"rule": SAMPLED, **_read("calls", partial(self.activity, since, until))}

    def _sample(self, number: str, release: Release) -> dict[str, bytes]:
        """Return the members of one sample."""
        assert release.decision is not None
        record = self.stack.records.decision(release.decision)
        decision = Decision.decode(record)
        evidence = self._evidence(release)
        policy = self.stack.records.policy_content(decision.policy)
        packed = io.BytesIO()
        bundle = bundles.collect(
            self.stack.records, policy, release.decision, evidence or ImageEvidence(decision.subject)
        )
        bundles.write(bundle, packed)
        document = self._document(release, decision, is_gone=evidence is None)
        return {
            f"releases/{number}.json": canonical_json(document),
            f"bundles/{number}.zip": packed.getvalue(),
        }

    def _evidence(self, release: Release) -> ImageEvidence | None:
        """Return the signatures and summaries of the image that can be read, or None if the image is gone."""
        try:
            evidence = read_evidence(self.registry, release.image)
        except ImageNotFoundError:
            return None
        return replace(
            evidence,
            signatures=tuple(one for one in evidence.signatures if not one.problem),
            summaries=tuple(one for one in evidence.summaries if not one.problem),
        )

    def _document(self, release: Release, decision: Decision, *, is_gone: bool) -> Mapping[str, Any]:
        history = self.stack.ledger.history(release.image).attempts
        origin = replace(release.image, repository=self.stack.policy.origin_of(release.image.repository))
        return {
            "name": str(release.id),
            "release": _facts(release),
            "decision": str(release.decision),
            "imageIsGone": is_gone,
            "attempts": [_facts(one) for one in history],
            "approvals": [
                approval.as_json() for one in self._way(release) for approval in self._approvals(one)
            ],
            "waivers": list(decision.waivers),
            "breakGlass": [
                {"id": one.id, **one.as_json()}
                for one in self.stack.grants.broken_glass()
                if one.covers(release.image)
            ],
            "pushedBy": list(self.stack.ledger.pushers(origin)),
        }

    def _way(self, release: Release) -> list[Release]:
        """Return the attempts of the image here and at the stages before: people approve at the stage before."""
        way = self.stack.policy.way_to(release.image.repository)
        images = (replace(release.image, repository=repository) for repository in way)
        return [one for image in images for one in self.stack.ledger.history(image).attempts]

    def _approvals(self, release: Release) -> Sequence[Any]:
        return sorted(self.stack.grants.approvals(release.id), key=lambda one: one.at)


def _read(name: str, call: Callable[[], Any]) -> dict[str, Any]:
    """Return what the call returns under this name, or why it cannot be read."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return {name: call()}
    except (BotoCoreError, ClientError, ImageGateError) as error:
        return {"notRead": str(error)}


def _facts(release: Release) -> dict[str, Any]:
    """Return the keys of an attempt, without its duration, which is no whole number."""
    return {name: value for name, value in release_facts.as_json(release).items() if name != "seconds"}
