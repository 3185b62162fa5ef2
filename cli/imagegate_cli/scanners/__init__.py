"""Readers of scanner reports. The format of a file is detected from its content, never from its name.

Rule: a report that cannot be read is an error. A finding that is skipped silently would let an image pass.
"""

from imagegate_cli.scanners.document import ScannerFileError
from imagegate_cli.scanners.formats import read
from imagegate_cli.scanners.merging import merge
from imagegate_cli.scanners.report import ScannerReport, knows

__all__ = ["ScannerFileError", "ScannerReport", "knows", "merge", "read"]
