"""Images that a clean-up took, as the ledger remembers them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagegate.cleanup.selection import CleanupAction
    from imagegate.oci.image import Digest, ImageRef


@dataclass(frozen=True, slots=True)
class CleanedImage:
    """An image that a plan takes. It is noted before it is touched, so that none is gone without a trace."""

    image: ImageRef
    action: CleanupAction
    plan: Digest
    at: datetime
    because: str
