"""How releases, tokens and claims stand in the ledger table, and how they are read back: strictly.

| item | pk | sk |
| --- | --- | --- |
| attempt | `IMAGE#repository@digest` | `ATTEMPT#00001` |
| platform released with its index | `IMAGE#repository@platform` | `INDEX#digest of the index` |
| token | `SCAN#repository@digest` | `repository@digest#attempt` of the release |
| held, and waits for an approval | `HELD#repository@digest` | `ATTEMPT#00001` |
| promoted after it was refused | `ASKED#repository@digest` | `ASKED` |
| no release was begun for it | `IGNORED#repository@digest` | `IGNORED` |
| who pushed an image into a first stage | `PUSHER#repository@digest` | ARN |
| rollback | `ROLLBACK#repository` | when |
| claim | `TAG#repository:tag` | `CLAIM` |
| clock | `CLOCK#application` | `vulnerability#package` |
| base image | `BASE#chain id` | stage |
| latest base image | `BASE#repository` | `LATEST` |
| last released into a repository | `STANDING#repository` | `STANDING` |
| something that was done once | `NOTICE#what` | `NOTICE` |
| installation | `INSTALLATION` | `INSTALLATION` |

Times are UTC with microseconds in a fixed width, so that DynamoDB compares them as it compares text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from imagegate.canonical_json import parse_timestamp
from imagegate.deployment.rollback import Rollback
from imagegate.errors import RejectedInputError
from imagegate.evidence.sbom import Sbom
from imagegate.findings.finding import Place
from imagegate.gate.facts import BaseImage
from imagegate.gate.finding_rules import Clock
from imagegate.oci.image import Digest, ImageRef
from imagegate.policy.policy import Arrival
from imagegate.release.promotion import Promotion
from imagegate.release.release import (
    CurrentRelease,
    Ending,
    History,
    Outcome,
    Release,
    ReleaseId,
    StartReason,
    WaitingScan,
)
from imagegate.release.revocation import Revocation
from imagegate.release.start import IgnoredImage

Item = Mapping[str, Any]

ATTEMPT = "ATTEMPT#"
CLAIM = "CLAIM"
LATEST = "LATEST"
STANDING = "STANDING"
NOTICE = "NOTICE"
WITH_INDEX = "INDEX#"
INSTALLATION = "INSTALLATION"
WAITING = "scan"
APPROVAL = "approval"
ASKED = "ASKED"
ENTRY = "entry"
IGNORED = "IGNORED"
# What protects an image never expires. Tokens: longer than any wait that a policy allows.
_TOKEN_LIFE = timedelta(days=2)
# Far longer than the reconciler looks back, so that people can ask why.
_IGNORED_LIFE = timedelta(days=30)


class CorruptLedgerError(RejectedInputError):
    """An item of the ledger lacks an attribute or has a malformed one; the message names both."""


def moment(time: datetime) -> str:
    """`2026-11-21T07:52:38.000000Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def day(time: datetime) -> str:
    """`2026-11-21`: the partition of the index over time."""
    return time.astimezone(UTC).strftime("%Y-%m-%d")


def image_key(image: ImageRef) -> str:
    return f"IMAGE#{image}"


def scan_key(image: ImageRef) -> str:
    return f"SCAN#{image}"


def attempt_key(release: ReleaseId) -> dict[str, Any]:
    return key(image_key(release.image), f"{ATTEMPT}{release.attempt:05d}")


def token_key(scan: WaitingScan) -> dict[str, Any]:
    return key(scan_key(scan.image), f"{scan.release.image}#{scan.release.attempt}")


def held_key(release: ReleaseId) -> dict[str, Any]:
    return key(f"HELD#{release.image}", f"{ATTEMPT}{release.attempt:05d}")


def asked_key(image: ImageRef) -> dict[str, Any]:
    return key(f"ASKED#{image}", ASKED)


def ignored_key(image: ImageRef) -> dict[str, Any]:
    return key(f"IGNORED#{image}", IGNORED)


def pushers_key(image: ImageRef) -> str:
    return f"PUSHER#{image}"


def rollback_key(repository: str) -> str:
    return f"ROLLBACK#{repository}"


def write_rollback(rollback: Rollback) -> dict[str, Any]:
    return {
        **key(rollback_key(rollback.repository), moment(rollback.at)),
        "rollback": {"S": json.dumps(rollback.as_json())},
    }


def read_rollback(item: Item) -> Rollback:
    with _reading(item):
        return Rollback.from_json(json.loads(_text(item, "rollback")))


def claim_key(repository: str, tag: str) -> dict[str, Any]:
    return key(f"TAG#{repository}:{tag}", CLAIM)


def clocks_key(application: str) -> str:
    return f"CLOCK#{application}"


def base_key(chain_id: str, stage: str) -> dict[str, Any]:
    return key(f"BASE#{chain_id}", stage)


def latest_base_key(repository: str) -> dict[str, Any]:
    return key(f"BASE#{repository}", LATEST)


def standing_key(repository: str) -> dict[str, Any]:
    return key(f"STANDING#{repository}", STANDING)


def notice_key(notice: str) -> dict[str, Any]:
    return key(f"NOTICE#{notice}", NOTICE)


def key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _promotion(text: str) -> Promotion:
    raw = json.loads(text)
    return Promotion(str(raw["repository"]), Digest.parse(raw["digest"]), tuple(map(str, raw["tags"])))


def _listed(digests: Iterable[Digest]) -> str:
    return json.dumps([str(digest) for digest in digests])


def _digests(text: str) -> tuple[Digest, ...]:
    return tuple(Digest.parse(digest) for digest in json.loads(text))


def _texts(text: str) -> tuple[str, ...]:
    return tuple(map(str, json.loads(text)))


def _uploads(text: str) -> dict[Digest, str]:
    return {Digest.parse(digest): str(location) for digest, location in json.loads(text).items()}


def _reasons(text: str) -> tuple[dict[str, str], ...]:
    return tuple(
        {str(name): str(value) for name, value in reason.items()}
        | {name: str(reason[name]) for name in ("rule", "message", "action")}
        for reason in json.loads(text)
    )


# What an attempt may lack: attribute, and how it is written to and read from text.
OPTIONAL: Mapping[str, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    "pushed_at": ("pushedAt", moment, parse_timestamp),
    "ending": (
        "ending",
        lambda ending: json.dumps(ending.as_json()),
        lambda text: Ending.from_json(json.loads(text)),
    ),
    "outcome": ("outcome", str, Outcome),
    "closed_at": ("closedAt", moment, parse_timestamp),
    "verdict": ("verdict", str, str),
    "attention": ("attention", str, str),
    "reasons": ("reasons", lambda reasons: json.dumps(list(reasons)), _reasons),
    "remedies": ("remedies", lambda texts: json.dumps(list(texts)), _texts),
    "decision": ("decision", str, Digest.parse),
    "signature": ("signature", str, Digest.parse),
    "evidence": ("evidence", _listed, _digests),
    "sbom": ("sbom", lambda sbom: json.dumps(sbom.as_json()), lambda text: Sbom.from_json(json.loads(text))),
    "platforms": ("platforms", _listed, _digests),
    "promotion": ("promotion", lambda promotion: json.dumps(promotion.as_json()), _promotion),
    "uploads": (
        "uploads",
        lambda uploads: json.dumps({str(digest): location for digest, location in uploads.items()}),
        _uploads,
    ),
    "detail": ("detail", str, str),
    "message_id": ("messageId", str, str),
    "break_glass": ("breakGlass", str, str),
    "started_by": ("startedBy", str, str),
    "replicating_since": ("replicatingSince", moment, parse_timestamp),
    "soaks_until": ("soaksUntil", moment, parse_timestamp),
    "clean_since": (
        "cleanSince",
        lambda times: json.dumps({str(digest): moment(time) for digest, time in times.items()}),
        lambda text: {Digest.parse(name): parse_timestamp(at) for name, at in json.loads(text).items()},
    ),
    "revoked": (
        "revoked",
        lambda revocation: json.dumps(revocation.as_json()),
        lambda text: Revocation.from_json(json.loads(text)),
    ),
}


def optional(fields: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The attributes of those fields that say something; `""`, None and `()` are absent attributes."""
    given = {name: value for name, value in fields.items() if value not in (None, "", (), [], {})}
    return {OPTIONAL[name][0]: {"S": OPTIONAL[name][1](value)} for name, value in given.items()}


def write_release(release: Release) -> dict[str, Any]:
    return {
        **attempt_key(release.id),
        "repository": {"S": release.image.repository},
        "digest": {"S": str(release.image.digest)},
        "attempt": {"N": str(release.attempt)},
        "stage": {"S": release.stage},
        "policy": {"S": str(release.policy)},
        "reason": {"S": str(release.reason)},
        "startedAt": {"S": moment(release.started_at)},
        "day": {"S": day(release.started_at)},
        "changes": {"N": str(release.changes)},
        **({"tags": {"SS": sorted(release.tags)}} if release.tags else {}),
        **optional({name: getattr(release, name) for name in OPTIONAL}),
    }


def read_release(item: Item) -> Release:
    with _reading(item):
        more = {name: read(_text(item, a)) for name, (a, _, read) in OPTIONAL.items() if a in item}
        release = Release(
            image=ImageRef.of(_text(item, "repository"), _text(item, "digest")),
            attempt=int(item["attempt"]["N"]),
            stage=_text(item, "stage"),
            policy=Digest.parse(_text(item, "policy")),
            tags=frozenset(map(str, item["tags"]["SS"])) if "tags" in item else frozenset(),
            reason=StartReason(_text(item, "reason")),
            started_at=parse_timestamp(_text(item, "startedAt")),
            changes=int(item["changes"]["N"]),
            **more,
        )
        if attempt_key(release.id) != {"pk": item["pk"], "sk": item["sk"]}:
            raise ValueError("the key is of another attempt")
        return release


def write_token(scan: WaitingScan) -> dict[str, Any]:
    return {
        **token_key(scan),
        "token": {"S": scan.token},
        "platforms": {"L": [{"S": str(digest)} for digest in scan.platforms]},
        "since": {"S": moment(scan.since)},
        "waiting": {"S": WAITING},
        "expires": {"N": str(int((scan.since + _TOKEN_LIFE).timestamp()))},
    }


def read_token(item: Item) -> WaitingScan:
    with _reading(item):
        release, _, attempt = _text(item, "sk").rpartition("#")
        return WaitingScan(
            image=_image(_text(item, "pk").removeprefix("SCAN#")),
            release=ReleaseId(_image(release), int(attempt)),
            token=_text(item, "token"),
            platforms=tuple(Digest.parse(digest["S"]) for digest in item["platforms"]["L"]),
            since=parse_timestamp(_text(item, "since")),
        )


def write_held(release: ReleaseId, at: datetime) -> dict[str, Any]:
    return {**held_key(release), "waiting": {"S": APPROVAL}, "since": {"S": moment(at)}}


def read_held(item: Item) -> ReleaseId:
    with _reading(item):
        image = _image(_text(item, "pk").removeprefix("HELD#"))
        return ReleaseId(image, int(_text(item, "sk").removeprefix(ATTEMPT)))


def write_asked(image: ImageRef, at: datetime) -> dict[str, Any]:
    return {**asked_key(image), "waiting": {"S": ENTRY}, "since": {"S": moment(at)}}


def read_asked(item: Item) -> ImageRef:
    with _reading(item):
        return _image(_text(item, "pk").removeprefix("ASKED#"))


def write_ignored(ignored: IgnoredImage) -> dict[str, Any]:
    return {
        **ignored_key(ignored.image),
        "why": {"S": ignored.why},
        "at": {"S": moment(ignored.at)},
        "tags": {"SS": sorted(ignored.tags)},
        "arrival": {"S": str(ignored.arrival)},
        **({"policy": {"S": str(ignored.policy)}} if ignored.policy else {}),
        "expires": {"N": str(int((ignored.at + _IGNORED_LIFE).timestamp()))},
    }


def read_ignored(item: Item) -> IgnoredImage:
    with _reading(item):
        return IgnoredImage(
            image=_image(_text(item, "pk").removeprefix("IGNORED#")),
            why=_text(item, "why"),
            at=parse_timestamp(_text(item, "at")),
            tags=frozenset(item["tags"]["SS"]),
            arrival=Arrival(_text(item, "arrival")),
            policy=Digest.parse(_text(item, "policy")) if "policy" in item else None,
        )


def write_platform(release: Release, platform: Digest) -> dict[str, Any]:
    """Beside the attempts of the platform's own digest: what was released with an index is released."""
    child = ImageRef(release.image.repository, platform)
    return {
        **key(image_key(child), f"{WITH_INDEX}{release.image.digest}"),
        "stage": {"S": release.stage},
        "attempt": {"N": str(release.attempt)},
        "index": {"S": str(release.image.digest)},
    }


def read_history(found: Iterable[Item]) -> History:
    """All items of one image: INDEX# sorts after ATTEMPT#, so the newest attempt need not come first."""
    attempts, indexes = [], []
    for item in found:
        with _reading(item):
            sort = _text(item, "sk")
            if sort.startswith(WITH_INDEX):
                indexes.append(Digest.parse(sort.removeprefix(WITH_INDEX)))
            elif sort.startswith(ATTEMPT):
                attempts.append(read_release(item))
    attempts.sort(key=lambda release: release.attempt, reverse=True)
    return History(tuple(attempts), tuple(indexes))


def write_claim(repository: str, tag: str, digest: Digest, pushed_at: datetime) -> dict[str, Any]:
    return {
        **claim_key(repository, tag),
        "digest": {"S": str(digest)},
        "pushedAt": {"S": moment(pushed_at)},
    }


def read_claim(item: Item) -> Digest:
    with _reading(item):
        return Digest.parse(_text(item, "digest"))


def write_clock(application: str, place: Place, clock: Clock) -> dict[str, Any]:
    vulnerability, package = place
    seen = {"seenAt": {"S": moment(clock.seen_at)}}
    fix = {"fixSeenAt": {"S": moment(clock.fix_seen_at)}} if clock.fix_seen_at else {}
    return {**key(clocks_key(application), f"{vulnerability}#{package}"), **seen, **fix}


def read_clock(item: Item) -> tuple[Place, Clock]:
    with _reading(item):
        vulnerability, _, package = _text(item, "sk").partition("#")
        fix = parse_timestamp(_text(item, "fixSeenAt")) if "fixSeenAt" in item else None
        return (vulnerability, package), Clock(parse_timestamp(_text(item, "seenAt")), fix)


def write_base(base: BaseImage) -> dict[str, Any]:
    return {
        **base_key(base.chain_id, base.stage),
        "releasedAt": {"S": moment(base.released_at)},
        "base": {"S": json.dumps(base.as_json())},
    }


def read_base(item: Item) -> BaseImage:
    with _reading(item):
        return BaseImage.from_json(json.loads(_text(item, "base")))


def write_standing(standing: CurrentRelease) -> dict[str, Any]:
    return {
        **standing_key(standing.repository),
        "source": {"S": standing.image.repository},
        "digest": {"S": str(standing.image.digest)},
        "decision": {"S": str(standing.decision)},
        "pushedAt": {"S": moment(standing.pushed_at)},
    }


def read_standing(item: Item) -> CurrentRelease:
    with _reading(item):
        return CurrentRelease(
            repository=_text(item, "pk").removeprefix("STANDING#"),
            image=ImageRef.of(_text(item, "source"), _text(item, "digest")),
            decision=Digest.parse(_text(item, "decision")),
            pushed_at=parse_timestamp(_text(item, "pushedAt")),
        )


def write_notice_claim(notice: str, now: datetime, by: str) -> dict[str, Any]:
    """Somebody is at it. `note` writes the item without these attributes: it is done."""
    return {**notice_key(notice), "claimedAt": {"S": moment(now)}, "claimedBy": {"S": by}}


def write_installation(at: datetime) -> dict[str, Any]:
    return {**key(INSTALLATION, INSTALLATION), "installedAt": {"S": moment(at)}}


def read_installation(item: Item) -> datetime:
    with _reading(item):
        return parse_timestamp(_text(item, "installedAt"))


def _image(text: str) -> ImageRef:
    repository, _, digest = text.rpartition("@")
    return ImageRef.of(repository, digest)


def _text(item: Item, attribute: str) -> str:
    text = item[attribute]["S"]
    if not isinstance(text, str) or not text:
        raise ValueError(f"{attribute} is no text")
    return text


@contextmanager
def _reading(item: Item) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RejectedInputError) as error:
        name = " ".join(str(item.get(part, {}).get("S")) for part in ("pk", "sk"))
        raise CorruptLedgerError(f"the ledger's item {name} cannot be read: {error!r}") from error
