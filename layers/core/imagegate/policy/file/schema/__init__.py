"""The shapes of the policy file: which keys there are, which values they may have, and what they become.

Their annotations are values, without `from __future__ import annotations`: pydantic would compile each of the texts.
"""
