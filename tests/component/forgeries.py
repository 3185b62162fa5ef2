"""Every kind of forgery, by name: each makes evidence that must be refused."""

from __future__ import annotations

from tests.component.forged_algorithms import FORGED_ALGORITHMS
from tests.component.forged_bytes import FORGED_BYTES
from tests.component.forged_chains import FORGED_CHAINS
from tests.component.forged_headers import FORGED_HEADERS
from tests.component.forged_identities import FORGED_IDENTITIES
from tests.component.forged_manifests import FORGED_MANIFESTS
from tests.component.forged_payloads import FORGED_PAYLOADS
from tests.component.forged_spellings import FORGED_SPELLINGS
from tests.component.forging import Forge

KINDS: dict[str, Forge] = {
    **FORGED_BYTES,
    **FORGED_SPELLINGS,
    **FORGED_ALGORITHMS,
    **FORGED_HEADERS,
    **FORGED_PAYLOADS,
    **FORGED_IDENTITIES,
    **FORGED_CHAINS,
    **FORGED_MANIFESTS,
}
