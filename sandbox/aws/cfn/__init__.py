"""The CloudFormation types that moto ignores or supports only in part."""

from sandbox.aws.cfn import data, functions, identity, messages, watching
from sandbox.aws.cfn.creation import creators

__all__ = ["creators", "data", "functions", "identity", "messages", "watching"]
