"""Requests that our own state machine and functions send. They are versioned, and extra fields are refused."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from imagegate.events.validation import parse
from imagegate.evidence.sbom import Export
from imagegate.findings.scan import WaitOutcome
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.release import Outcome, ReleaseId, StartReason


class _StepRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parse(cls, event: object) -> Self:
        """Return the request. Raises `InvalidEventError` that names every field at fault."""
        return parse(cls, event)


class ReleaseModel(_StepRequest):
    repository: str
    digest: str
    attempt: int = Field(ge=1)

    @property
    def id(self) -> ReleaseId:
        return ReleaseId(ImageRef.of(self.repository, self.digest), self.attempt)


class StartRequestModel(_StepRequest):
    """A request for a release. It proves nothing and names nobody: `start_release` looks up the reason."""

    repository: str
    digest: str
    tags: list[str] = Field(min_length=1)
    reason: StartReason

    @property
    def image(self) -> ImageRef:
        return ImageRef.of(self.repository, self.digest)


class StartEnvelope(_StepRequest):
    schema_: Literal[1] = Field(alias="schema")
    request: StartRequestModel


class AwaitScanRequest(_StepRequest):
    schema_: Literal[1] = Field(alias="schema")
    release: ReleaseModel
    token: str = Field(min_length=1)


class JudgeRequest(_StepRequest):
    schema_: Literal[1] = Field(alias="schema")
    release: ReleaseModel
    # Executions that an earlier state machine has started send these two; they are ignored.
    waited: WaitOutcome | None = None
    why: str = ""


class SignRequest(_StepRequest):
    """The digest of a decision, and nothing else: `sign_image` reads and checks the rest itself."""

    schema_: Literal[1] = Field(alias="schema")
    decision: str

    @property
    def digest(self) -> Digest:
        return Digest.parse(self.decision)


class ExportModel(_StepRequest):
    """An export of SBOMs by Amazon Inspector. `report` is empty if Inspector refused to start one."""

    report: str
    status: str
    why: str
    batch: int = Field(ge=0)
    polls: int = 0  # how often the state machine has looked at it

    @property
    def export(self) -> Export:
        return Export(self.report, self.status, self.why, self.batch)


class AttachSbomRequest(_StepRequest):
    """`export` is the export that has just ended, or None if there was none yet."""

    schema_: Literal[1] = Field(alias="schema")
    release: ReleaseModel
    export: ExportModel | None


class PromoteRequest(_StepRequest):
    schema_: Literal[1] = Field(alias="schema")
    release: ReleaseModel


class AnnounceRequest(_StepRequest):
    """`error` and `cause` are set if the execution failed. The ledger proves every other outcome."""

    schema_: Literal[1] = Field(alias="schema")
    release: ReleaseModel
    outcome: Outcome
    error: str = ""
    cause: str = ""
