"""What the steps need from outside, as protocols: adapters fulfil them, tests fake them in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from imagegate.deployment.rollback import Rollback
from imagegate.findings.finding import Finding, Place
from imagegate.findings.scan import Basis, Scanning, ScanStatus
from imagegate.gate.facts import BaseImage
from imagegate.gate.finding_rules import Clock
from imagegate.grants.approval import Approval
from imagegate.grants.approval_link import ApprovalLink
from imagegate.grants.break_glass import BreakGlass
from imagegate.notices.announcement import Announcement
from imagegate.oci.image import Descriptor, Digest, ImageRef
from imagegate.oci.manifest import Manifest
from imagegate.oci.reference import Container
from imagegate.policy.policy import Policy, Scanner
from imagegate.policy.replication import Replica
from imagegate.policy.waiver import Waiver
from imagegate.release.order import Order
from imagegate.release.release import (
    CurrentRelease,
    EcrImage,
    History,
    Outcome,
    Release,
    ReleaseId,
    WaitingScan,
)
from imagegate.release.revocation import Revocation, RunsIn
from imagegate.release.start import IgnoredImage


class Images(Protocol):
    """What ECR knows about images, beside their content."""

    @property
    def registry(self) -> str:
        """The registry's name: `ACCOUNT.dkr.ecr.REGION.amazonaws.com`."""

    def facts(self, image: ImageRef) -> EcrImage:
        """Raise `ImageNotFoundError` when the repository has no such digest."""

    def digest_of(self, repository: str, tag: str) -> Digest | None:
        """What the tag points to now; None: nothing."""

    def manifest(self, image: ImageRef) -> Manifest:
        """The exact bytes, checked against the digest. Raises `ImageNotFoundError`."""

    def replicas(self, image: ImageRef) -> list[Replica]:
        """Where ECR copies the image to; empty where no rule of the registry's replication matches it."""

    def repositories(self) -> Iterator[str]:
        """The names of all repositories."""

    def pushed_since(self, repository: str, since: datetime) -> Iterator[EcrImage]:
        """The tagged images that were first pushed since then."""

    def make_repository(self, name: str, like: str) -> bool:
        """Create `name` with the encryption of `like` (only equals mount blobs); True if it was missing."""


class Scans(Protocol):
    """Scanning of one image that runs (never an index)."""

    def status(self, image: ImageRef) -> ScanStatus:
        """Raise `ImageNotFoundError` when the image is gone."""

    def findings(self, image: ImageRef, basis: Basis) -> Iterator[Finding]:
        """Yield every finding of the latest scan by this scanner, page by page. Raises `FindingsChangedError`."""

    def scanning(self, repository: str) -> Scanning:
        """Whether a scan of this repository's images comes by itself, on request, or never."""

    def scanner(self) -> Scanner:
        """What the registry scans with now."""

    def is_continuous(self, repository: str) -> bool:
        """Whether a repository's images are scanned again whenever something new is known (CONTINUOUS_SCAN)."""

    def start(self, image: ImageRef) -> None:
        """Ask for a scan; asking for one that runs or ran today is no error."""


