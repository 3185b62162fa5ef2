"""Reads the board from the ledger, the grants and the records."""
