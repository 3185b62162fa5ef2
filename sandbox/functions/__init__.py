"""Lambda functions run as in Lambda: each in its own process, under AWS's runtime client and its own role."""

from sandbox.functions.function import DeployedArchive, Function, Invocation, InvocationResult
from sandbox.functions.pool import Pool

__all__ = ["DeployedArchive", "Function", "Invocation", "InvocationResult", "Pool"]
