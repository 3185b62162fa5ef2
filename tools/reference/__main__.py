"""`python -m tools.reference` writes the generated pages of the reference anew."""

from __future__ import annotations

from tools.reference.pages import write

for path in write():
    print(path)
