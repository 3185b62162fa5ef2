"""The item of one attempt: how a release is written, and how it is read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from imagegate.aws.ledger import keys
from imagegate.aws.ledger.items import moment, number, reading, text, text_set
from imagegate.aws.ledger.periods import open_part, period
from imagegate.canonical_json import parse_timestamp
from imagegate.evidence.sbom import Sbom
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.promotion import Promotion
from imagegate.release.release import Ending, History, Outcome, Release, StartReason
from imagegate.release.revocation import Revocation

if TYPE_CHECKING:
    from imagegate.aws.dynamodb import Item


def _promotion(content: str) -> Promotion:
    raw = json.loads(content)
    return Promotion(str(raw["repository"]), Digest.parse(raw["digest"]), tuple(map(str, raw["tags"])))


def _listed(digests: Iterable[Digest]) -> str:
    return json.dumps([str(digest) for digest in digests])


def _digests(content: str) -> tuple[Digest, ...]:
    return tuple(Digest.parse(digest) for digest in json.loads(content))


def _texts(content: str) -> tuple[str, ...]:
    return tuple(map(str, json.loads(content)))


def _uploads(content: str) -> dict[Digest, str]:
    return {Digest.parse(digest): str(location) for digest, location in json.loads(content).items()}


def _reasons(content: str) -> tuple[dict[str, str], ...]:
    return tuple(
        {str(name): str(value) for name, value in reason.items()}
        | {name: str(reason[name]) for name in ("rule", "message", "action")}
        for reason in json.loads(content)
    )


# Optional fields of an attempt: the attribute, and how its value is written to text and read from it.
OPTIONAL: Mapping[str, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    "pushed_at": ("pushedAt", moment, parse_timestamp),
    "ending": (
        "ending",
        lambda ending: json.dumps(ending.as_json()),
        lambda content: Ending.from_json(json.loads(content)),
    ),
    "outcome": ("outcome", str, Outcome),
    "closed_at": ("closedAt", moment, parse_timestamp),
    "verdict": ("verdict", str, str),
    "attention": ("attention", str, str),
    "reasons": ("reasons", lambda reasons: json.dumps(list(reasons)), _reasons),
    "remedies": ("remedies", lambda texts: json.dumps(list(texts)), _texts),
    "decision": ("decision", str, Digest.parse),
    "judged_at": ("judgedAt", moment, parse_timestamp),
    "criticals": ("criticals", str, int),
    "signature": ("signature", str, Digest.parse),
    "signature_ends": ("signatureEnds", moment, parse_timestamp),
    "evidence": ("evidence", _listed, _digests),
    "sbom": (
        "sbom",
        lambda sbom: json.dumps(sbom.as_json()),
        lambda content: Sbom.from_json(json.loads(content)),
    ),
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
        lambda content: {Digest.parse(name): parse_timestamp(at) for name, at in json.loads(content).items()},
    ),
    "revoked": (
        "revoked",
        lambda revocation: json.dumps(revocation.as_json()),
        lambda content: Revocation.from_json(json.loads(content)),
    ),
}


def optional(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes of the fields that have a value; for `""`, None and empty collections there is none."""
    given = {name: value for name, value in fields.items() if value not in (None, "", (), [], {})}
    return {OPTIONAL[name][0]: OPTIONAL[name][1](value) for name, value in given.items()}


def write_release(release: Release) -> Item:
    return {
        **keys.attempt(release.id),
        "repository": release.image.repository,
        "digest": str(release.image.digest),
        "attempt": release.attempt,
        "stage": release.stage,
        "policy": str(release.policy),
        "reason": str(release.reason),
        "startedAt": moment(release.started_at),
        "day": period(release.image, release.started_at),
        "changes": release.changes,
        **({"tags": release.tags} if release.tags else {}),
        **_listed_while_open(release),
        **optional({name: getattr(release, name) for name in OPTIONAL}),
    }


def _listed_while_open(release: Release) -> dict[str, str]:
    """Return the attributes by which the index `waiting` has the attempt until it is closed."""
    if not release.is_open:
        return {}
    return {"waiting": open_part(release.image), "since": moment(release.started_at)}


def read_release(item: Item) -> Release:
    """Return the release. Raises `CorruptLedgerError`."""
    with reading(item):
        more = {name: read(text(item, a)) for name, (a, _, read) in OPTIONAL.items() if a in item}
        release = Release(
            image=ImageRef.of(text(item, "repository"), text(item, "digest")),
            attempt=number(item, "attempt"),
            stage=text(item, "stage"),
            policy=Digest.parse(text(item, "policy")),
            tags=text_set(item, "tags"),
            reason=StartReason(text(item, "reason")),
            started_at=parse_timestamp(text(item, "startedAt")),
            changes=number(item, "changes"),
            **more,
        )
        if keys.attempt(release.id) != {"pk": item["pk"], "sk": item["sk"]}:
            raise ValueError("the key is of another attempt")
        return release


def write_platform(release: Release, platform: Digest) -> Item:
    """Return an item beside the attempts of the platform's own digest: it is released with its index."""
    child = ImageRef(release.image.repository, platform)
    return {
        **keys.platform(child, release.image.digest),
        "stage": release.stage,
        "attempt": release.attempt,
        "index": str(release.image.digest),
    }


def read_history(items: Iterable[Item]) -> History:
    """Read all items of one image. `INDEX#` sorts after `ATTEMPT#`, so the newest attempt need not come first."""
    attempts, indexes = [], []
    for item in items:
        with reading(item):
            sort = text(item, "sk")
            if sort.startswith(keys.INDEX):
                indexes.append(Digest.parse(sort.removeprefix(keys.INDEX)))
            elif sort.startswith(keys.ATTEMPT):
                attempts.append(read_release(item))
    attempts.sort(key=lambda release: release.attempt, reverse=True)
    return History(tuple(attempts), tuple(indexes))
