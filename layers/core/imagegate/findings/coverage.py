"""The coverage records of Amazon Inspector (ListCoverage): whether it scans an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

# Inspector API reference, ScanStatus.reason. SCAN_FREQUENCY_SCAN_ON_PUSH: it was scanned once, and never will be again.
_LOOKED = frozenset({"SUCCESSFUL", "SCAN_FREQUENCY_SCAN_ON_PUSH"})
_UNSUPPORTED = "UNSUPPORTED_"
_REFUSALS: Mapping[str, str] = {
    "ACCESS_DENIED": "Inspector has no access to the image; look at its service-linked role",
    "ACCESS_DENIED_TO_ENCRYPTION_KEY": "Inspector may not use the key of the repository; grant it in the key's policy",
    "EXCLUDED_BY_TAG": "the image is excluded from scanning by a tag; take the tag away",
    "EXTRACTION_COLLECTION_TIME_LIMIT_EXCEEDED": "Inspector takes too long to unpack the image; make it smaller",
    "IMAGE_ARCHIVED": "the image is in the archive storage class; restore it first",
    "IMAGE_SIZE_EXCEEDED": "the image is larger than Inspector accepts",
    "INVALID_ARTIFACT": "Inspector cannot read the image; build and push it again",
    "NO_RESOURCES_FOUND": "Inspector finds nothing in the image that it could look at",
    "NO_SCAN_CONFIGURATION_ASSOCIATED": "no configuration of Inspector includes the image",
    "SCAN_ELIGIBILITY_EXPIRED": "Inspector no longer watches this image; push it again",
    "SCAN_FREQUENCY_MANUAL": "no filter of the registry's enhanced scanning includes the repository; add one",
    "STORAGE_LIMIT_EXCEEDED": "the image needs more space than Inspector has; make it smaller",
}


@dataclass(frozen=True, slots=True)
class Coverage:
    """One record: whether Inspector watches the image, why, and when it last scanned it."""

    status: str  # ACTIVE or INACTIVE
    reason: str
    last_scanned_at: str | None = None  # RFC 3339

    @property
    def has_looked(self) -> bool:
        return self.reason in _LOOKED

    @property
    def is_refusal(self) -> bool:
        """True if Inspector will not scan this image until somebody changes something. False for an unknown reason."""
        return self.reason in _REFUSALS or self.is_unsupported

    @property
    def is_unsupported(self) -> bool:
        return self.reason.startswith(_UNSUPPORTED) or self.reason == "NO_RESOURCES_FOUND"

    def explain(self) -> str:
        """Explain to a person why Inspector does not scan the image."""
        text = _REFUSALS.get(self.reason, "Inspector cannot read such an image")
        return f"{self.reason}: {text} (coverage: {self.status})"

    def as_json(self) -> dict[str, Any]:
        return {"status": self.status, "reason": self.reason, "lastScannedAt": self.last_scanned_at}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(raw["status"], raw["reason"], raw["lastScannedAt"])
