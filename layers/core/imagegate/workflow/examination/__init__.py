"""Reads what a verdict is based on, from ECR, the registry, the ledger and the records. It writes nothing."""
