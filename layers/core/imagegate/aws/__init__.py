"""Clients of AWS: a module or a package for each service; the ledger, the clean-up and the audit have their own."""
