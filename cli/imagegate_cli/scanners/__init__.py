"""Reading what scanners write: reports of ECR, Inspector, Trivy and Grype, and SARIF, told apart by their content.

Rule: what cannot be read is an error. A finding that is passed over in silence would let an image pass.
"""

from imagegate_cli.scanners.document import ScannerFileError
from imagegate_cli.scanners.formats import read
from imagegate_cli.scanners.merging import merge
from imagegate_cli.scanners.report import ScannerReport, knows

__all__ = ["ScannerFileError", "ScannerReport", "knows", "merge", "read"]
