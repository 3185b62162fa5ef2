"""Python's garbage collector while a function starts.

A start makes objects that stay, and to look through them again and again takes a twentieth of it. So a function does
not collect before its first call, and never looks at these objects.
"""

from __future__ import annotations

import gc
import os


def pause_in_lambda() -> None:
    """Collect nothing from now on, if this process is a Lambda function."""
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        gc.disable()


def resume() -> None:
    """Collect from now on, without the objects that there are already, if the collector was paused."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
