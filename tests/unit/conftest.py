"""The same examples on every run: a slow or busy machine never turns a rule red, and a red one stays red."""

from __future__ import annotations

import os

from hypothesis import settings

# Fewer where the same rules are tried again (`make days`).
EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "100"))
settings.register_profile("rules", deadline=None, derandomize=True, max_examples=EXAMPLES)
settings.load_profile("rules")
