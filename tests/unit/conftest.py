"""The same examples on every run: a slow or busy machine never turns a rule red, and a red one stays red."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("rules", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("rules")
