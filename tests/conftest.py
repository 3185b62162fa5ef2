"""The setting of all tests."""

from __future__ import annotations

from sandbox.shared_models import share_models

share_models()
