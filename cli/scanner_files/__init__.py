"""Reading what scanners write: reports of ECR, Inspector, Trivy and Grype, and SARIF, told apart by their content.

Rule: what cannot be read is an error. A finding that is passed over in silence would let an image pass.
"""

from cli.scanner_files.document import ScannerFileError
from cli.scanner_files.formats import read
from cli.scanner_files.merging import merge
from cli.scanner_files.report import Report, knows

__all__ = ["Report", "ScannerFileError", "knows", "merge", "read"]
