"""Keys of the ledger's items, in one place. docs/reference/ledger.md lists them for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagegate.aws.dynamodb import Key, key

if TYPE_CHECKING:
    from imagegate.oci.image import Digest, ImageRef
    from imagegate.release.release import ReleaseId, WaitingScan

# Prefixes of sort keys among the items of one image.
ATTEMPT, INDEX = "ATTEMPT#", "INDEX#"


def image(image: ImageRef) -> str:
    """Return the partition of the image's attempts, and of the indexes that it was released with."""
    return f"IMAGE#{image}"


def attempt(release: ReleaseId) -> Key:
    return key(image(release.image), f"{ATTEMPT}{release.attempt:05d}")


def platform(platform: ImageRef, index: Digest) -> Key:
    return key(image(platform), f"{INDEX}{index}")


def scans(image: ImageRef) -> str:
    return f"SCAN#{image}"


def token(scan: WaitingScan) -> Key:
    return key(scans(scan.image), f"{scan.release.image}#{scan.release.attempt}")


def held(release: ReleaseId) -> Key:
    return key(f"HELD#{release.image}", f"{ATTEMPT}{release.attempt:05d}")


def repeated_request(image: ImageRef) -> Key:
    return key(f"ASKED#{image}", "ASKED")


def ignored(image: ImageRef) -> Key:
    return key(f"IGNORED#{image}", "IGNORED")


def pushers(image: ImageRef) -> str:
    return f"PUSHER#{image}"


def rollbacks(repository: str) -> str:
    return f"ROLLBACK#{repository}"


def tag_claim(repository: str, tag: str) -> Key:
    return key(f"TAG#{repository}:{tag}", "CLAIM")


def clocks(application: str) -> str:
    return f"CLOCK#{application}"


def base(chain_id: str, stage: str) -> Key:
    return key(f"BASE#{chain_id}", stage)


def latest_base(repository: str) -> Key:
    return key(f"BASE#{repository}", "LATEST")


def current_release(repository: str) -> Key:
    return key(f"STANDING#{repository}", "STANDING")


def known_vulnerabilities(application: str) -> Key:
    return key(f"FOUND#{application}", "FOUND")


def vulnerability(name: str) -> str:
    """Return the partition of the applications that have the vulnerability."""
    return f"CVE#{name}"


def judged_again(image: ImageRef) -> Key:
    return key(f"AGAIN#{image}", "AGAIN")


def risk(image: ImageRef) -> Key:
    return key(f"RISK#{image}", "RISK")


def past_risks(month: str) -> str:
    """Return the partition of the risks that ended in the month (`2026-11`)."""
    return f"OVER#{month}"


def cleaned(image: ImageRef) -> Key:
    return key(f"CLEANED#{image}", "CLEANED")


def drift(subject: str) -> Key:
    return key(f"DRIFT#{subject}", "DRIFT")


def notice(notice: str) -> Key:
    return key(f"NOTICE#{notice}", "NOTICE")


def mails(hour: str, owner: str) -> Key:
    """Return the key of the mails at once in an hour (`2026-11-21T07`); no owner: of all images."""
    return key(f"MAILS#{hour}", owner or "MAILS")


def later_mail(release: ReleaseId) -> Key:
    return key(f"LATER#{release.image}", f"{ATTEMPT}{release.attempt:05d}")


def turn(work: str) -> Key:
    return key(f"TURN#{work}", "TURN")


INSTALLATION = key("INSTALLATION", "INSTALLATION")
