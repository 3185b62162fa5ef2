"""The cost of an audited registry in one sentence, by the measures of a report."""

from __future__ import annotations

from collections.abc import Mapping

from imagegate.cleanup.savings import CENTS_A_GIB

_GIB = 1024**3


def cost_sentence(measures: Mapping[str, int]) -> str:
    """Return what is stored and scanned and what a clean-up would save, or "" if nothing was measured."""
    exact, at_most = measures.get("storageBytes", 0), measures.get("storageBytesAtMost", 0)
    if not exact and not at_most:
        return ""
    about = "at most " if at_most else ""
    parts = [f"Storage: {about}{_storage(exact + at_most)}"]
    if saved := measures.get("cleanupBytesAtMost", 0):
        parts.append(f"a clean-up would save at most {_storage(saved)}")
    if again := measures.get("scanAgainCentsEachTime", 0):
        first = measures.get("firstScansCentsAMonth", 0)
        parts.append(
            f"scanning: at most ${first / 100:,.2f} a month for new images,"
            f" and ${again / 100:,.2f} each time that all are scanned again"
        )
    return "; ".join(parts)


def _storage(size: int) -> str:
    gib = size / _GIB
    return f"{gib:,.1f} GiB, ${gib * CENTS_A_GIB / 100:,.2f} a month"