class Ledger(Protocol):
    """What happened to each digest. All reads that a decision rests on are strongly consistent."""

    def latest(self, image: ImageRef) -> Release | None: ...

    def history(self, image: ImageRef) -> History:
        """All attempts of the image, and the indexes that were released with it."""

    def get(self, release: ReleaseId) -> Release:
        """Raise `RecordNotFoundError` when the attempt was never begun."""

    def begin(self, release: Release) -> bool:
        """Write a new attempt; False when somebody else wrote that attempt first."""

    def join(self, release: ReleaseId, tags: frozenset[str], pushed_at: datetime) -> bool:
        """Add tags and a later push to an open attempt, and count the change; False when it is closed."""

    def record(self, release: ReleaseId, **fields: Any) -> None:
        """Note what a step found out (verdict, reasons, decision, signature, promotion, …) on an open attempt."""

    def close(
        self,
        release: ReleaseId,
        outcome: Outcome,
        seen: int | None,
        at: datetime,
        detail: str,
        proof: Release | None = None,
    ) -> bool:
        """Close an open attempt; False when it has changed since `seen` changes (None: whatever changed).

        `proof`: what proves the outcome has to be as in this reading. Closing twice alike is no error.
        """

    def announced(self, release: ReleaseId, message_id: str) -> None: ...

    def revoke(self, release: ReleaseId, revocation: Revocation) -> None:
        """Note on an attempt, open or closed, that what it signed does not stand; the first one stays."""

    def note_platforms(self, release: Release) -> None:
        """Record each platform of a released index as released with it."""

    def wait(self, scan: WaitingScan) -> None:
        """Register a token; a retried task overwrites its own, an older one never a newer one."""

    def waiting(self, image: ImageRef) -> list[WaitingScan]: ...

    def all_waiting(self) -> Iterator[WaitingScan]:
        """Every registered token, for the reconciler; eventually consistent."""

    def forget(self, scan: WaitingScan) -> None: ...

    def hold(self, release: ReleaseId, at: datetime) -> None:
        """Note that the attempt waits for an approval."""

    def held(self) -> Iterator[ReleaseId]:
        """The attempts that wait for an approval; eventually consistent."""

    def unhold(self, release: ReleaseId) -> None:
        """It waits no longer."""

    def ask_again(self, image: ImageRef, at: datetime) -> None:
        """Note that the image was promoted to where it had been refused; the reconciler asks for a release."""

    def asked_again(self) -> Iterator[ImageRef]:
        """The images of which that was noted; eventually consistent."""

    def forget_asking(self, image: ImageRef) -> None: ...

    def note_ignored(self, ignored: IgnoredImage) -> None:
        """The last one stays, for a month: it protects nothing, and saves asking."""

    def ignored(self, image: ImageRef) -> IgnoredImage | None: ...

    def note_pusher(self, image: ImageRef, arn: str) -> None:
        """Who pushed the image, as CloudTrail says."""

    def pushers(self, image: ImageRef) -> tuple[str, ...]:
        """ARNs; empty where nobody was told."""

    def claim_tag(self, repository: str, tag: str, digest: Digest, pushed_at: datetime) -> bool:
        """Claim a target tag for an image pushed at that time; False when a later pushed image has it."""

    def holder(self, repository: str, tag: str) -> Digest | None:
        """The image whose claim on a target tag stands."""

    def of_repository(self, repository: str, limit: int) -> list[Release]:
        """The latest attempts, newest first; eventually consistent."""

    def note_rollback(self, rollback: Rollback) -> None:
        """Noting it twice is noting it once."""

    def rollbacks(self, repository: str) -> list[Rollback]: ...

    def recent(self, limit: int, now: datetime) -> list[Release]:
        """The latest attempts of all repositories, newest first; eventually consistent."""

    def clocks(self, application: str) -> dict[Place, Clock]:
        """Since when the application has had which vulnerability in which package."""

    def keep_clocks(self, application: str, clocks: Mapping[Place, Clock]) -> None: ...

    def note_base(self, base: BaseImage) -> None:
        """Others may be built on it; of one repository the latest is known as such."""

    def bases(self, chain_ids: Sequence[str], stages: Iterable[str]) -> list[BaseImage]:
        """The images of these stages whose layers are one of these chains."""

    def latest_base(self, repository: str) -> BaseImage | None: ...

    def note_standing(self, standing: CurrentRelease) -> None:
        """What was released into a repository last; an earlier push never replaces a later one."""

    def standing(self, repository: str) -> CurrentRelease | None: ...

    def note(self, notice: str) -> None:
        """Note that something was done that is done once."""

    def claim(self, notice: str, now: datetime) -> bool:
        """Take it upon oneself to do it; False when it is done, or somebody claimed it less than a minute ago."""

    def is_noted(self, notice: str) -> bool: ...


class Grants(Protocol):
    """What was granted at run time. One function writes it; everybody else reads, strongly consistent."""

    def waivers(self) -> list[Waiver]:
        """All of them, also those that have expired."""

    def broken_glass(self) -> list[BreakGlass]:
        """All of them, also those that are over."""

    def approvals(self, release: ReleaseId) -> list[Approval]:
        """What was decided about this attempt."""

    def orders(self, image: ImageRef) -> list[Order]:
        """The releases of it that people have asked for by hand."""


class WritableGrants(Grants, Protocol):
    """For `decide` alone."""

    def grant(self, waiver: Waiver) -> bool:
        """False when the same waiver was granted before."""

    def order(self, order: Order) -> None:
        """Keep that a person asks for a release by hand."""

    def withdraw(self, waiver_id: str, at: datetime, by: str) -> Waiver | None:
        """The waiver, withdrawn now or before; None: there is no such waiver."""

    def break_glass(self, glass: BreakGlass) -> bool:
        """False when the same was granted before."""

    def decide(self, approval: Approval) -> bool:
        """False when that person has decided before; who has approved may still reject."""

    def withdraw_break_glass(self, name: str, at: datetime, by: str) -> BreakGlass | None:
        """It ends now, or has ended before; None: there is no such break-glass."""


class ApprovalLinks(Protocol):
    """Links to the approval page, authenticated by a key that never leaves KMS."""

    def link(self, link: ApprovalLink) -> str:
        """The URL."""

    def read(self, token: str, now: datetime) -> ApprovalLink:
        """Raise `LinkRefusedError` for whatever is not a link of this gate, as it was made, in its time."""


class LinkDecider(Protocol):
    """Asks `decide` on behalf of whoever confirms a link; `decide` reads the link again itself."""

    def decide(self, token: str, reason: str) -> dict[str, Any]:
        """What it answers: `standing` and `by`. Raises `NotDecidedError` where it refuses."""


class Intelligence(Protocol):
    """What Inspector knows of vulnerabilities beyond the scan itself."""

    def details(self, findings: Sequence[Finding]) -> list[Finding]:
        """At most 10: the same findings, with known_exploited and epss where Inspector has them."""

    def epss(self, image: ImageRef) -> dict[str, float]:
        """EPSS by finding ARN, of all active package findings of the image."""


