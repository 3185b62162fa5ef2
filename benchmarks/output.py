"""The output of a benchmark: one JSON document, for people on the terminal or for programs in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_result(result: Any, path: Path | None) -> None:
    """Write the result to the file; without one, print it."""
    text = json.dumps(result, indent=2)
    if path:
        path.write_text(text + "\n")
    else:
        print(text)
