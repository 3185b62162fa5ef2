"""Applications and repositories in the ledger: clocks of vulnerabilities, current releases, rollbacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from imagegate.aws.dynamodb import DynamoTable, Item, key
from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import moment, reading, text
from imagegate.canonical_json import parse_timestamp
from imagegate.deployment.rollback import Rollback
from imagegate.gate.finding_rules import Clock
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.release import CurrentRelease

if TYPE_CHECKING:
    from imagegate.findings.finding import Place


class DynamoClocks:
    """One item per vulnerability and package of an application."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def clocks(self, application: str) -> dict[Place, Clock]:
        return dict(map(_read_clock, self._table.partition(keys.clocks(application))))

    def keep_clocks(self, application: str, clocks: Mapping[Place, Clock]) -> None:
        """Store the clocks. Callers have read them before; of two that begin one at once, either is right."""
        self._table.write_all([_write_clock(application, place, clock) for place, clock in clocks.items()])


class DynamoCurrentReleases:
    """One item per repository."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def note_current_release(self, current: CurrentRelease) -> None:
        item = {
            **keys.current_release(current.repository),
            "source": current.image.repository,
            "digest": str(current.image.digest),
            "decision": str(current.decision),
            "pushedAt": moment(current.pushed_at),
        }
        newer = "attribute_not_exists(pk) OR pushedAt <= :ours"
        self._table.put(item, newer, {":ours": item["pushedAt"]})

    def current_release(self, repository: str) -> CurrentRelease | None:
        item = self._table.get(keys.current_release(repository))
        if item is None:
            return None
        with reading(item):
            return CurrentRelease(
                repository=repository,
                image=ImageRef.of(text(item, "source"), text(item, "digest")),
                decision=Digest.parse(text(item, "decision")),
                pushed_at=parse_timestamp(text(item, "pushedAt")),
            )


class DynamoRollbacks:
    """One item per rollback."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def note_rollback(self, rollback: Rollback) -> None:
        where = key(keys.rollbacks(rollback.repository), moment(rollback.at))
        self._table.put({**where, "rollback": json.dumps(rollback.as_json())})

    def rollbacks(self, repository: str) -> list[Rollback]:
        return [_read_rollback(item) for item in self._table.partition(keys.rollbacks(repository))]


def _write_clock(application: str, place: Place, clock: Clock) -> Item:
    vulnerability, package = place
    fix = {"fixSeenAt": moment(clock.fix_seen_at)} if clock.fix_seen_at else {}
    where = key(keys.clocks(application), f"{vulnerability}#{package}")
    return {**where, "seenAt": moment(clock.seen_at), **fix}


def _read_clock(item: Item) -> tuple[Place, Clock]:
    with reading(item):
        vulnerability, _, package = text(item, "sk").partition("#")
        fix = parse_timestamp(text(item, "fixSeenAt")) if "fixSeenAt" in item else None
        return (vulnerability, package), Clock(parse_timestamp(text(item, "seenAt")), fix)


def _read_rollback(item: Item) -> Rollback:
    with reading(item):
        return Rollback.from_json(json.loads(text(item, "rollback")))
