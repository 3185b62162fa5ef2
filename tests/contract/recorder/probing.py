"""One behaviour after the other: its exchanges, or the reason why it could not be tried."""

from __future__ import annotations

import re
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from tests.contract.recorder.behaviours import Behaviour
from tests.contract.recorder.bench import DENIED, Bench
from tests.contract.recorder.exchange import Exchange, outcomes
from tests.contract.recorder.repository import RegistryDeniedError

_ACTION = re.compile(r"not authorized to perform:? ([\w-]+:\w+)")


@dataclass(frozen=True, slots=True)
class Probed:
    """`problem`: why there are no exchanges."""

    behaviour: Behaviour
    exchanges: tuple[Exchange, ...] = ()
    problem: str | None = None

    @property
    def is_as_documented(self) -> bool | None:
        says = self.behaviour.says
        return None if says is None or self.problem else says == outcomes(self.exchanges)


def ask(bench: Bench, behaviour: Behaviour) -> Probed:
    """Try one behaviour; its failure does not stop the others."""
    bench.begin(behaviour.id)
    try:
        behaviour.probe(bench)
    except (ClientError, RegistryDeniedError, BotoCoreError, HTTPError, TimeoutError) as error:
        return Probed(behaviour, problem=explain(error))
    except (LookupError, ValueError, TypeError) as error:
        # The answer had another form than the probe expects; that is a finding, too.
        return Probed(behaviour, problem=f"an answer of unexpected form: {error!r}")
    return Probed(behaviour, tuple(bench.exchanges))


def explain(error: Exception) -> str:
    """Explain the problem to the person at the terminal; this is never written into a recording."""
    if isinstance(error, RegistryDeniedError):
        return _missing(str(error), "on the registry")
    if isinstance(error, ClientError):
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        if code in DENIED:
            return _missing(message, f"for {error.operation_name}")
        if code in (
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
        ):
            return f"the credentials are not valid (any more): {code}"
        return f"{error.operation_name}: {code}: {message}"
    return f"AWS cannot be reached, or not as expected: {error}"


def _missing(message: str, otherwise: str) -> str:
    found = _ACTION.search(message)
    return f"permission {found[1]} is missing" if found else f"a permission is missing {otherwise}: {message}"
