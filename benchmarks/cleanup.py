"""Random registries that are cleaned up while people work in them: nothing that is needed may go.

`python -m benchmarks.cleanup --registries 1000 --seed 1 --json FILE` writes one object: registries, images, expired
(deleted or archived), protected_expired, evidence_orphaned, indexes_broken (these three must be 0), refused (plans and
applications that were refused), left (images that could go and stayed), and simulations_differ (lifecycle rules
on which the simulation and a second reading of the guide disagree; must be 0).

An oracle that shares no code with the product looks at the registry at the moment of each deletion.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.cleanup_oracle import Truth, is_evidence_of, needed
from benchmarks.lifecycle_rules import random_rules, readings_differ
from benchmarks.output import write_result
from imagegate.errors import ImageGateError, ThrottledError
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.cleanup import CleanupRule, CleanupTerms
from imagegate.release.release import Outcome
from tests.component.cleaning import Cleaning
from tests.fakes.cleanup import FakeStoredImages
from tests.fakes.world import DEV, NOW, REGISTRY, STAGING

DAY = timedelta(days=1)
_ANY = "any"
_TAGS = ("v{}", "feature-{}", "prod-{}", "dev-{}", "keep-{}", "hotfix-{}")
_BAD = ("protected_expired", "evidence_orphaned", "indexes_broken", "simulations_differ")


class _Watched(FakeStoredImages):
    """Images that are judged by the oracle at the moment when they go."""

    registry_of_test: _Registry

    def delete(self, repository: str, digests: Any) -> dict[Digest, str]:
        self.registry_of_test.judge(digests)
        return super().delete(repository, digests)

    def archive(self, image: ImageRef) -> str:
        self.registry_of_test.judge([image.digest])
        return super().archive(image)

    def stored(self, repository: str, digests: Any = ()) -> Any:
        if digests:  # the last look before a batch: until then people may move tags, and pull
            self.registry_of_test.race_in_batch(list(digests))
        return super().stored(repository, digests)


class _Registry:
    """One random registry with its users, and what was counted in it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.counts = chance, Counter[str]()
        self.taken: dict[Digest, Any] = {}  # as they were when they went
        self.rules = [(None, 7, None), ("v*", None, chance.randint(0, 4)), ("feature-*", 7, None)]
        self.rules += [("dev-*", 20, 2), ("prod-*", None, None)]
        rules = tuple(
            CleanupRule(tag, older_than=days * DAY if days is not None else None, keep_last=number)
            for tag, days, number in self.rules
        )
        archive = chance.choice([None, None, 90 * DAY])
        terms = CleanupTerms(rules, keep_releases=chance.randint(1, 4), archive=archive)
        self.images = _Watched()
        self.images.registry_of_test = self
        self.world = Cleaning(terms=terms, images=self.images)
        self.racing = False

    def fill(self) -> None:
        for number in range(self.chance.randint(3, 25)):
            self.push(number)
        if self.chance.random() < 0.5:
            self.share_a_part()
        digests = sorted(self.images.digests(DEV))
        for digest in self.chance.sample(digests, min(len(digests), self.chance.randint(0, 3))):
            self.use(digest)
        for digest in self.chance.sample(digests, min(len(digests), self.chance.randint(0, 8))):
            self.release(digest)
        for image in list(self.images.images.values()):  # the ledger knows what was pushed lately
            if image.tags and NOW - image.pushed_at < 31 * DAY:
                self.release(image.digest, Outcome.BLOCKED)

    def push(self, number: int, days: float | None = None) -> None:
        chance, there = self.chance, sorted(self.images.digests(DEV))
        kind = chance.random()
        tags = [
            chance.choice(_TAGS).format(chance.randint(0, 30)) for _ in range(chance.choice([0, 1, 1, 1, 2]))
        ]
        age = chance.uniform(0.1, 120) if days is None else days
        more: dict[str, Any] = {"days": age, "pulled": chance.choice([None, None, chance.uniform(0, age)])}
        if kind < 0.25 and there:
            more["children"] = chance.sample(there, min(len(there), chance.randint(1, 3)))
        elif kind < 0.45 and there:
            more["subject"], tags = (
                chance.choice([*there, Digest.of(b"gone")]),
                tags[:1] if kind < 0.3 else [],
            )
        elif kind < 0.55 and there:
            tags = [f"sha256-{chance.choice(there).hex}.{chance.choice(['sig', 'att'])}"]
        self.images.push(DEV, f"{number} {chance.random()}", *tags, **more)

    def share_a_part(self) -> None:
        """Push two indexes of one part, which is undecided: the rules may let one index go, and keep the other."""
        outcome = self.chance.choice([None, Outcome.HELD])
        part = self.images.push(DEV, f"part {self.chance.random()}", days=self.chance.uniform(2, 60))
        self.release(part, outcome)
        for tag in ("feature-shared", self.chance.choice(["prod-shared", "feature-shared-2"])):
            days = self.chance.uniform(8, 120)
            self.images.push(DEV, f"{tag} {self.chance.random()}", tag, days=days, children=[part])

    def use(self, digest: Digest) -> None:
        tags = sorted(self.images.images[ImageRef(DEV, digest)].tags)
        name = f":{self.chance.choice(tags)}" if tags and self.chance.random() < 0.5 else f"@{digest}"
        self.world.users.named.append((f"{REGISTRY}/{DEV}{name}", "the service s"))

    def release(self, digest: Digest, outcome: Outcome | str | None = _ANY) -> None:
        """Note a release with this outcome, or with any; an outcome of None: it has not ended."""
        if (ImageRef(DEV, digest), 1) in self.world.ledger.releases:
            return
        ends = [Outcome.RELEASED, Outcome.RELEASED, Outcome.HELD, Outcome.BLOCKED, None]
        outcome = self.chance.choice(ends) if outcome is _ANY else outcome
        days = self.chance.uniform(1.5, 100)
        is_good = outcome in (Outcome.RELEASED, Outcome.HELD)
        more: dict[str, Any] = {} if is_good else {"verdict": "BLOCK", "signature": None}
        if outcome is None:
            more["closed_at"] = None
        self.world.release(digest, days=days, outcome=outcome, **more)
        if outcome is Outcome.RELEASED and self.chance.random() < 0.2:
            self.world.release(digest, STAGING, days=days - 1)

    def truth(self) -> Truth:
        """Return what the oracle looks at, from what the benchmark did, not from what the product read."""
        truth = Truth(DEV, self.world.now, {}, rules=self.rules, keep_releases=self.world.terms.keep_releases)
        there = {image.digest: one for image, one in self.images.images.items() if image.repository == DEV}
        truth.images = (
            there | self.taken
        )  # a part is judged as long as its index is, that went a moment before
        for name, _ in self.world.users.named:
            rest = name.split(f"/{DEV}")[1]
            if rest[0] == "@":
                truth.running.add(Digest.parse(rest[1:]))
            else:
                truth.running_tags.add(rest[1:])
        later = []
        for (image, _), release in self.world.ledger.releases.items():
            if image.repository == STAGING:
                later.append((release.closed_at, image.digest))
            elif release.outcome is None or (
                release.outcome is Outcome.HELD
                and truth.now < (release.closed_at or NOW) + 90 * DAY  # the longest time to approve
            ):
                truth.undecided.add(image.digest)
            if image.repository == DEV and release.outcome in (Outcome.RELEASED, Outcome.HELD):
                truth.announced.append((release.closed_at or NOW, image.digest))
        truth.current_later = {max(later)[1]} if later else set()
        return truth

    def judge(self, digests: Any) -> None:
        """Count what goes although it is needed now, and evidence that goes before its image."""
        truth = self.truth()
        self.counts["protected_expired"] += len(needed(truth) & set(digests))
        for digest in digests:
            subjects = [
                one for one in truth.images if is_evidence_of(truth.images[digest], one) and one != digest
            ]
            self.counts["evidence_orphaned"] += any(one not in {*self.taken, *digests} for one in subjects)
        self.taken |= {digest: truth.images[digest] for digest in digests}

    def race(self) -> None:
        """Let something happen between plan and application."""
        digests = sorted(self.images.digests(DEV))
        digest = self.chance.choice(digests)
        match self.chance.randint(0, 9):
            case 0:
                self.push(1000, days=0.01)
            case 1:
                self.use(digest)
            case 2:
                self.images.change(DEV, digest, pulled_at=NOW)
            case 3:
                self.images.change(DEV, digest, tags=frozenset({"keep"}))
            case 4:
                self.release(digest)
            case 5:
                self.world.users.error = ThrottledError("slow down")
            case 6:
                self.world.installed_at = None
            case 7:
                self.world.now += 10 * DAY

    def race_in_batch(self, digests: list[Digest]) -> None:
        there = [one for one in digests if one in self.images.digests(DEV)]
        if self.racing and there and self.chance.random() < 0.3:
            digest = self.chance.choice(there)
            changes: list[dict[str, Any]] = [{"pulled_at": NOW}, {"tags": frozenset({"keep"})}]
            self.images.change(DEV, digest, **self.chance.choice(changes))

    def clean(self) -> None:
        self.counts["images"] += len(self.images.images)
        try:
            plan = self.world.plan()
        except ImageGateError:
            self.counts["refused"] += 1
            return
        going = {step.digest for step in plan.steps}
        self.counts["left"] += len(self.truth().images.keys() - needed(self.truth()) - going)
        self.race()
        self.racing = self.chance.random() < 0.5
        stop = self.chance.choice([None, 0, 1])
        for stop_after in (stop, None):
            try:
                self.world.apply(plan, stop_after)
            except ImageGateError:
                self.counts["refused"] += 1
                break
        self.counts["expired"] += len(self.taken)
        self.look_after()

    def look_after(self) -> None:
        """Count indexes without a part that was taken, and evidence whose image was."""
        there = {image.digest: one for image, one in self.images.images.items() if image.repository == DEV}
        active = {digest for digest, one in there.items() if one.status == "ACTIVE"}
        gone = self.taken.keys() - active
        for digest in active:
            self.counts["indexes_broken"] += bool(gone & set(there[digest].children))
            is_orphan = any(is_evidence_of(there[digest], one) for one in gone)
            # Evidence that an index contains, that is about another image too, or that is the subject of another
            # image, stays with that.
            wholes = (
                one
                for one in active
                if digest in (*there[one].children, there[one].subject) or is_evidence_of(there[digest], one)
            )
            self.counts["evidence_orphaned"] += is_orphan and not any(one != digest for one in wholes)

    def simulate_rules(self) -> None:
        """Compare the simulation of ECR's rules with the second reading, on the images of this registry."""
        images = list(self.images.images.values())
        self.counts["simulations_differ"] += readings_differ(random_rules(self.chance), images)


def run(registries: int, seed: int) -> dict[str, int]:
    """Clean up so many registries and return the counts."""
    total = Counter[str]()
    for number in range(registries):
        registry = _Registry(random.Random(f"{seed}/{number}"))  # noqa: S311 - the same ones for the same seed
        registry.fill()
        registry.simulate_rules()
        registry.clean()
        total += registry.counts
    names = ("images", "expired", "protected_expired", "evidence_orphaned", "indexes_broken", "refused")
    counted = {name: total[name] for name in (*names, "left", "simulations_differ")}
    return {"registries": registries, **counted}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Clean up random registries; nothing that is needed may go.")
    parser.add_argument("--registries", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, default=1, help="other registries for another one (default: 1)")
    parser.add_argument("--json", type=Path, help="write the result there; default: print it")
    arguments = parser.parse_args(argv)
    if arguments.registries < 1:
        parser.error("--registries must be 1 or more")
    result = run(arguments.registries, arguments.seed)
    write_result(result, arguments.json)
    return 1 if any(result[name] for name in _BAD) else 0


if __name__ == "__main__":
    sys.exit(main())
