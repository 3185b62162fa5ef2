"""The rules that hold in every order of events: at every moment, and when nothing happens any more."""

from __future__ import annotations

import json

from imagegate.evidence.attestation import NOTATION_SIGNATURE
from imagegate.gate.decision_record import Decision
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.release import Outcome, Release, StartReason
from tests.component.orders import Broken
from tests.component.world import World
from tests.fakes import DEV, NOW, STAGING

_ENDS = {
    "Released": Outcome.RELEASED,
    "Blocked": Outcome.BLOCKED,
    "Superseded": Outcome.SUPERSEDED,
    "Withdrawn": Outcome.WITHDRAWN,
    "Failed": Outcome.FAILED,
}


def always(before: World, after: World) -> Broken:
    """Return violations of the rules for every moment. Also note how a release may rightly end, once it decided."""
    for key, release in after.ledger.releases.items():
        known = before.ledger.releases.get(key)
        if known is release:
            continue
        if known is not None and known.outcome is not None and known.outcome is not release.outcome:
            yield "one outcome", f"{known.outcome}, then {release.outcome}"
        elif release.outcome is not None and (known is None or known.outcome is None):
            right = before.truths.get(release.execution_name, frozenset()) | _truth(before, release)
            right |= {Outcome.FAILED} if _is_lost(after, release) else set()
            if release.outcome not in right:
                yield "the right outcome", f"{release.outcome}, not {set(map(str, right))}: {release.detail}"
    for release in after.ledger.releases.values():
        if release.execution_name in after.truths and release.is_open:
            after.truths[release.execution_name] |= _truth(after, release)
    if len(after.signer.signed) != len(before.signer.signed):
        yield from _unfounded_signatures(after)
    if after.registry.tags != before.registry.tags:
        yield from _bare_tags(after)


def _is_lost(world: World, release: Release) -> bool:
    """Return whether its execution was stopped, and another attempt goes on or a second one was stopped as well."""
    execution = world.executions.all.get(release.execution_name)
    goes_on = (release.image, release.attempt + 1) in world.ledger.releases
    is_second = release.reason is StartReason.LOST_EXECUTION
    return execution is not None and execution.is_stopped and (goes_on or is_second)


def _truth(world: World, release: Release) -> frozenset[Outcome]:
    """Return how the release rightly ends if it is decided now."""
    image = release.image
    if image not in world.registry.manifests:
        return frozenset({Outcome.WITHDRAWN})
    present = {tag for tag in release.tags if world.registry.tags.get((DEV, tag)) == image.digest}
    if not present:
        return frozenset({Outcome.SUPERSEDED})
    status = world.scans.results.get(image.digest)
    if status is None and release.verdict != VerdictOutcome.PASS:  # a pass is for good, of the same bytes
        return frozenset({Outcome.BLOCKED} if _gave_up(world, release) else ())
    if status is not None and status.counts:
        return frozenset({Outcome.BLOCKED})
    lost = {tag for tag in present if _has_newer(world, tag, release)}
    return frozenset(
        ({Outcome.SUPERSEDED} if lost else set()) | ({Outcome.RELEASED} if present - lost else set())
    )


def _gave_up(world: World, release: Release) -> bool:
    limit = world.records.policy(release.policy).stages[release.stage].scan_timeout
    return world.now >= release.started_at + limit or any(name.startswith("delete") for name in world.done)


def _has_newer(world: World, tag: str, release: Release) -> bool:
    """Return whether the ledger knows a newer image: a later push whose event is on its way opens the release again."""
    holder, since = world.ledger.claims.get((STAGING, tag), (None, NOW))
    return holder not in (None, release.image.digest) and since > (release.pushed_at or NOW)


def _unfounded_signatures(world: World) -> Broken:
    passed = {
        decision.image.digest
        for decision in map(Decision.decode, world.records.contents.values())
        if decision.verdict is VerdictOutcome.PASS
    }
    for payload in world.signer.signed:
        digest = Digest.parse(json.loads(payload)["targetArtifact"]["digest"])
        if digest not in passed:
            yield "no signature without a pass", str(digest)


def _bare_tags(world: World) -> Broken:
    for (repository, tag), digest in world.registry.tags.items():
        if repository == STAGING:
            types = [
                referrer.artifact_type for referrer in world.registry.referrers(ImageRef(STAGING, digest))
            ]
            if NOTATION_SIGNATURE not in types or len(types) < 2:
                yield "no tag without evidence", f"{tag} has {types}"


def at_rest(world: World) -> Broken:
    """Return violations of the rules for the end, when nothing happens any more."""
    for release in world.ledger.releases.values():
        execution = world.executions.all.get(release.execution_name)
        state = execution.state if execution else "no execution"
        is_stopped = execution is not None and execution.is_stopped
        if release.outcome is None or (_ENDS.get(state) is not release.outcome and not is_stopped):
            yield "one outcome", f"{release.outcome}, but {state}"
        if is_stopped and (release.image, release.attempt + 1) in world.ledger.releases:
            continue  # people hear of the attempt that took over
        told = [m.detail["outcome"] for m in world.notifications.messages if m.detail["id"] == release.key]
        if set(told) != {str(release.outcome)}:
            yield "everybody is told", f"{release.outcome}, told {told}"
    for waiting, _ in world.ledger.tokens:
        if waiting.digest in world.scans.results or waiting not in world.registry.manifests:
            yield "no token waits for ever", f"the ledger has one of {waiting}"
    for dead in world.events.dead:
        yield "no event is lost", dead
    for (repository, tag), digest in world.registry.tags.items():
        if repository == DEV:
            yield from _end_of_tag(world, tag, digest)
    yield from _newest(world)


def _end_of_tag(world: World, tag: str, digest: Digest) -> Broken:
    status = world.scans.results.get(digest)
    latest = world.ledger.latest(ImageRef(DEV, digest))
    there = world.registry.tags.get((STAGING, tag)) == digest
    if latest is not None and latest.outcome is Outcome.FAILED and _is_lost(world, latest):
        return  # two of its executions were stopped
    if latest is None:
        yield "what is pushed is judged", f"{digest.short} has no release"
    elif status is not None and not status.counts and not there:
        yield "what is clean arrives", f"{tag}: {latest.outcome}: {[r['rule'] for r in latest.reasons]}"
    elif (status is None or status.counts) and latest.outcome is not Outcome.BLOCKED:
        yield "the right outcome", f"{tag}: {latest.outcome} at rest"


def _newest(world: World) -> Broken:
    released = [
        (world.pushes[tag, release.image.digest], tag, release.image.digest)
        for release in world.ledger.releases.values()
        if release.outcome is Outcome.RELEASED and release.promotion
        for tag in release.promotion.tags
    ]
    newest = {tag: digest for _, tag, digest in sorted(released)}
    for tag, digest in newest.items():
        if world.registry.tags.get((STAGING, tag)) != digest:
            yield "the newest that passed has the tag", f"{tag} in {STAGING}"
