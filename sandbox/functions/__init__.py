"""Runs Lambda functions as Lambda does: each in its own process, under AWS's runtime client and its own role."""

from sandbox.functions.function import Archive, Function, Invocation, Outcome
from sandbox.functions.pool import Pool

__all__ = ["Archive", "Function", "Invocation", "Outcome", "Pool"]
