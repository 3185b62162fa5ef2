"""The behaviours of AWS that API calls can show: each one small function with a sentence and its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import import_module

from tests.contract.recorder.bench import Bench
from tests.contract.recorder.questions import first_answers

Probe = Callable[[Bench], None]
_MODULES = (
    *(
        "images",
        "cleanup",
        "settings",
        "protocol",
        "scans",
        "signer",
        "dynamodb",
        "s3",
        "sns",
        "stepfunctions",
    ),
    *("events", "security_hub", "account", "metrics", "template"),
)
_known: dict[str, Behaviour] = {}


@dataclass(frozen=True, slots=True)
class Behaviour:
    id: str
    sentence: str
    chapter: str  # the heading on docs/explanation/fidelity.md
    documented: str  # the document
    says: tuple[str, ...] | None  # the outcomes that follow from it, or None if it does not say
    looser: str | None  # known differences of the sandbox
    probe: Probe


def behaviour(
    chapter: str, documented: str, says: Sequence[str] | None, looser: str | None = None
) -> Callable[[Probe], Probe]:
    """Register a behaviour: the function's name is the id, its docstring the sentence."""

    def register(probe: Probe) -> Probe:
        name = str(getattr(probe, "__name__", "")).replace("_", "-")
        expected = None if says is None else tuple(says)
        _known[name] = Behaviour(name, probe.__doc__ or "", chapter, documented, expected, looser, probe)
        return probe

    return register


def behaviours(only: Sequence[str] = ()) -> list[Behaviour]:
    """Return all of them, or those whose id matches one of the patterns; first those that answer a question."""
    for module in _MODULES:
        import_module(f"tests.contract.recorder.probes.{module}")
    first = {name: number for number, name in enumerate(first_answers())}
    ordered = sorted(_known.values(), key=lambda one: first.get(one.id, len(first)))
    return [one for one in ordered if not only or any(fnmatch(one.id, pattern) for pattern in only)]
