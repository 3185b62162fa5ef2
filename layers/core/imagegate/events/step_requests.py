"""Requests that our own state machine and functions send. They are versioned, and extra fields are refused.

A running execution sends what its own definition says (ADR 41).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from msgspec import Meta, Struct, field

from imagegate.errors import NewerRequestError
from imagegate.events.validation import parse
from imagegate.evidence.sbom import Export
from imagegate.findings.scan import WaitOutcome
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.release import Outcome, ReleaseId, StartReason

_SCHEMA = 1  # of the newest requests that are understood
_Text = Annotated[str, Meta(min_length=1)]


class _StepRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    @classmethod
    def parse(cls, event: object) -> Self:
        """Return the request.

        Raises `NewerRequestError` for a schema that this version does not know yet, or `InvalidEventError` that names
        the field at fault.
        """
        schema = event.get("schema") if isinstance(event, dict) else None
        if type(schema) is int and schema > _SCHEMA:
            raise NewerRequestError(
                f"{cls.__name__} has schema {schema}, but this version knows {_SCHEMA}: deploy the newer one again"
            )
        return parse(cls, event)


class ReleaseModel(_StepRequest, frozen=True, kw_only=True):
    repository: str
    digest: str
    attempt: Annotated[int, Meta(ge=1)]

    @property
    def id(self) -> ReleaseId:
        return ReleaseId(ImageRef.of(self.repository, self.digest), self.attempt)


class StartRequestModel(_StepRequest, frozen=True, kw_only=True):
    """A request for a release. It proves nothing and names nobody: `start_release` looks up the reason."""

    repository: str
    digest: str
    tags: Annotated[list[str], Meta(min_length=1)]
    reason: StartReason

    @property
    def image(self) -> ImageRef:
        return ImageRef.of(self.repository, self.digest)


class StartEnvelope(_StepRequest, frozen=True, kw_only=True):
    schema_: Literal[1] = field(name="schema")
    request: StartRequestModel


class ExecutionInput(_StepRequest, frozen=True, kw_only=True, rename="camel"):
    """The input of an execution of the release state machine, as its event has it."""

    schema_: Literal[1] = field(name="schema")
    release: ReleaseModel
    scan_timeout_seconds: int


class AwaitScanRequest(_StepRequest, frozen=True, kw_only=True):
    schema_: Literal[1] = field(name="schema")
    release: ReleaseModel
    token: _Text


class JudgeRequest(_StepRequest, frozen=True, kw_only=True):
    schema_: Literal[1] = field(name="schema")
    release: ReleaseModel
    # Executions that an earlier state machine has started send these two; they are ignored.
    waited: WaitOutcome | None = None
    why: str = ""


class SignRequest(_StepRequest, frozen=True, kw_only=True):
    """The digest of a decision, and nothing else: `sign_image` reads and checks the rest itself."""

    schema_: Literal[1] = field(name="schema")
    decision: str

    @property
    def digest(self) -> Digest:
        return Digest.parse(self.decision)


class ExportModel(_StepRequest, frozen=True, kw_only=True):
    """An export of SBOMs by Amazon Inspector. `report` is empty if Inspector refused to start one."""

    report: str
    status: str
    why: str
    batch: Annotated[int, Meta(ge=0)]
    polls: int = 0  # how often the state machine has looked at it

    @property
    def export(self) -> Export:
        return Export(self.report, self.status, self.why, self.batch)


class AttachSbomRequest(_StepRequest, frozen=True, kw_only=True):
    """`export` is the export that has just ended, or None if there was none yet."""

    schema_: Literal[1] = field(name="schema")
    release: ReleaseModel
    export: ExportModel | None


class PromoteRequest(_StepRequest, frozen=True, kw_only=True):
    schema_: Literal[1] = field(name="schema")
    release: ReleaseModel


class AnnounceRequest(_StepRequest, frozen=True, kw_only=True):
    """`error` and `cause` are set if the execution failed. The ledger proves every other outcome."""

    schema_: Literal[1] = field(name="schema")
    release: ReleaseModel
    outcome: Outcome
    error: str = ""
    cause: str = ""


class AuditStep(StrEnum):
    """The steps of a scheduled audit."""

    BEGIN = "begin"
    AUDIT = "audit"
    FINISH = "finish"


class AuditBatchModel(_StepRequest, frozen=True, kw_only=True):
    number: Annotated[int, Meta(ge=1)]
    repositories: list[_Text]


class AuditRequest(_StepRequest, frozen=True, kw_only=True):
    """A step of the audit `run`, which is the name of an execution. `batch`: for the step `audit`."""

    schema_: Literal[1] = field(name="schema")
    step: AuditStep
    run: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,80}\Z")]
    batch: AuditBatchModel | None = None
