"""Clients of AWS: one module per service, a package for the ledger."""