class Usage(Protocol):
    """Where images run, as far as Inspector has seen it."""

    def clusters(self, image: ImageRef) -> list[RunsIn]:
        """Empty where it has not been seen to run."""


class StoredRecords(Protocol):
    """Content-addressed documents: policies, decision records and the findings that they rest on."""

    def decision(self, digest: Digest) -> bytes:
        """Raise `RecordNotFoundError`, or `CorruptContentError` when the bytes have another digest."""

    def findings(self, digest: Digest) -> bytes:
        """Raises as `decision` does."""

    def policy(self, digest: Digest) -> Policy:
        """Raise `RecordNotFoundError` or `CorruptContentError`."""


class Records(StoredRecords, Protocol):
    """The same, where they can be written."""

    @property
    def uri(self) -> str:
        """URI prefix under which records are kept: `s3://BUCKET`."""

    def put_decision(self, content: bytes) -> Digest: ...

    def put_findings(self, content: bytes) -> Digest: ...

    def put_waivers(self, content: bytes) -> Digest: ...

    def put_policy(self, content: bytes) -> Digest: ...


class Registry(Protocol):
    """The OCI distribution API of the registry, byte-exact. Pushing what is there already is no error."""

    def push_blob(self, repository: str, content: bytes) -> Descriptor: ...

    def copy_blobs(
        self,
        blobs: Sequence[Descriptor],
        source: str,
        target: str,
        has_time: Callable[[], bool],
        begun: Mapping[Digest, str],
    ) -> dict[Digest, str]:
        """Those that are not there yet: mounted where the registry can, else streamed and checked, several at once.

        Returns those that are not there when time is up, each with where its upload stands, or ""; with `begun`
        the next call goes on there. Raises `MissingLayerError`, `CorruptContentError`, `ArchivedContentError`,
        `QuotaReachedError` or `AccessRefusedError`.
        """

    def blob(self, repository: str, blob: Descriptor) -> bytes:
        """Return a blob of at most 40 MiB, checked against its digest."""

    def manifest(self, repository: str, reference: Digest | str) -> Manifest:
        """Raise `ImageNotFoundError`."""

    def has_blob(self, repository: str, blob: Descriptor) -> bool: ...

    def push_manifest(self, repository: str, manifest: Manifest, tag: str | None = None) -> None:
        """By digest, or under `tag`. Raises `TagConflictError` when an immutable tag is taken by another digest."""

    def referrers(self, image: ImageRef) -> list[Descriptor]:
        """What refers to the image: signatures and attestations."""


class SbomExports(Protocol):
    """What Inspector wrote for its exports of SBOMs."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys of the documents whose keys begin so."""

    def document(self, key: str) -> bytes:
        """Raise `SbomRefusedError` when it is larger than an SBOM may be."""


class Signer(Protocol):
    """The signing profiles of the gates: one per stage."""

    def make_profile(self, stage: str) -> None:
        """Make sure that the stage's profile exists and is active."""

    def profile_arn(self, stage: str) -> str: ...

    def sign(self, stage: str, payload: bytes) -> tuple[bytes, dict[str, str]]:
        """Sign a Notation payload: the JWS envelope, and what the manifest's annotations shall say."""

    def verify(self, envelope: bytes, subject: Descriptor, stage: str, at: datetime) -> dict[str, str]:
        """Check an envelope by this stage's profile: its signed annotations, or `VerificationError`."""

    def revoke(self, envelope: bytes, stages: Iterable[str], reason: str) -> str | None:
        """Revoke what made this envelope, also again; its stage, or None where none of these stages made it."""


class Workflow(Protocol):
    """The release state machine."""

    def start(self, name: str, payload: dict[str, Any]) -> bool:
        """Idempotent: True when an execution of that name runs now, False when it has ended already."""


class Tasks(Protocol):
    """Tasks of the state machine that wait with a token."""

    def wake(self, token: str, result: dict[str, Any]) -> bool:
        """Complete a waiting task; False when nobody waits with that token (any more)."""


class Starter(Protocol):
    """Asks `start_release` to look at an image again; it alone may start executions."""

    def request(self, image: ImageRef, tags: Iterable[str], reason: str) -> None:
        """Whether the reason holds is looked up there; who is behind it, too."""


class People(Protocol):
    """What IAM knows of users and roles."""

    def tags(self, arn: str) -> Mapping[str, str]:
        """Of a user, or of the role of a session; empty for what has none or is gone."""


class Notifications(Protocol):
    """SNS for people and their tools, EventBridge for deployers."""

    def publish(self, announcement: Announcement) -> str:
        """Returns the SNS message id."""


class Mails(Protocol):
    """The topic of those who decide by mail."""

    def send(self, announcement: Announcement) -> str:
        """To people alone, and not to deployers: it has what gives power. Returns the SNS message id."""


class Services(Protocol):
    """What Amazon ECS starts and runs."""

    def revision(self, arn: str) -> tuple[str, list[Container]]:
        """Of a service revision: the ARN of its task definition, and the images that ECS has found for it.

        Raises `RecordNotFoundError`.
        """

    def written(self, task_definition: str) -> list[Container]:
        """The containers of a task definition, as people wrote them. Raises `RecordNotFoundError`."""
