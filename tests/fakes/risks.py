"""Images in use, and those at risk, in memory: a part of the fake ledger; and what runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from imagegate.oci.image import ImageRef
from imagegate.ports.risks import RunningTasks
from imagegate.release.revocation import RunsIn
from imagegate.risk.past import PastRisk
from imagegate.risk.risk import DueImage, Judgement, Risk


@dataclass
class FakeRisks:
    queue: dict[ImageRef, DueImage] = field(default_factory=dict)
    at_risk: dict[ImageRef, Risk] = field(default_factory=dict)
    past: list[PastRisk] = field(default_factory=list)
    found_in: dict[str, frozenset[str]] = field(default_factory=dict)  # applications, by vulnerability

    def note_vulnerabilities(self, application: str, names: Collection[str]) -> None:
        self.found_in |= {name: self.found_in.get(name, frozenset()) | {application} for name in names}

    def applications_with(self, name: str) -> list[str]:
        return sorted(self.found_in.get(name, ()))

    def judge_by(self, image: ImageRef, due: datetime) -> None:
        known = self.queue.get(image, DueImage(image, due))
        self.queue[image] = replace(known, due=min(due, known.due))

    def due_images(self, now: datetime) -> Iterator[DueImage]:
        yield from sorted((one for one in self.queue.values() if one.due <= now), key=lambda one: one.due)

    def images_in_use(self) -> Iterator[DueImage]:
        yield from self.queue.values()

    def due_image(self, image: ImageRef) -> DueImage | None:
        return self.queue.get(image)

    def judged_among(self, images: Sequence[ImageRef]) -> dict[ImageRef, DueImage]:
        return {image: self.queue[image] for image in images if image in self.queue}

    def risks_among(self, images: Sequence[ImageRef]) -> dict[ImageRef, Risk]:
        return {image: self.at_risk[image] for image in images if image in self.at_risk}

    def keep_judgement(self, image: DueImage, judgement: Judgement, due: datetime) -> None:
        known = self.queue[image.image]
        self.queue[image.image] = replace(
            known, last=judgement, due=due if known.due == image.due else known.due
        )

    def judge_later(self, image: DueImage, due: datetime) -> None:
        if self.queue[image.image].due == image.due:
            self.queue[image.image] = replace(self.queue[image.image], due=due)

    def forget_image(self, image: DueImage) -> None:
        if self.queue[image.image].due == image.due:
            del self.queue[image.image]

    def risks(self) -> Iterator[Risk]:
        yield from sorted(self.at_risk.values(), key=lambda one: one.since)

    def risk(self, image: ImageRef) -> Risk | None:
        return self.at_risk.get(image)

    def keep_risk(self, risk: Risk) -> None:
        self.at_risk[risk.image] = Risk.from_json(risk.as_json())

    def end_risk(self, past: PastRisk) -> None:
        self.at_risk.pop(past.image, None)
        self.past.append(past)

    def past_risks(self, since: datetime, until: datetime) -> Iterator[PastRisk]:
        yield from (past for past in self.past if since <= past.over_at <= until)


@dataclass
class FakeTasks:
    """The running tasks of Amazon ECS."""

    runs: dict[ImageRef, list[RunsIn]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)  # clusters, and why

    def running(self) -> RunningTasks:
        return RunningTasks(self.runs, self.unread)


@dataclass
class FakeSecurityHub:
    """AWS Security Hub. It stores the newest finding of each id, and refuses those of `refused`."""

    findings: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    fault: Exception | None = None
    calls: int = 0

    def send(self, findings: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        self.calls += 1
        if self.fault is not None:
            raise self.fault
        names = [finding["Id"] for finding in findings]
        self.findings |= {one["Id"]: one for one in findings if one["Id"] not in self.refused}
        return {name: why for name, why in self.refused.items() if name in names}

    def states(self) -> list[str]:
        return [str(finding["RecordState"]) for finding in self.findings.values()]
