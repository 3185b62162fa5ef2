"""imagegate: the gate for container images in Amazon ECR.

Packages by subject decide and do no I/O. `workflow` has the steps of a release, written over the protocols in `ports`;
`aws` and `oci` fulfil these; `wiring` puts them together for the handlers in `functions/`.
"""

from imagegate.collector import pause_in_lambda
from imagegate.dataclass_methods import use_methods

pause_in_lambda()
use_methods(*__path__)

__version__ = "0.1.0"
