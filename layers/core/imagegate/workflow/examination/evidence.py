"""Read the evidence of an image: the signature of the gate before, and the provenance of its build."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imagegate.errors import ImageGateError, RejectedInputError
from imagegate.evidence.attestation import IN_TOTO, NOTATION_SIGNATURE, STATEMENT_TYPE, read_statement
from imagegate.gate.facts import CameBy, Evidence
from imagegate.gate.verdict import VerdictOutcome
from imagegate.oci.image import Descriptor, Digest, ImageRef
from imagegate.policy.rules import Action
from imagegate.workflow.examination.signatures import verify_signature

if TYPE_CHECKING:
    from imagegate.policy.policy import Policy, Stage
    from imagegate.ports.images import Images
    from imagegate.ports.registry import Registry
    from imagegate.ports.signer import Signer
    from imagegate.release.release import Release
    from imagegate.workflow.examination.contents import Contents

# SLSA provenance, https://slsa.dev/provenance/v1 and /v0.2; in-toto Statement v1 and v0.1.
_PROVENANCE = ("https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2")
_STATEMENTS = (STATEMENT_TYPE, "https://in-toto.io/Statement/v0.1")
_DSSE = "application/vnd.dsse.envelope"
_CHEAP = 4  # of one image, if no rule needs them
_MOST_REASONS = 3  # of the gate before, in a sentence
_MOST_ATTESTATIONS = 50  # of one image; more would only waste time


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEvidence:
    images: Images
    registry: Callable[[], Registry]
    signer: Callable[[], Signer]

    def signature(
        self, policy: Policy, stage: Stage, image: ImageRef, now: datetime, attempts: Collection[Release] = ()
    ) -> Evidence:
        """Return which gates before signed the image, or the reasons why they did not.

        `attempts`: the last ones at the gates before. Their signatures are read first.
        """
        before = [one.name for one in policy.stages_before(stage)]
        subject = self.images.manifest(image).descriptor
        listed = [
            referrer
            for referrer in self.registry().referrers(image)
            if referrer.artifact_type == NOTATION_SIGNATURE
        ]
        known = {attempt.signature for attempt in attempts}
        signatures = sorted(listed, key=lambda one: one.digest not in known)[:_MOST_ATTESTATIONS]
        gates, faults = list[str](), list[str]()
        for name in before:
            for signature in signatures:
                reference = ImageRef(image.repository, signature.digest)
                try:
                    verify_signature(self.registry(), self.signer(), reference, subject, name, now)
                except RejectedInputError as error:
                    faults.append(str(error))
                    continue
                gates.append(name)
                break
        return Evidence(tuple(gates)) if gates else Evidence(problem=_unsigned(before, attempts, faults))

    def provenance(self, contents: Contents) -> Evidence:
        """Return the builders that provenance statements about the image, or about its platforms, name."""
        return self._provenance(contents, list(self._attestations(contents)))

    def cheap_provenance(self, contents: Contents) -> Evidence | None:
        """Return the same for an image with few attestations, or None if it would take many reads, or fails."""
        try:
            attestations = list(self._attestations(contents))
            return self._provenance(contents, attestations) if len(attestations) <= _CHEAP else None
        except ImageGateError:
            return None

    def _provenance(self, contents: Contents, attestations: Sequence[Descriptor]) -> Evidence:
        subjects = {contents.image.digest, *(leaf.digest for leaf in contents.leaves)}
        builders: dict[str, None] = {}
        for attestation in attestations:
            for statement in self._statements(contents.image.repository, attestation):
                if _is_about(statement, subjects) and (builder := _builder(statement)):
                    builders.setdefault(builder)
        if builders:
            return Evidence(tuple(builders))
        return Evidence(problem="carries no SLSA provenance that is about it")

    def _attestations(self, contents: Contents) -> Iterator[Descriptor]:
        """Yield the attestations in the index, as buildx writes them, and the referrers."""
        beside = [child.entry for child in contents.children]
        attached = [
            referrer
            for referrer in self.registry().referrers(contents.image)
            if referrer.artifact_type != NOTATION_SIGNATURE
        ]
        yield from [*beside, *attached][:_MOST_ATTESTATIONS]

    def _statements(self, repository: str, attestation: Descriptor) -> Iterator[dict[str, Any]]:
        try:
            manifest = self.images.manifest(ImageRef(repository, attestation.digest))
        except RejectedInputError:
            return  # another kind of referrer
        for layer in manifest.layers:
            if layer.media_type == IN_TOTO or layer.media_type.startswith(_DSSE):
                try:
                    yield from _statement(self.registry().blob(repository, layer))
                except RejectedInputError:
                    continue  # too large, or its bytes are not those of its digest: it proves nothing


def signature_by_ledger(
    policy: Policy, stage: Stage, attempts: Collection[Release], came_by: CameBy
) -> Evidence:
    """Return which gates before signed the image, as the ledger has it. Only a promotion brings a signature along."""
    before = [one.name for one in policy.stages_before(stage)]
    signed = tuple(
        attempt.stage
        for attempt in attempts
        if attempt.stage in before and attempt.signature and not attempt.revoked
    )
    if signed and came_by is CameBy.PROMOTION:
        return Evidence(signed, is_by_ledger=True)
    return Evidence(problem=_unsigned(before, attempts), is_by_ledger=True)


def _unsigned(before: Sequence[str], attempts: Collection[Release], faults: Sequence[str] = ()) -> str:
    expected = " or ".join(before) or "a stage before this one"
    why = f" ({faults[0]})" if faults else ""
    return f"carries no valid signature of the {expected} gate{why}{''.join(map(_refusal, attempts))}"


def _refusal(attempt: Release) -> str:
    """Return `; dev did not let it pass: 2 CRITICAL (at most 0)`, or an empty text if it passed there."""
    if attempt.verdict is None or attempt.verdict == VerdictOutcome.PASS:
        return ""
    reasons = [reason["message"] for reason in attempt.reasons if reason["action"] == Action.ENFORCE]
    more = len(reasons) - _MOST_REASONS
    text = "; ".join(reasons[:_MOST_REASONS]) or f"the verdict was {attempt.verdict}"
    return f"; {attempt.stage} did not let it pass: {text}" + (f" (+{more} more)" if more > 0 else "")


def _statement(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield the statement if it is a provenance."""
    raw = read_statement(content)
    if raw and raw.get("_type") in _STATEMENTS and raw.get("predicateType") in _PROVENANCE:
        yield raw


def _is_about(statement: dict[str, Any], subjects: set[Digest]) -> bool:
    subject_list = statement.get("subject")
    if not isinstance(subject_list, list):
        return False
    digests = {
        f"sha256:{subject['digest'].get('sha256')}"
        for subject in subject_list
        if isinstance(subject, dict) and isinstance(subject.get("digest"), dict)
    }
    return not digests.isdisjoint(map(str, subjects))


def _builder(statement: dict[str, Any]) -> str:
    """Return the builder's ID, or an empty text. v1: predicate.runDetails.builder.id; v0.2: predicate.builder.id."""
    value: Any = statement.get("predicate")
    path = (
        ("runDetails", "builder", "id") if statement["predicateType"] == _PROVENANCE[0] else ("builder", "id")
    )
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
