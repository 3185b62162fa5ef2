"""imagegate: the gate for container images in Amazon ECR.

`domain` decides and does no I/O; `adapters` talk to AWS and the registry; `steps` carry out one step of a
release each, over the ports of `ports.py`; the handlers in `functions/` wire them.
"""

__version__ = "0.1.0"
